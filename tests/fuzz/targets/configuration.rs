//! A configuration file, and behind an empty line the variables of the environment.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

/// In memory, where there is such a place.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let place = if memory.is_dir() {
        memory
    } else {
        std::env::temp_dir()
    };
    place.join(format!("wxsign-fuzz-{}.toml", std::process::id()))
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let text = wxsign_fuzz::text(input);
    let (file, variables) = text.split_once("\n\n").unwrap_or((text, ""));
    // Files of secrets could be any that this machine has.
    if !file.contains("_file") {
        wxsign::laws::configuration(&FILE, file, variables);
    }
});
