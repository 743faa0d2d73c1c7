//! Every place to keep records, against real servers: all pass one suite, and each shows how it
//! bears what happens to it.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[path = "engines/harness.rs"]
#[expect(dead_code, reason = "other tests need the rest")]
mod engines;
#[path = "store/files.rs"]
mod files;
#[path = "store/postgres.rs"]
mod postgres;
#[path = "store/redis.rs"]
mod redis;
#[path = "store/suite.rs"]
mod suite;
