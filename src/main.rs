//! Parse, run, exit code: all of it is [`wxsign::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    wxsign::cli::run()
}
