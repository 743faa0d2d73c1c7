//! Finds the server that can be written to, and connects to it.

use std::sync::Arc;

use ::redis::aio::MultiplexedConnection;
use ::redis::{
    AsyncConnectionConfig, ProtocolVersion, PushInfo, PushKind, RedisConnectionInfo, RedisError,
    cmd,
};
use tokio::sync::mpsc;

use super::{Keys, failure, hint};
use crate::credential::Secret;
use crate::store::dial::Dialer;
use crate::store::link::first_of;
use crate::store::{Endpoint, Engine, Hint, ServerUrl, StoreError};

/// How often a member of a cluster may send on to another one.
const HOPS: usize = 5;

/// What is needed to connect.
pub(super) struct Server {
    engine: Engine,
    endpoints: Vec<Endpoint>,
    dialer: Dialer,
    user: Option<String>,
    password: Option<Secret>,
    database: i64,
    keys: Keys,
    tell: mpsc::UnboundedSender<Hint>,
}

/// Who is spoken to.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    /// It keeps the records, and tells of changes.
    Store,
    /// It knows where to find the one that does.
    Sentinel,
}

impl Server {
    pub(super) fn new(
        url: &ServerUrl,
        keys: Keys,
        tell: mpsc::UnboundedSender<Hint>,
    ) -> Result<Self, StoreError> {
        let database = url.database.as_deref().unwrap_or("0");
        Ok(Self {
            engine: url.engine.clone(),
            endpoints: url.endpoints.clone(),
            dialer: Dialer::new(url)?,
            user: url.user.clone(),
            password: url.password.clone(),
            database: database.parse().unwrap_or_default(),
            keys,
            tell,
        })
    }

    /// Connects to the first server that can be found by way of one of the endpoints.
    pub(super) async fn connect(self: Arc<Self>) -> Result<MultiplexedConnection, StoreError> {
        let (endpoint, connection) = first_of(&self.endpoints, |endpoint| {
            let server = Arc::clone(&self);
            async move {
                match &server.engine {
                    Engine::Sentinel { master } => server.by_sentinel(&endpoint, master).await,
                    Engine::Cluster => server.by_member(endpoint).await,
                    Engine::Redis | Engine::Postgres => {
                        let connection = server.open(&endpoint, Role::Store).await?;
                        Ok((endpoint, connection))
                    }
                }
            }
        })
        .await?;
        tracing::info!(%endpoint, "connected to the store");
        Ok(connection)
    }

    /// Asks a Sentinel for the master, and the master whether it knows that it is one: after a
    /// failover either may be behind
    /// (<https://redis.io/docs/latest/develop/reference/sentinel-clients/>).
    async fn by_sentinel(
        &self,
        sentinel: &Endpoint,
        master: &str,
    ) -> Result<(Endpoint, MultiplexedConnection), StoreError> {
        let mut asked = self.open(sentinel, Role::Sentinel).await?;
        let mut ask = cmd("SENTINEL");
        ask.arg("get-master-addr-by-name").arg(master);
        let address: Option<(String, u16)> = ask
            .query_async(&mut asked)
            .await
            .map_err(|error| failure(&error))?;
        let Some((host, port)) = address else {
            return Err(StoreError(format!(
                "the Sentinel {sentinel} knows no master named {master}"
            )));
        };
        let endpoint = Endpoint::Tcp(host, port);
        let mut connection = self.open(&endpoint, Role::Store).await?;
        let role: Vec<::redis::Value> = cmd("ROLE")
            .query_async(&mut connection)
            .await
            .map_err(|error| failure(&error))?;
        match role.first() {
            Some(::redis::Value::BulkString(role)) if role == b"master" => {
                Ok((endpoint, connection))
            }
            _ => Err(StoreError(format!("{endpoint} is no master yet"))),
        }
    }

    /// Asks a member of the cluster for a key, and goes where it is sent.
    async fn by_member(
        &self,
        member: Endpoint,
    ) -> Result<(Endpoint, MultiplexedConnection), StoreError> {
        let mut endpoint = member.clone();
        for _ in 0..HOPS {
            let mut connection = self.open(&endpoint, Role::Store).await?;
            let mut get = cmd("GET");
            get.arg(self.keys.named("position"));
            let found: Result<Option<u64>, RedisError> = get.query_async(&mut connection).await;
            let Err(error) = found else {
                return Ok((endpoint, connection));
            };
            // A slot that is on its way (ASK) is waited for.
            let moved = error.code() == Some("MOVED");
            let Some((address, _)) = error.redirect_node().filter(|_| moved) else {
                return Err(StoreError(format!("{endpoint}: {}", failure(&error).0)));
            };
            endpoint = sent_to(address, &endpoint)
                .ok_or_else(|| StoreError(format!("{endpoint} names no address: {address}")))?;
        }
        Err(StoreError(format!(
            "the members of the cluster send from one to the other, beginning with {member}"
        )))
    }

    /// Connects to one server. A Sentinel has its own users: it is told the password only if it
    /// does not answer without.
    async fn open(
        &self,
        endpoint: &Endpoint,
        role: Role,
    ) -> Result<MultiplexedConnection, StoreError> {
        let attempts: &[_] = match role {
            // The second before version 6, or for a user who may not say HELLO: without hints.
            Role::Store => &[
                (true, ProtocolVersion::RESP3),
                (true, ProtocolVersion::RESP2),
            ],
            Role::Sentinel => &[
                (false, ProtocolVersion::RESP2),
                (true, ProtocolVersion::RESP2),
            ],
        };
        let mut failed = None;
        for &(with_password, protocol) in attempts {
            match self.open_as(endpoint, role, with_password, protocol).await {
                Ok(connection) => return Ok(connection),
                Err(Refused::Unreachable(error)) => return Err(error),
                Err(Refused::Said(error)) => failed = Some(error),
            }
        }
        let failed = failed.unwrap_or_else(|| StoreError("it was not tried".to_owned()));
        Err(StoreError(format!("{endpoint}: {}", failed.0)))
    }

    async fn open_as(
        &self,
        endpoint: &Endpoint,
        role: Role,
        with_password: bool,
        protocol: ProtocolVersion,
    ) -> Result<MultiplexedConnection, Refused> {
        let dialled = self.dialer.dial(endpoint).await;
        let stream = dialled.map_err(Refused::Unreachable)?;
        let mut info = RedisConnectionInfo::default()
            .set_protocol(protocol)
            .set_skip_set_lib_name();
        if role == Role::Store {
            info = info.set_db(self.database);
        }
        if let (true, Some(password)) = (with_password, &self.password) {
            info = info.set_password(password.expose());
            if let Some(user) = &self.user {
                info = info.set_username(user);
            }
        }
        let hears = protocol == ProtocolVersion::RESP3;
        let mut config = AsyncConnectionConfig::new().set_response_timeout(None);
        if hears {
            let tell = self.tell.clone();
            config = config.set_push_sender(move |pushed: PushInfo| {
                if pushed.kind == PushKind::Message
                    && let Some(hint) = hint(&pushed.data)
                {
                    // Nobody listens: then nobody wants to know.
                    let _ = tell.send(hint);
                }
                Ok::<_, ::redis::aio::SendError>(())
            });
        }
        let said = |error: RedisError| Refused::Said(failure(&error));
        let connected = MultiplexedConnection::new_with_config(&info, stream, config).await;
        let (mut connection, driver) = connected.map_err(said)?;
        tokio::spawn(driver);
        if hears && let Err(error) = connection.subscribe(self.keys.hints()).await {
            tracing::warn!(
                error = failure(&error).0,
                "no hints: changes are seen when looked for"
            );
        }
        // Who wants a password says so only now.
        let _: String = cmd("PING")
            .query_async(&mut connection)
            .await
            .map_err(said)?;
        tracing::debug!(%endpoint, hints = hears, "connected");
        Ok(connection)
    }
}

/// Why there is no connection.
enum Refused {
    /// There is nobody.
    Unreachable(StoreError),
    /// There is somebody, who does not want to talk so.
    Said(StoreError),
}

/// The endpoint that `address`, as `HOST:PORT`, means when `from` says it: without a host, its own.
fn sent_to(address: &str, from: &Endpoint) -> Option<Endpoint> {
    let (host, port) = address.rsplit_once(':')?;
    let port = port.parse().ok()?;
    match (host, from) {
        ("" | "?", Endpoint::Tcp(host, _)) => Some(Endpoint::Tcp(host.clone(), port)),
        ("" | "?", Endpoint::Unix(_)) => None,
        (host, _) => Some(Endpoint::Tcp(host.to_owned(), port)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_member_that_names_no_host_means_its_own() {
        let from = Endpoint::Tcp("a".to_owned(), 1);
        let sent = |address| sent_to(address, &from);
        assert_eq!(sent("b:2"), Some(Endpoint::Tcp("b".to_owned(), 2)));
        assert_eq!(sent("::1:2"), Some(Endpoint::Tcp("::1".to_owned(), 2)));
        assert_eq!(sent(":2"), Some(Endpoint::Tcp("a".to_owned(), 2)));
        assert_eq!(sent("b"), None);
    }

    proptest! {
        /// A MOVED, or what a Sentinel says about a master.
        #[test]
        fn a_member_is_reached_where_it_says(address in "[a-z0-9.:?\\[\\]+-]{0,20}|.{0,8}") {
            let from = Endpoint::Tcp("a".to_owned(), 1);
            if let Some(endpoint) = sent_to(&address, &from) {
                let Endpoint::Tcp(host, port) = endpoint else {
                    panic!("no member has a socket of ours");
                };
                let is_meant = ["", "?", &host].iter().any(|host| {
                    let rest = address.strip_prefix(host).and_then(|rest| rest.strip_prefix(':'));
                    rest.and_then(|port| port.parse().ok()) == Some(port)
                });
                prop_assert!(is_meant, "{} is no {:?}:{}", address, host, port);
                prop_assert!(!host.is_empty());
            }
        }
    }
}
