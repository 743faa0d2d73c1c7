//! What a server asks of the system for its process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

/// Files that are open beside the connections of clients: databases, connections to WeChat.
const OTHER_FILES: u64 = 256;

/// Allows as many open files as there may be connections; where the system does not let it, there
/// may be fewer connections.
pub(super) fn allow_files(config: &mut Config) {
    let limit = getrlimit(Resource::Nofile);
    let unlimited = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
    let (current, most) = (unlimited(limit.current), unlimited(limit.maximum));
    let listeners = 1 + u64::from(config.admin_listen.is_some());
    let connections = match config.limits.connections {
        0 => u64::from(u32::MAX),
        connections => connections.into(),
    };
    let wanted = (connections * listeners + OTHER_FILES).max(current);
    let allowed = wanted.min(most);
    let raised = Rlimit {
        current: Some(allowed),
        maximum: limit.maximum,
    };
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => allowed,
        Err(_) => current,
    };
    let possible = (allowed.saturating_sub(OTHER_FILES) / listeners).max(1);
    if possible < connections {
        let possible = u32::try_from(possible).unwrap_or(u32::MAX);
        if config.limits.connections > 0 {
            tracing::warn!(
                connections = possible,
                "the system allows {allowed} open files, so there can be fewer connections than \
                 [limits] connections says: raise its limit (ulimit -n, LimitNOFILE=)"
            );
        }
        config.limits.connections = possible;
    }
}

/// Lets no core dump hold secrets, and no other process of the same user read them
/// (<https://man7.org/linux/man-pages/man2/PR_SET_DUMPABLE.2const.html>).
pub(super) fn keep_memory_private() {
    #[cfg(target_os = "linux")]
    if let Err(error) =
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
    {
        anstream::eprintln!(
            "warning: core dumps cannot be switched off ({error}): run `ulimit -c 0` before"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_connections_than_files() {
        let mut config = Config::with_accounts(Vec::new());
        config.limits.connections = 10;
        allow_files(&mut config);
        assert_eq!(config.limits.connections, 10);
        config.limits.connections = u32::MAX;
        allow_files(&mut config);
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let connections = u64::from(config.limits.connections);
        assert!(
            connections > 10 && connections + OTHER_FILES <= files,
            "{connections} {files}"
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_is_nobody_elses() {
        use rustix::process::{DumpableBehavior, dumpable_behavior};
        keep_memory_private();
        assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
    }
}
