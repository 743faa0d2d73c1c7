//! wxsign (crate documentation follows once the parts stand)
#![forbid(unsafe_code)]
pub mod account;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod credential;
pub mod keeper;
pub mod page_url;
pub mod server;
pub mod shutdown;
pub mod signer;
pub mod simulator;
pub mod store;
pub mod telemetry;
pub mod upstream;
