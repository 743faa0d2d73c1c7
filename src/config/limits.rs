//! How much one caller may ask for.

use super::report::Report;
use super::section::Section;

/// How much one caller may ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// `signatures_per_address`: to one client address a second, 0 for any number. Default 50.
    pub signatures_per_address: u32,
    /// `signatures_per_account`: for one account a second, 0 for any number. Default 0.
    pub signatures_per_account: u32,
    /// `repeatable_bytes`: the body of a call that is passed on to WeChat is kept up to this
    /// size, so that the call can be repeated with a new token; 0 repeats only calls without a
    /// body. Default 262144.
    pub repeatable_bytes: u32,
    /// `connections`: open at one time, for pages and for the admin address each, 0 for any number.
    /// Default 16384, and never more than the system allows files.
    pub connections: u32,
    /// `connections_per_address`: open at one time from one client address, 0 for any number;
    /// trusted proxies and programs on this machine may have more. Default 256.
    pub connections_per_address: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            signatures_per_address: 50,
            signatures_per_account: 0,
            repeatable_bytes: 256 * 1024,
            connections: 16_384,
            connections_per_address: 256,
        }
    }
}

pub(super) fn read(top: &mut Section<'_>, report: &mut Report) -> Limits {
    let mut limits = Limits::default();
    let mut section = top.table("limits", "[limits] ", report);
    for (key, limit) in [
        ("signatures_per_address", &mut limits.signatures_per_address),
        ("signatures_per_account", &mut limits.signatures_per_account),
        ("repeatable_bytes", &mut limits.repeatable_bytes),
        ("connections", &mut limits.connections),
        (
            "connections_per_address",
            &mut limits.connections_per_address,
        ),
    ] {
        *limit = section.number(key, *limit, report);
    }
    section.close(report);
    limits
}
