//! The server as pages, developers, balancers and strangers meet it: over HTTP, byte by byte.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod accounts;
mod addresses;
mod back_ends;
mod bad_page;
mod bad_report;
mod bad_request;
mod bare;
mod cards;
mod clients;
mod connections;
mod console;
mod cors;
mod debug;
mod dropin;
mod events;
mod frontend;
mod harness;
mod hostile;
mod http2;
mod keys;
mod limits;
mod long_polls;
mod openapi;
mod operators;
mod pages;
mod passing;
mod problems;
mod proxy;
mod report;
mod sdks;
mod signature;
mod unavailable;
mod wecom;
mod wire;
