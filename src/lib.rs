//! wxsign holds the `access_token` and `jsapi_ticket` of WeChat official accounts (微信公众号) and of
//! WeCom apps (企业微信), and signs `wx.config` for their pages.
//!
//! # Layout
//! Each module uses only those below it:
//!
//! | module | what it is |
//! |---|---|
//! | [`cli`] | the command line: one file per verb |
//! | [`server`] | HTTP: the front door, the routes, the connections |
//! | [`doctor`] | tries what the server needs, and says how to mend what fails |
//! | [`metrics`] | what a monitoring system reads |
//! | [`debugger`] | why WeChat calls a signature invalid |
//! | [`app`] | where the parts meet, built once and read from top to bottom |
//! | [`console`] | who may look at the console: the password, and the browsers that have shown it |
//! | [`rates`] | how many signatures a minute were made |
//! | [`roster`] | which accounts and clients there are: those of the configuration and those added at run time |
//! | [`keeper`] | renews credentials and holds them ready |
//! | [`history`] | what happened, for people |
//! | [`store`] | where processes share what they know: load and compare-and-swap, in memory, a file, Redis or PostgreSQL |
//! | [`upstream`] | WeChat's API and WeCom's: one call, one answer; the only user of reqwest, but for the health check |
//! | [`diagnosis`] | the classic mistakes, and which of them a signature was made with |
//! | [`signer`] | signs one page with one ticket; coupons in [`signer::card`] |
//! | [`vault`] | keeps AppSecrets and records unreadable where they are stored |
//! | [`account`], [`client`], [`page_hosts`], [`page_url`], [`credential`], [`clock`] | the words that all of it is made of |
//!
//! Beside them stand [`simulator`], which is WeChat's side (an [`upstream::Upstream`] for tests, a
//! server for the demo, with routes of its own), and [`config`], [`telemetry`] and [`shutdown`],
//! which a program needs.
//!
//! # The way of a request
//! `GET /jsapi/signature?url=…` is answered by [`server`] from the bytes of the connection, ahead
//! of hyper, or in front of the router if it is not just as pages send it:
//! [`page_url::PageUrl::parse`] checks the URL and cuts it at `#`, the account is looked up, its
//! [`keeper::Snapshot`] has a [`signer::Signer`] ready, and the answer is written. No lock, no
//! store, no waiting. Only where there is no ticket yet does the request wait for the keeper, in a
//! handler behind the router.
//!
//! # The way of a credential
//! The keeper's queue finds an account due, or is nudged, and runs a step for it: load the record
//! from the store, take the lease in it, ask WeChat, put the answer in, publish the token; then
//! the same for the ticket, from which a new signer is built. A second process, or this one after
//! a restart, finds the record and adopts what is in it; [`app`] follows what others change, by
//! hints and by looking. What a step does is decided by pure functions over the record, so that
//! they can be tested without any of this.
//!
//! # What always holds
//! - A signature that is handed out is made with a ticket that WeChat accepts. What WeCom had
//!   issued to others before it was seen here may have ended since the last look at it, minutes ago.
//! - A failed renewal takes nothing away: the old credential is served to its end.
//! - WeChat is called by one step at a time for an account, under a lease, and never because a
//!   client asked: clients wait for the step that runs. The one exception is an AppSecret that is
//!   tried before it is stored, by a call that supersedes nothing. While a shared store is lost,
//!   there are no leases: only calls that supersede nothing are made, and those of the one node
//!   that is named `solo`.
//! - What was signed are the bytes that came in.
//! - No secret is printed: [`credential::Secret`] cannot be.
#![forbid(unsafe_code)]

pub mod account;
pub mod app;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod console;
mod costly;
pub mod credential;
pub mod debugger;
pub mod diagnosis;
pub mod doctor;
pub mod history;
pub mod keeper;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod laws;
pub mod metrics;
mod nearest;
pub mod page_hosts;
pub mod page_url;
pub mod rates;
pub mod roster;
pub mod server;
mod sharded;
pub mod shutdown;
pub mod signer;
pub mod simulator;
pub mod store;
pub mod telemetry;
mod timings;
pub mod upstream;
pub mod vault;
