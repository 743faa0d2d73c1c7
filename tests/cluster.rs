//! Several real servers that share a store: what they cost WeChat, how soon they agree, and what
//! they bear. WeChat is the simulator, in this process; its ledger is the judge.
//!
//! `WXSIGN_CHAOS_SECONDS` and `WXSIGN_STEADY_SECONDS` make the long stories longer.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[path = "cluster/chaos.rs"]
mod chaos;
#[path = "cluster/demo.rs"]
mod demo;
#[path = "engines/harness.rs"]
#[expect(dead_code, reason = "other tests need the rest")]
mod engines;
#[path = "cluster/faults.rs"]
mod faults;
#[path = "cluster/judge.rs"]
mod judge;
#[path = "cluster/node.rs"]
mod node;
#[path = "cluster/sharing.rs"]
mod sharing;
#[path = "cluster/steady.rs"]
mod steady;
#[path = "cluster/wechat.rs"]
mod wechat;
