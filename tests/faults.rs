//! Every fault in every state: what readers get, what WeChat is asked, and when all is well again.
//!
//! [`table`] is the one table; each row is a test, and each of its cells is named
//! `fault/state/api`. A cell brings an account into its state ([`state`]), strikes, and looks on
//! for an hour; then the fault ends, and within the row's time all must be well ([`cell`]).
//! Nothing here waits: time is paused, and there are no sockets ([`world`],
//! [`parts`]).

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[path = "faults/cell.rs"]
mod cell;
#[path = "faults/parts.rs"]
mod parts;
#[path = "faults/state.rs"]
mod state;
#[path = "faults/table.rs"]
mod table;
#[path = "faults/world.rs"]
mod world;
