//! A line to a server that can be slow, silent, closed or cut.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::Port;

/// A proxy for TCP, which runs on the test's own runtime.
///
/// Bytes keep their order and none is lost from the middle: what is held is delivered later, or
/// the connection ends.
pub(crate) struct Proxy {
    line: Arc<Line>,
    accepting: JoinHandle<()>,
}

/// What happens to what is sent in one direction: bytes, and the end of a connection as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It arrives at once.
    Pass,
    /// It arrives this much later, however much is sent.
    Delay(Duration),
    /// It does not arrive. The connection stays up and new ones are accepted, but nobody hears
    /// anything; in another mood, all of it arrives.
    Silent,
}

struct Line {
    port: Port,
    server: SocketAddr,
    /// Nothing while clients are refused.
    listener: Mutex<Option<TcpListener>>,
    /// There is a listener again.
    reopened: Notify,
    to_server: watch::Sender<Mood>,
    to_client: watch::Sender<Mood>,
    connections: Mutex<Vec<Connection>>,
}

/// Dropped, it ends the connection.
struct Connection {
    _end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// In front of `server`, passing everything.
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let port = Port::free();
        let line = Arc::new(Line {
            server,
            listener: Mutex::new(Some(port.listen())),
            reopened: Notify::new(),
            to_server: watch::Sender::new(Mood::Pass),
            to_client: watch::Sender::new(Mood::Pass),
            connections: Mutex::default(),
            port,
        });
        let accepting = tokio::spawn(accept(Arc::clone(&line)));
        Self { line, accepting }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.line.port.address()
    }

    /// Sets the mood of both directions, for the connections there are and for new ones.
    pub(crate) fn set(&self, mood: Mood) {
        self.set_to_server(mood);
        self.set_to_client(mood);
    }

    pub(crate) fn set_to_server(&self, mood: Mood) {
        self.line.to_server.send_replace(mood);
    }

    pub(crate) fn set_to_client(&self, mood: Mood) {
        self.line.to_client.send_replace(mood);
    }

    /// Refuses new connections from now on; the ones there are stay.
    pub(crate) fn refuse(&self) {
        *self.line.listener.lock().unwrap() = None;
    }

    /// Accepts connections again.
    pub(crate) fn accept(&self) {
        let mut listener = self.line.listener.lock().unwrap();
        if listener.is_none() {
            *listener = Some(self.line.port.listen());
            self.line.reopened.notify_one();
        }
    }

    /// Aborts all connections: both sides find theirs reset.
    pub(crate) async fn reset(&self) {
        let connections = std::mem::take(&mut *self.line.connections.lock().unwrap());
        let tasks: Vec<_> = connections.into_iter().map(|one| one.task).collect();
        for task in tasks {
            task.await.unwrap();
        }
    }

    /// How many connections there are.
    pub(crate) fn connections(&self) -> usize {
        let connections = self.line.connections.lock().unwrap();
        let alive = connections.iter().filter(|one| !one.task.is_finished());
        alive.count()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.refuse();
        self.line.connections.lock().unwrap().clear();
    }
}

async fn accept(line: Arc<Line>) {
    loop {
        let client = tokio::select! {
            client = line.next_client() => client,
            () = line.reopened.notified() => continue,
        };
        let (end, ended) = oneshot::channel::<()>();
        let on = Arc::clone(&line);
        let task = tokio::spawn(async move { on.carry(client, ended).await });
        let mut connections = line.connections.lock().unwrap();
        connections.retain(|one| !one.task.is_finished());
        connections.push(Connection { _end: end, task });
    }
}

impl Line {
    /// The next one to connect; nobody does while there is no listener.
    async fn next_client(&self) -> TcpStream {
        poll_fn(|context| {
            let listener = self.listener.lock().unwrap();
            let Some(listener) = &*listener else {
                return Poll::Pending;
            };
            listener
                .poll_accept(context)
                .map(|client| client.unwrap().0)
        })
        .await
    }

    /// Carries a connection until both sides have ended it, one aborts it or `ended` says so.
    async fn carry(&self, mut client: TcpStream, ended: oneshot::Receiver<()>) {
        let mut server = None;
        let aborted = tokio::select! {
            carried = self.pump(&mut client, &mut server) => carried.is_err(),
            _ = ended => true,
        };
        if aborted {
            for stream in [Some(client), server].into_iter().flatten() {
                // The other side may have reset it already.
                let _ = stream.set_zero_linger();
            }
        }
    }

    async fn pump(
        &self,
        client: &mut TcpStream,
        server: &mut Option<TcpStream>,
    ) -> Result<(), Aborted> {
        let mut to_server = self.to_server.subscribe();
        let mut to_client = self.to_client.subscribe();
        // The server hears of nobody while nothing arrives there.
        heard(&mut to_server).await;
        let connected = TcpStream::connect(self.server).await;
        if connected.is_err() {
            heard(&mut to_client).await;
        }
        let server = server.insert(connected.map_err(|_| Aborted)?);
        for stream in [&*client, &*server] {
            stream.set_nodelay(true).map_err(|_| Aborted)?;
        }
        let (from_client, into_client) = client.split();
        let (from_server, into_server) = server.split();
        let (asked, asks) = unbounded_channel();
        let (answered, answers) = unbounded_channel();
        tokio::try_join!(
            read(from_client, asked.clone()),
            read(from_server, answered.clone()),
            write(asks, to_server, into_server, answered),
            write(answers, to_client, into_client, asked),
        )?;
        Ok(())
    }
}

/// Something under way.
struct Item {
    sent: Instant,
    what: What,
}

enum What {
    Bytes(Vec<u8>),
    /// Nothing more is sent in this direction.
    End,
    /// The sender has reset the connection.
    Abort,
}

/// The connection ends for both sides.
struct Aborted;

async fn read(mut from: ReadHalf<'_>, queue: UnboundedSender<Item>) -> Result<(), Aborted> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let what = match from.read(&mut buffer).await {
            Ok(0) => What::End,
            Ok(count) => What::Bytes(buffer[..count].to_owned()),
            Err(_) => What::Abort,
        };
        let more = matches!(what, What::Bytes(_));
        send(&queue, what)?;
        if !more {
            return Ok(());
        }
    }
}

/// Delivers what is under way; `back` is what is under way in the other direction.
async fn write(
    mut queue: UnboundedReceiver<Item>,
    mut mood: watch::Receiver<Mood>,
    mut to: WriteHalf<'_>,
    back: UnboundedSender<Item>,
) -> Result<(), Aborted> {
    while let Some(item) = queue.recv().await {
        come(&mut mood, item.sent).await;
        let last = matches!(item.what, What::End);
        let written = match item.what {
            What::Bytes(bytes) => to.write_all(&bytes).await,
            What::End => to.shutdown().await,
            What::Abort => return Err(Aborted),
        };
        if written.is_err() {
            // The other side hears of it as of anything else.
            send(&back, What::Abort)?;
        }
        if last {
            break;
        }
    }
    Ok(())
}

/// Fails in a direction that has ended already.
fn send(queue: &UnboundedSender<Item>, what: What) -> Result<(), Aborted> {
    let item = Item { sent: now(), what };
    queue.send(item).map_err(|_| Aborted)
}

/// Waits while nothing arrives.
async fn heard(mood: &mut watch::Receiver<Mood>) {
    let heard = mood.wait_for(|mood| *mood != Mood::Silent).await;
    heard.expect("the line outlives its connections");
}

/// Waits until what was sent then arrives.
async fn come(mood: &mut watch::Receiver<Mood>, sent: Instant) {
    loop {
        let arrival = match *mood.borrow_and_update() {
            Mood::Pass => return,
            Mood::Delay(by) => Some(sent + by),
            Mood::Silent => None,
        };
        let arriving = async {
            match arrival {
                Some(arrival) => sleep_until(arrival).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = arriving => return,
            changed = mood.changed() => changed.expect("the line outlives its connections"),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long something is under way on a real socket, which no test moves"
)]
fn now() -> Instant {
    Instant::now()
}
