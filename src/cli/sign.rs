use std::convert::Infallible;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{Failure, answer};
use crate::clock::Clock;
use crate::credential::Secret;
use crate::page_url::PageUrl;
use crate::signer::{Nonce, Signer};

/// Sign one page offline, with a ticket that you have
///
/// Prints what wx.config wants beside the appId and the jsApiList. With the nonce and timestamp
/// of a refused page it shows whether the ticket and the url were the right ones.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  wxsign sign --ticket-file ticket.txt --url 'https://h5.example.com/page?id=1'")]
pub(super) struct SignArgs {
    #[command(flatten)]
    ticket: Ticket,
    /// Address of the page, as location.href has it; it is cut at the first #
    #[arg(long)]
    url: String,
    /// The nonceStr [default: a random one]
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    nonce: Option<String>,
    /// The timestamp, in seconds since 1970 [default: now]
    #[arg(long, value_name = "SECONDS")]
    timestamp: Option<i64>,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Ticket {
    /// The jsapi_ticket; others may see it in the list of processes and the shell's history
    #[arg(long, value_parser = secret)]
    ticket: Option<Secret>,
    /// A file that holds the jsapi_ticket, or - for stdin
    #[arg(long, value_name = "FILE")]
    ticket_file: Option<PathBuf>,
}

/// The fields of wx.config, named as it wants them
/// (<https://developers.weixin.qq.com/doc/offiaccount/OA_Web_Apps/JS-SDK.html>).
#[derive(serde::Serialize)]
struct Signed<'a> {
    timestamp: i64,
    #[serde(rename = "nonceStr")]
    nonce: &'a str,
    signature: &'a str,
    url: &'a str,
}

pub(super) fn run(args: SignArgs) -> Result<(), Failure> {
    let ticket = read_ticket(args.ticket)?;
    let url = PageUrl::parse(&args.url).map_err(|why| Failure::Usage(why.to_string()))?;
    let nonce = args
        .nonce
        .unwrap_or_else(|| Nonce::random().as_str().to_owned());
    let timestamp = args
        .timestamp
        .unwrap_or_else(|| Clock::system().now().as_secs());
    let signature = Signer::new(&ticket).sign(&nonce, timestamp, url);
    let signed = Signed {
        timestamp,
        nonce: &nonce,
        signature: signature.as_str(),
        url: url.as_str(),
    };
    let json = serde_json::to_string_pretty(&signed)
        .map_err(|why| Failure::Other(format!("cannot write JSON: {why}")))?;
    answer(&(json + "\n"))
}

fn read_ticket(ticket: Ticket) -> Result<Secret, Failure> {
    match (ticket.ticket, ticket.ticket_file) {
        (Some(ticket), _) => checked(ticket),
        (None, Some(path)) => ticket_in(&path),
        (None, None) => checked(Secret::new("")),
    }
}

/// Reads the jsapi_ticket that a file holds, or stdin for `-`.
pub(super) fn ticket_in(path: &Path) -> Result<Secret, Failure> {
    let text = read_text(path, "the ticket")?;
    checked(Secret::new(text.trim()))
}

/// Reads a file, or stdin for `-`.
pub(super) fn read_text(path: &Path, what: &str) -> Result<String, Failure> {
    let failed = |from: &dyn std::fmt::Display, why: io::Error| {
        Failure::Other(format!("cannot read {what} from {from}: {why}"))
    };
    if path == Path::new("-") {
        let mut text = String::new();
        let read = io::stdin().read_to_string(&mut text);
        return read.map(|_| text).map_err(|why| failed(&"stdin", why));
    }
    fs::read_to_string(path).map_err(|why| failed(&path.display(), why))
}

fn checked(ticket: Secret) -> Result<Secret, Failure> {
    if ticket.expose().is_empty() {
        return Err(Failure::Usage(
            "the ticket is empty: give the jsapi_ticket that WeChat answered".to_owned(),
        ));
    }
    Ok(ticket)
}

fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text.trim()))
}
