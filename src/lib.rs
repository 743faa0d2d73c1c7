//! wxsign (crate documentation follows once the parts stand)
#![forbid(unsafe_code)]
pub mod account;
pub mod clock;
pub mod credential;
pub mod page_url;
pub mod simulator;
pub mod upstream;
