//! The server as pages, developers, balancers and strangers meet it: over HTTP, byte by byte.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod bad_page;
mod bad_request;
mod connections;
mod cors;
mod harness;
mod limits;
mod openapi;
mod pages;
mod problems;
mod report;
mod signature;
mod unavailable;
mod wire;
