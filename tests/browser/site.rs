//! A site as its owner would have it: pages of their own, and wxsign behind the same host.
//!
//! Its address in the browser is `http://localhost:PORT` with wxsign's port, because that is what
//! `wxsign demo` signs for; the browser is told to connect to the site instead.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use axum::response::{Html, IntoResponse, Response};
use tempfile::TempDir;

/// The pages and what stands in for WeChat.
#[derive(Clone)]
pub(crate) struct Site {
    /// `127.0.0.1:PORT`, where it really is.
    pub(crate) address: String,
    /// `http://localhost:PORT`, where the browser finds it.
    pub(crate) origin: String,
    wxsign: String,
    folder: Arc<TempDir>,
    /// The WeChat that opens the next page.
    client: Arc<Mutex<String>>,
    proxy: reqwest::Client,
}

impl Site {
    /// Serves each folder in `folder` as an application, all else from `wxsign`.
    pub(crate) async fn open(wxsign: &str, folder: TempDir) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let site = Self {
            address: listener.local_addr().expect("a bound socket").to_string(),
            origin: wxsign.replace("127.0.0.1", "localhost"),
            wxsign: wxsign.to_owned(),
            folder: Arc::new(folder),
            client: Arc::default(),
            proxy: reqwest::Client::builder()
                .no_proxy()
                .build()
                .expect("a client without options"),
        };
        let router = Router::new().fallback(answer).with_state(site.clone());
        tokio::spawn(async { axum::serve(listener, router).await });
        site
    }

    /// Has the following pages opened by `client`, a key of CLIENTS in `simulated-client.js`.
    pub(crate) fn opened_by(&self, client: &str) {
        *self.client.lock().expect("no test panicked in here") = client.to_owned();
    }

    /// The file of an application, or its only page for all the routes that it has.
    fn page(&self, path: &str) -> Option<Response> {
        let application = path.split('/').nth(1).filter(|name| !name.is_empty())?;
        let folder = self.folder.path().join(application);
        if !folder.is_dir() {
            return None;
        }
        let file = self.folder.path().join(path.trim_start_matches('/'));
        if path.ends_with(".js") {
            let script = std::fs::read(file).ok()?;
            return Some(([(CONTENT_TYPE, "text/javascript")], script).into_response());
        }
        let page = std::fs::read_to_string(folder.join("index.html")).ok()?;
        let client = self.client.lock().expect("no test panicked in here");
        let simulated = format!(
            "<head><script src=\"/static/simulated-client.js\" data-client=\"{client}\"></script>"
        );
        Some(Html(page.replacen("<head>", &simulated, 1)).into_response())
    }
}

async fn answer(State(site): State<Site>, request: Request) -> Response {
    if let Some(page) = site.page(request.uri().path()) {
        return page;
    }
    pass_on(&site, request)
        .await
        .unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, error.to_string()).into_response())
}

async fn pass_on(site: &Site, request: Request) -> Result<Response, reqwest::Error> {
    let (mut head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.expect("a small body");
    head.headers.remove(HOST);
    let target = format!("{}{}", site.wxsign, head.uri);
    let asked = site.proxy.request(head.method, target);
    let answer = asked.headers(head.headers).body(body).send().await?;
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    headers.remove(TRANSFER_ENCODING);
    headers.remove(CONTENT_LENGTH);
    let mut response = Response::new(Body::from(answer.bytes().await?));
    (*response.status_mut(), *response.headers_mut()) = (status, headers);
    Ok(response)
}
