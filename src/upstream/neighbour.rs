//! Asks another wxsign: what a command on one machine wants to know of the server on another.

use http::header::{AUTHORIZATION, CONTENT_TYPE};

use super::wechat::{base_url, client, send};
use super::{CALL_TIMEOUT, Failure};
use crate::credential::Secret;

/// Posts JSON to `path` of the server at `base`, with the key of a client if there is one; returns
/// the status and the body of its answer.
///
/// # Errors
/// `base` is not the address of a server, or no answer came, and why.
pub async fn post_json(
    base: &str,
    path: &str,
    key: Option<&Secret>,
    body: Vec<u8>,
) -> Result<(u16, Vec<u8>), String> {
    let mut url = base_url(base).map_err(|invalid| invalid.what().to_owned())?;
    let client = client(&[&url]).map_err(|invalid| invalid.what().to_owned())?;
    url.set_path(path);
    let mut request = client.post(url).header(CONTENT_TYPE, "application/json");
    if let Some(key) = key {
        request = request.header(AUTHORIZATION, format!("Bearer {}", key.expose()));
    }
    send(request.body(body).timeout(CALL_TIMEOUT))
        .await
        .map_err(|failure| match failure {
            Failure::NotSent(why) | Failure::Lost(why) => format!("{base}: {why}"),
            other => format!("{base}: {other:?}"),
        })
}
