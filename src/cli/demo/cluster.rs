//! A small cluster on one machine: several nodes that share a store, any of which can be killed.

mod node;
mod store;
mod watch;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{APPID, DemoArgs, account, appid, hosts};
use crate::cli::{Failure, adopt, answer, console, listen};
use crate::client::new_key;
use crate::clock::Clock;
use crate::console::Console;
use crate::server;
use crate::simulator::{self, Simulator};
use node::{Node, Plan};
use store::SharedStore;
use watch::Watch;

/// So few seconds does a token live here, that something happens while one looks on.
const LIFE: Duration = Duration::from_secs(60);

/// So long does an answer of the simulated WeChat take, that one sees who waits for it.
const LATENCY: Duration = Duration::from_millis(300);

/// How often the nodes and their store are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Runs `count` nodes until a signal ends them.
pub(super) async fn run(args: &DemoArgs, count: usize) -> Result<(), Failure> {
    let shutdown = crate::cli::shutdown(Duration::ZERO)?;
    let first = match args.listen {
        Some(address) => listen::bind(address)?,
        None => listen::bind_or_any_port(crate::config::DEFAULT_LISTEN)?,
    };
    let (first, address) = adopt(first)?;
    let wechat = listen::bind(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0))?;
    let (wechat, wechat_address) = adopt(wechat)?;
    let hosts = hosts(address);
    let account = account(&hosts, address)?;
    let simulator = super::simulator(&account, &hosts);
    make_lively(&simulator);
    let router = simulator::wechat_router(simulator);
    let served = CancellationToken::new();
    let ends_wechat = served.clone().drop_guard();
    tokio::spawn(server::serve(wechat, router, served));

    let store = SharedStore::start().await?;
    let plan = Plan {
        account,
        key: new_key(),
        upstream: format!("http://{wechat_address}"),
    };
    // The nodes take the ports that were found free.
    drop(first);
    let mut nodes = Vec::new();
    for number in 1..=count {
        let port = if number == 1 { address.port() } else { 0 };
        let listen = SocketAddr::new(address.ip(), port);
        nodes.push(Node::start(number, listen, &plan, &store)?);
    }
    let console = Console::new(store.store.clone(), Clock::system(), None);
    let local = format!("http://localhost:{}", nodes[0].address.port());
    let link = console::link(&console, &local).await;
    let link = link.unwrap_or_else(|| format!("{local}/console"));
    answer(&welcome(&nodes, &plan, &store, wechat_address, &link))?;
    let mut watch = Watch::new(&store, appid());
    let (mut typed, clock) = (typed(), Clock::system());
    loop {
        tokio::select! {
            () = shutdown.draining.cancelled() => break,
            Some(line) = typed.recv() => toggle(&line, &mut nodes, &plan, &store)?,
            () = clock.sleep(LOOK) => {
                for node in &mut nodes {
                    if let Some(how) = node.has_ended() {
                        watch.say(&format!("node {} has ended: {how}", node.number))?;
                    }
                }
                watch.look(&nodes).await?;
            }
        }
    }
    for node in &mut nodes {
        node.stop();
    }
    drop(ends_wechat);
    Ok(())
}

/// The lines that are typed. The thread that reads them may wait for one when the program ends,
/// which the runtime's own would keep from ending.
fn typed() -> mpsc::UnboundedReceiver<String> {
    let (tell, typed) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let Ok(line) = line else { return };
            if tell.send(line).is_err() {
                return;
            }
        }
    });
    typed
}

/// Has things happen while one looks on.
fn make_lively(simulator: &Simulator) {
    let changed = simulator.change_app(&appid(), |app| {
        app.knobs.life_token = LIFE;
        app.knobs.latency = LATENCY;
    });
    changed.expect("the account was added before");
}

/// Kills the node that was typed, or starts it again.
fn toggle(line: &str, nodes: &mut [Node], plan: &Plan, store: &SharedStore) -> Result<(), Failure> {
    let number: usize = line.trim().parse().unwrap_or_default();
    let count = nodes.len();
    match nodes.iter_mut().find(|node| node.number == number) {
        Some(node) => node.toggle(plan, store),
        None => answer(&format!(
            "There is no node {line:?}: type a number from 1 to {count}.\n"
        )),
    }
}

fn welcome(
    nodes: &[Node],
    plan: &Plan,
    store: &SharedStore,
    wechat: SocketAddr,
    console: &str,
) -> String {
    let (bold, plain) = ("\x1b[1m", "\x1b[0m");
    let mut text = format!(
        "{bold}wxsign demo{plain}: {} nodes that share {}, and a simulated WeChat on \
         http://{wechat} in which a token lives {} seconds.\n\n",
        nodes.len(),
        store.describe(),
        LIFE.as_secs(),
    );
    for node in nodes {
        text += &format!("  {bold}Node {}{plain}  {}\n", node.number, node.describe());
    }
    let (address, key) = (nodes[0].address, plan.key.expose());
    text += &format!(
        "
  {bold}A signature{plain} curl -sG http://{address}/jsapi/signature --data-urlencode url=http://{address}/
  {bold}The console{plain} {console}
  {bold}The token{plain}   curl -s http://{address}/v1/accounts/{APPID}/access-token -H 'Authorization: Bearer {key}'

Type the number of a node and Enter to kill it, once more to start it again. Ctrl-C ends all.\n\n"
    );
    text += &super::with_a_real_account();
    text.push('\n');
    text
}
