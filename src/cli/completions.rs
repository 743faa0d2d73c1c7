use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, Failure, answer};

/// Print the completions for a shell
#[derive(clap::Args)]
#[command(after_help = "Example: wxsign completions bash > /etc/bash_completion.d/wxsign")]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "wxsign", &mut script);
    answer(&String::from_utf8_lossy(&script))
}
