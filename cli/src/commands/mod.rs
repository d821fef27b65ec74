//! One file a command; the verb is the file's name.

use std::process::ExitCode;

use crate::{
    Outcome,
    args::{Args, Command, Global},
};

pub(crate) mod artifacts;
pub(crate) mod cancel;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod job;
pub(crate) mod jobs;
pub(crate) mod logs;
pub(crate) mod node;
pub(crate) mod nodes;
pub(crate) mod retry;
pub(crate) mod run;
mod spec_flags;
pub(crate) mod submit;
pub(crate) mod token;
pub(crate) mod up;
pub(crate) mod wait;
pub(crate) mod why;

/// The exit code of a command that Ctrl-C ended: 128 and the number of SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;

/// Carries out one command. Ctrl-C ends it at once, except where something must be cleaned up or said
/// first; a second one ends that too.
pub(crate) async fn run(args: Args) -> Outcome {
    let stop = mesh_fabric::shutdown::token();
    let global = args.global;
    match args.command {
        Command::Up(args) => up::run(args, &stop).await,
        Command::Submit(args) => submit::run(&global, *args, &stop).await,
        Command::Run(args) => run::run(&global, *args, &stop).await,
        command => tokio::select! {
            outcome = run_plain(&global, command) => outcome,
            () = stop.cancelled() => Ok(ExitCode::from(INTERRUPTED)),
        },
    }
}

/// Commands that leave nothing half done.
async fn run_plain(global: &Global, command: Command) -> Outcome {
    match command {
        // `run` has carried these out: they listen for Ctrl-C themselves.
        Command::Up(_) | Command::Submit(_) | Command::Run(_) => Ok(ExitCode::SUCCESS),
        Command::Jobs(args) => jobs::run(global, &args).await,
        Command::Job(command) => job::run(global, command).await,
        Command::Logs(args) => logs::run(global, &args).await,
        Command::Artifacts(command) => artifacts::run(global, command).await,
        Command::Why(args) => why::run(global, &args).await,
        Command::Cancel(args) => cancel::run(global, &args).await,
        Command::Retry(args) => retry::run(global, &args).await,
        Command::Wait(args) => wait::run(global, &args).await,
        Command::Nodes(args) => nodes::run(global, &args).await,
        Command::Node(command) => node::run(global, command).await,
        Command::Token(command) => token::run(global, command).await,
        Command::Doctor(args) => doctor::run(global, &args).await,
        Command::Completions(args) => completions::run(&args),
    }
}
