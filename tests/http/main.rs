//! The server as pages, developers, balancers and strangers meet it: over HTTP, byte by byte.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod accounts;
mod bad_page;
mod bad_request;
mod bare;
mod connections;
mod cors;
mod harness;
mod limits;
mod pages;
mod problems;
mod proxy;
mod report;
mod signature;
mod unavailable;
mod wire;
