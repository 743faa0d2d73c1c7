//! The points at which a server is killed.
//!
//! The server knows nothing of them. It is led there from outside by what it depends on: the
//! answers of WeChat, which the test holds back, and the database, in which the test holds the
//! write lock. Where the server stands is then seen in what it left.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, prlimit};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use wxsign::clock::Clock;
use wxsign::credential::Kind;
use wxsign::simulator::{Fault, FaultRule};
use wxsign::store::Record;

use crate::database::{Database, Left, log_bytes};
use crate::harness::{TICKET_PATH, Wxsign, eventually};
use crate::scene::Scene;

/// How far the renewal of a token has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Point {
    /// The test holds the write lock since before the server began, and the server waits for it
    /// with its first write, which is the lease.
    BeforeLease,
    /// The lease is stored. The server has begun to connect by TLS to one who never answers:
    /// what it sent is a handshake, and no request.
    AfterLease,
    /// WeChat has carried the call out; the line holds the answer back.
    AfterSend,
    /// The whole answer is in the server's socket. The test took the write lock before that, so
    /// nothing can have come of it.
    AfterAnswer,
    /// The same, and the server waits for the write lock: with its commit, as it has written all
    /// else before it sent the request.
    BeforeCommit,
    /// The server has waited in vain for the write lock. It serves the new token from memory, as
    /// it asks for a ticket with it, and the database still holds the lease.
    InMemoryOnly,
    /// The system ends the server in the middle of the commit's write, because the file must not
    /// grow any more; a part of the change is in the file.
    InsideWrite,
    /// The commit can be seen in the database, and in the same moment the server is killed. The
    /// time to publication is too short to part them from outside, but nothing that follows
    /// publication has happened: not even the ticket's lease is stored.
    AfterCommit,
    /// WeChat is asked for a ticket with the new token: only a published one is used for that.
    AfterPublish,
    /// WeChat has refused the call. The server waits for the write lock to give the lease back
    /// (after success it does so with the commit itself).
    BeforeRelease,
}

impl Point {
    pub(crate) const ALL: [Self; 10] = [
        Self::BeforeLease,
        Self::AfterLease,
        Self::AfterSend,
        Self::AfterAnswer,
        Self::BeforeCommit,
        Self::InMemoryOnly,
        Self::InsideWrite,
        Self::AfterCommit,
        Self::AfterPublish,
        Self::BeforeRelease,
    ];

    /// The calls for a token, the one after the restart included, if no call is wasted.
    pub(crate) const fn calls(self) -> u64 {
        match self {
            // The refused one.
            Self::BeforeRelease => 2,
            _ => 1,
        }
    }

    /// The calls that a kill here wastes: those whose token nobody has.
    pub(crate) const fn wasted(self) -> u64 {
        match self {
            Self::AfterSend
            | Self::AfterAnswer
            | Self::BeforeCommit
            | Self::InMemoryOnly
            | Self::InsideWrite => 1,
            _ => 0,
        }
    }

    /// Starts a server and kills it here. `variant` varies what can be varied.
    pub(crate) async fn kill(self, scene: &mut Scene, database: &Database, variant: u64) {
        match self {
            Self::BeforeLease => {
                database.lock();
                let wxsign = scene.place.serve().await;
                waits_for_the_lock(&wxsign).await;
                kill(wxsign).await;
            }
            Self::AfterLease => kill_in_handshake(scene).await,
            Self::AfterSend => kill(asking(scene).await).await,
            Self::AfterAnswer => kill(answered(scene, database).await).await,
            Self::BeforeCommit => {
                let wxsign = answered(scene, database).await;
                waits_for_the_lock(&wxsign).await;
                kill(wxsign).await;
            }
            Self::InMemoryOnly => {
                let wxsign = answered(scene, database).await;
                ticket_is_asked_for(scene).await;
                kill(wxsign).await;
            }
            Self::InsideWrite => end_inside_write(scene, variant).await,
            Self::AfterCommit => {
                let wxsign = answered(scene, database).await;
                waits_for_the_lock(&wxsign).await;
                kill_at_commit(wxsign, database).await;
            }
            Self::AfterPublish => {
                scene.line.hold(TICKET_PATH);
                let wxsign = scene.place.serve().await;
                ticket_is_asked_for(scene).await;
                kill(wxsign).await;
            }
            Self::BeforeRelease => {
                let refusal = FaultRule::new(Fault::Errcode(-1)).times(1);
                scene.wechat.simulator.inject(refusal.on(scene.token_path));
                let wxsign = answered(scene, database).await;
                waits_for_the_lock(&wxsign).await;
                kill(wxsign).await;
            }
        }
    }

    /// Whether the server was killed here, by what it left.
    pub(crate) fn was_met(self, scene: &Scene, before: &Record, left: &Left) -> bool {
        let (token, calls) = (&left.token, scene.calls());
        let old = token.credential == before.credential;
        let newest = || {
            let value = token.credential.as_ref().map(|token| &token.value);
            value.is_some_and(|value| Some(value.fingerprint()) == scene.newest())
        };
        match self {
            Self::BeforeLease => token == before && calls == 0,
            Self::AfterLease => old && token.lease.is_some() && calls == 0,
            Self::AfterSend
            | Self::AfterAnswer
            | Self::BeforeCommit
            | Self::InMemoryOnly
            | Self::InsideWrite
            | Self::BeforeRelease => old && token.lease.is_some() && calls == 1,
            Self::AfterCommit => !old && newest() && left.ticket.lease.is_none() && calls == 1,
            Self::AfterPublish => !old && newest() && left.ticket.lease.is_some() && calls == 1,
        }
    }
}

/// A server that has asked for a token and is not answered.
async fn asking(scene: &Scene) -> Wxsign {
    scene.line.hold(scene.token_path);
    let wxsign = scene.place.serve().await;
    eventually("a token is asked for", async || {
        (scene.calls() == 1).then_some(())
    })
    .await;
    wxsign
}

/// A server that has the answer and cannot store it.
async fn answered(scene: &Scene, database: &Database) -> Wxsign {
    let wxsign = asking(scene).await;
    database.lock();
    let before = scene.line.answered();
    scene.line.release();
    eventually("the answer arrives", async || {
        (scene.line.answered() > before).then_some(())
    })
    .await;
    wxsign
}

/// Waits until WeChat is asked for a ticket with the token that it made last.
async fn ticket_is_asked_for(scene: &Scene) {
    eventually("a ticket is asked for", async || {
        (scene.ticket_calls() == 1).then_some(())
    })
    .await;
    assert!(
        scene
            .newest()
            .is_some_and(|token| scene.line.carried(token))
    );
}

async fn kill(mut wxsign: Wxsign) {
    wxsign.signal(Signal::KILL);
    assert_eq!(wxsign.exit_code().await, None);
}

async fn kill_in_handshake(scene: &mut Scene) {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    scene
        .place
        .set("WXSIGN_UPSTREAM", &format!("https://{address}"));
    let wxsign = scene.place.serve().await;
    let (mut connection, _) = silent.accept().await.unwrap();
    const HANDSHAKE: u8 = 22;
    assert_eq!(connection.read_u8().await.unwrap(), HANDSHAKE);
    kill(wxsign).await;
    let line = scene.line.url.clone();
    scene.place.set("WXSIGN_UPSTREAM", &line);
}

async fn end_inside_write(scene: &Scene, variant: u64) {
    let mut wxsign = asking(scene).await;
    // A change adds a frame to the log: a head of 24 bytes and a page of 4096.
    let frame = 24 + 4096;
    let end = log_bytes(scene.place.path()) + 1 + variant * 211 % (frame - 1);
    let limit = |bytes| Rlimit {
        current: Some(bytes),
        maximum: Some(bytes),
    };
    prlimit(Some(wxsign.pid()), Resource::Core, limit(0)).unwrap();
    prlimit(Some(wxsign.pid()), Resource::Fsize, limit(end)).unwrap();
    scene.line.release();
    // SIGXFSZ ends it as SIGKILL would: no code of its own runs any more.
    assert_eq!(wxsign.exit_code().await, None);
    assert_eq!(log_bytes(scene.place.path()), end, "a part was written");
}

/// The commit comes as soon as the lock is free.
async fn kill_at_commit(wxsign: Wxsign, database: &Database) {
    let leased = database.record(Kind::AccessToken);
    let clock = Clock::system();
    let start = clock.now();
    database.unlock();
    while database.record(Kind::AccessToken) == leased {
        let waited = clock.now().since(start);
        assert!(waited < Duration::from_secs(20), "there is no commit");
    }
    kill(wxsign).await;
}

/// Waits until the server is seen to wait for the write lock: SQLite sleeps between its tries,
/// and nothing else in a server sleeps in a thread (Tokio waits in `epoll_wait` and `futex`).
async fn waits_for_the_lock(wxsign: &Wxsign) {
    let tasks = format!("/proc/{}/task", wxsign.pid().as_raw_nonzero());
    eventually("the server waits for the lock", async || {
        let threads = std::fs::read_dir(&tasks).unwrap();
        threads.flatten().find_map(|thread| {
            // A thread may have ended meanwhile.
            let place = std::fs::read_to_string(thread.path().join("wchan")).ok()?;
            place.contains("nanosleep").then_some(())
        })
    })
    .await;
}
