//! `mesh completions`: for the shell.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::Outcome;

/// Print completions for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  mesh completions bash > ~/.local/share/bash-completion/completions/mesh
  mesh completions zsh > ~/.zfunc/_mesh")]
pub(crate) struct Args {
    /// The shell.
    shell: Shell,
}

#[expect(clippy::unnecessary_wraps, reason = "every command has the same form")]
pub(crate) fn run(args: &Args) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut crate::args::Args::command(), "mesh", &mut text);
    crate::output::bytes(&text);
    Ok(std::process::ExitCode::SUCCESS)
}
