use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_util::sync::CancellationToken;

use super::*;
use crate::account::{Account, TokenApi};
use crate::config::{Config, StoreUrl};
use crate::credential::Secret;
use crate::page_hosts::PageHosts;

/// A WeChat that never answers a call with which it is given an AppSecret, but takes `connection`s.
async fn silent_wechat(
    held: Arc<Mutex<Vec<tokio::net::TcpStream>>>,
    most: Arc<AtomicUsize>,
) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let listener = listener.await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let read = stream.read(&mut head).await.unwrap_or_default();
            if head[..read].starts_with(b"GET ") {
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
                let _ = stream.write_all(answer).await;
                continue;
            }
            let mut held = held.lock().unwrap();
            held.push(stream);
            most.store(held.len(), Ordering::Relaxed);
        }
    });
    url
}

fn account(number: usize) -> Account {
    Account {
        appid: format!("wx{number:016x}").parse().unwrap(),
        name: None,
        secret: Secret::new("0123456789abcdef0123456789abcdef"),
        token_api: TokenApi::Classic,
        page_hosts: PageHosts::default(),
        wx_card: false,
    }
}

#[tokio::test]
async fn eight_accounts_are_tried_at_once_and_those_not_done_in_time_are_named() {
    let (held, most) = (Arc::default(), Arc::<AtomicUsize>::default());
    let mut config = Config::with_accounts((1..=20).map(account).collect());
    config.store = StoreUrl::Memory;
    config.upstream = silent_wechat(Arc::clone(&held), Arc::clone(&most)).await;
    let (app, _queue) = App::build(config, None, CancellationToken::new()).unwrap();
    // It is enough once so many wait for an answer as may.
    let eight = async {
        while most.load(Ordering::Relaxed) < AT_ONCE {
            tokio::task::yield_now().await;
        }
    };
    let findings = examine_until(&app, None, eight).await;
    assert_eq!(held.lock().unwrap().len(), AT_ONCE);
    let unfinished: Vec<_> = findings
        .iter()
        .filter(|found| found.appid.is_some())
        .map(|found| (found.appid.as_ref().unwrap().as_str(), &found.what.en))
        .collect();
    assert_eq!(unfinished.len(), 20, "{findings:#?}");
    assert!(unfinished.is_sorted());
    let all_say_so = unfinished
        .iter()
        .all(|(_, what)| what.contains("25 seconds"));
    assert!(all_say_so, "{findings:#?}");
}
