//! The client of WeChat's API, and of WeCom's.

use std::net::IpAddr;
use std::time::Duration;

use futures_core::future::BoxFuture;
use http::header::DATE;
use jiff::fmt::rfc2822;
use reqwest::{Client, RequestBuilder, Url, redirect};
use serde::Serialize;

use super::{Api, CALL_TIMEOUT, Failure, Issued, Upstream, UpstreamError, answer, ticket_type};
use crate::account::{Account, TokenApi};
use crate::clock::{Clock, Timestamp};
use crate::credential::{Kind, Secret, serialize_exposed};

/// How long a connection, TLS included, may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Calls are minutes apart, and WeChat's servers close idle connections before that: one is kept
/// only from the token to the ticket.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// The APIs over HTTP.
#[derive(Clone)]
pub struct WeChat {
    client: Client,
    base: Url,
    wecom: Url,
}

impl WeChat {
    /// A client of WeChat's API at `base`, such as `https://api.weixin.qq.com`, and of WeCom's at
    /// `wecom`, such as `https://qyapi.weixin.qq.com`.
    ///
    /// # Errors
    /// One is not the address of a server, or TLS cannot be set up.
    pub fn new(base: &str, wecom: &str) -> Result<Self, InvalidUpstream> {
        let (base, wecom) = (base_url(base)?, base_url(wecom)?);
        let client = client(&[&base, &wecom])?;
        Ok(Self {
            client,
            base,
            wecom,
        })
    }

    /// What speaks to the APIs.
    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Where the API is for accounts that get their tokens by `token_api`.
    pub(super) const fn base(&self, token_api: TokenApi) -> &Url {
        match token_api {
            TokenApi::Classic | TokenApi::Stable => &self.base,
            TokenApi::WeCom => &self.wecom,
        }
    }

    /// The host of the API and its port, for accounts that get their tokens by `token_api`.
    pub fn host(&self, token_api: TokenApi) -> (&str, u16) {
        let base = self.base(token_api);
        let host = base.host_str().unwrap_or_default();
        (host, base.port_or_known_default().unwrap_or(443))
    }

    /// Finds out whether there is a way to the API, by a call without a token, which it refuses.
    ///
    /// # Errors
    /// What stands in the way.
    pub async fn reach(
        &self,
        token_api: TokenApi,
        clock: &Clock,
    ) -> Result<Reached, UpstreamError> {
        let api = Api::for_probe(token_api);
        let started = clock.moment();
        let request = self.client.get(self.url(api)).timeout(CALL_TIMEOUT);
        let sent = request.send().await;
        let answer = sent.map_err(|error| UpstreamError {
            api,
            failure: failure(&error),
        })?;
        let date = answer.headers().get(DATE);
        let date = date.and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| rfc2822::DateTimeParser::new().parse_timestamp(date).ok());
        let ended = clock.moment();
        Ok(Reached {
            at: ended.wall,
            date: date.map(|date| Timestamp::from_secs(date.as_second())),
            took: ended.boot.saturating_sub(started.boot),
        })
    }

    fn url(&self, api: Api) -> Url {
        let base = if api.is_wecoms() {
            &self.wecom
        } else {
            &self.base
        };
        let mut url = base.clone();
        url.set_path(api.path());
        url
    }

    /// Sends one request and reads its answer. What it says of `secrets` is cut out of errors.
    async fn call<T>(
        &self,
        api: Api,
        request: RequestBuilder,
        secrets: &[&Secret],
        read: impl FnOnce(u16, &[u8]) -> Result<T, UpstreamError>,
    ) -> Result<T, UpstreamError> {
        let (status, body) = send(request.timeout(CALL_TIMEOUT))
            .await
            .map_err(|failure| UpstreamError { api, failure })?;
        read(status, &body).map_err(|error| error.without(secrets))
    }
}

impl Upstream for WeChat {
    fn fetch_token<'a>(
        &'a self,
        account: &'a Account,
    ) -> BoxFuture<'a, Result<Issued, UpstreamError>> {
        Box::pin(async move {
            let (appid, secret) = (account.appid.as_str(), &account.secret);
            let grant_type = "client_credential";
            let api = Api::for_token(account.token_api);
            let url = self.url(api);
            let request = match account.token_api {
                TokenApi::WeCom => {
                    let query = [
                        ("corpid", account.appid.for_config()),
                        ("corpsecret", secret.expose()),
                    ];
                    self.client.get(url).query(&query)
                }
                TokenApi::Classic => {
                    let query = [
                        ("grant_type", grant_type),
                        ("appid", appid),
                        ("secret", secret.expose()),
                    ];
                    self.client.get(url).query(&query)
                }
                TokenApi::Stable => {
                    let body = StableToken {
                        grant_type,
                        appid,
                        secret,
                        force_refresh: false,
                    };
                    let body = serde_json::to_vec(&body).expect("it has only text keys");
                    self.client
                        .post(url)
                        .header("content-type", "application/json")
                        .body(body)
                }
            };
            self.call(api, request, &[secret], |status, body| {
                answer::token(api, status, body)
            })
            .await
        })
    }

    fn fetch_ticket<'a>(
        &'a self,
        account: &'a Account,
        kind: Kind,
        token: &'a Secret,
    ) -> BoxFuture<'a, Result<Issued, UpstreamError>> {
        Box::pin(async move {
            let api = Api::for_ticket(account.token_api, kind);
            let query = [
                ("access_token", token.expose()),
                ("type", ticket_type(kind)),
            ];
            let asked = match api {
                Api::GetJsapiTicket => &query[..1],
                _ => &query[..],
            };
            let request = self.client.get(self.url(api)).query(asked);
            let secrets = [token, &account.secret];
            self.call(api, request, &secrets, |status, body| {
                answer::ticket(api, status, body)
            })
            .await
        })
    }

    fn verify_token<'a>(
        &'a self,
        account: &'a Account,
        token: &'a Secret,
    ) -> BoxFuture<'a, Result<(), UpstreamError>> {
        Box::pin(async move {
            let query = [("access_token", token.expose())];
            let api = Api::for_probe(account.token_api);
            let request = self.client.get(self.url(api)).query(&query);
            let secrets = [token, &account.secret];
            self.call(api, request, &secrets, |status, body| {
                answer::probe(api, status, body)
            })
            .await
        })
    }
}

impl std::fmt::Debug for WeChat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WeChat({})", self.base)
    }
}

/// There is a way to the API.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reached {
    /// When it answered, by the clock here.
    pub at: Timestamp,
    /// The same by its own clock, in whole seconds.
    pub date: Option<Timestamp>,
    /// How long name, connection, TLS and answer took.
    pub took: Duration,
}

/// The body of `POST /cgi-bin/stable_token`.
#[derive(Serialize)]
struct StableToken<'a> {
    grant_type: &'a str,
    appid: &'a str,
    #[serde(serialize_with = "serialize_exposed")]
    secret: &'a Secret,
    force_refresh: bool,
}

/// Reads the address of a server.
pub(super) fn base_url(base: &str) -> Result<Url, InvalidUpstream> {
    let invalid = |why: &str| InvalidUpstream(format!("{base:?} {why}"));
    let base = Url::parse(base).map_err(|error| invalid(&format!("is not a URL ({error})")))?;
    if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
        return Err(invalid(
            "does not begin with http:// or https:// and a host",
        ));
    }
    if base.path() != "/" || base.query().is_some() || base.fragment().is_some() {
        return Err(invalid("has something behind the host: leave it out"));
    }
    if !base.username().is_empty() || base.password().is_some() {
        return Err(invalid("has user information: leave it out"));
    }
    Ok(base)
}

/// A client of the APIs at `bases`. It sets no time limit for the whole of a call: a large body
/// takes what it takes.
pub(super) fn client(bases: &[&Url]) -> Result<Client, InvalidUpstream> {
    let is_local = |base: &&Url| is_loopback(base.host_str().unwrap_or_default());
    let prepared = || {
        let builder = Client::builder()
            .user_agent(concat!("wxsign/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .redirect(redirect::Policy::none())
            // A repeated fetch is a second fetch: the keeper alone decides about it.
            .retry(reqwest::retry::never());
        if bases.iter().any(is_local) {
            // A proxy of the machine's user is not meant for a simulator beside this program.
            builder.no_proxy()
        } else {
            builder
        }
    };
    // On a machine without CA certificates that fails, and those of this program stand in.
    let of_machine = prepared().build();
    let of_program = |_| {
        let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
        let roots = roots.filter_map(|root| reqwest::Certificate::from_der(root).ok());
        prepared().tls_certs_merge(roots).build()
    };
    of_machine
        .or_else(of_program)
        .map_err(|error| InvalidUpstream(format!("TLS cannot be set up: {}", why(&error))))
}

/// Sends a request; returns the status and the body of its answer.
pub(super) async fn send(request: RequestBuilder) -> Result<(u16, Vec<u8>), Failure> {
    let mut response = request.send().await.map_err(|error| failure(&error))?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= answer::MAX_ANSWER_BYTES => {
                body.extend_from_slice(&chunk);
            }
            Ok(Some(_)) => {
                let limit = answer::MAX_ANSWER_BYTES / 1024;
                return Err(Failure::Lost(format!(
                    "the answer is larger than {limit} KiB"
                )));
            }
            Ok(None) => return Ok((status, body)),
            Err(error) => return Err(Failure::Lost(why(&error))),
        }
    }
}

fn failure(error: &reqwest::Error) -> Failure {
    let why = why(error);
    if was_not_sent(error) {
        Failure::NotSent(why)
    } else {
        Failure::Lost(why)
    }
}

/// Whether a request failed before any of it left.
pub(super) fn was_not_sent(error: &reqwest::Error) -> bool {
    error.is_connect() || error.is_dns() || error.is_builder()
}

/// The innermost reason of an error. The outer ones name the URL, and with it the secret.
pub(super) fn why(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut reason: &dyn std::error::Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    if std::ptr::addr_eq(reason, error) {
        return "the request could not be made".to_owned();
    }
    reason.to_string()
}

/// Whether a host, as it stands in a URL, is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// The address of the upstream cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "the upstream {0}; WeChat's own is https://api.weixin.qq.com, WeCom's is \
     https://qyapi.weixin.qq.com"
)]
pub struct InvalidUpstream(String);

impl InvalidUpstream {
    /// The address, and what is wrong with it.
    pub(super) fn what(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DEFAULT_UPSTREAM, DEFAULT_WECOM_UPSTREAM};

    #[test]
    fn an_upstream_is_the_address_of_a_server() {
        for good in [
            "https://api.weixin.qq.com",
            "https://api2.weixin.qq.com/",
            "http://127.0.0.1:9000",
            "http://[::1]:9000",
        ] {
            assert!(WeChat::new(good, good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "api.weixin.qq.com",
            "ftp://api.weixin.qq.com",
            "https://api.weixin.qq.com/cgi-bin",
            "https://api.weixin.qq.com/?x",
            "https://user@api.weixin.qq.com",
            "https://",
        ] {
            for bases in [(bad, DEFAULT_WECOM_UPSTREAM), (DEFAULT_UPSTREAM, bad)] {
                let error = WeChat::new(bases.0, bases.1).unwrap_err().to_string();
                assert!(error.contains("https://api.weixin.qq.com"), "{error}");
            }
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (host, loopback) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("localhost", true),
            ("[::1]", true),
            ("api.weixin.qq.com", false),
            ("127.0.0.1.example.com", false),
        ] {
            assert_eq!(is_loopback(host), loopback, "{host}");
        }
    }

    #[tokio::test]
    async fn a_refused_connection_was_not_sent_and_its_error_names_no_secret() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let account = Account {
            appid: "wx0123456789abcdef".parse().unwrap(),
            name: None,
            secret: Secret::new("canary-secret"),
            token_api: TokenApi::Classic,
            page_hosts: crate::page_hosts::PageHosts::default(),
            wx_card: false,
        };
        let app = Account {
            appid: "ww0123456789abcdef-1000002".parse().unwrap(),
            token_api: TokenApi::WeCom,
            ..account.clone()
        };
        let base = format!("http://{address}");
        let wechat = WeChat::new(&base, &base).unwrap();
        for account in [account, app] {
            let error = wechat.fetch_token(&account).await.unwrap_err();
            assert!(matches!(error.failure, Failure::NotSent(_)), "{error:?}");
            assert!(error.to_string().contains("refused"), "{error}");
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
    }
}
