//! One file a command; the verb is the file's name.

use std::{future::Future, process::ExitCode};

use mesh_fabric::shutdown;
use tokio_util::sync::CancellationToken;

use crate::{
    Outcome,
    args::{Args, Command},
};

pub(crate) mod artifacts;
pub(crate) mod cancel;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod ideas;
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
    let global = args.global;
    match args.command {
        Command::Up(args) => up::run(args, &shutdown::stages()).await,
        Command::Submit(args) => submit::run(&global, *args, &shutdown::token()).await,
        Command::Run(args) => run::run(&global, *args, &shutdown::token()).await,
        Command::Artifacts(command) => {
            unless(&shutdown::token(), artifacts::run(&global, command)).await
        }
        // These leave nothing half done, so Ctrl-C ends them as it ends any program, even one that is
        // blocked in printing.
        Command::Jobs(args) => jobs::run(&global, &args).await,
        Command::Job(command) => job::run(&global, command).await,
        Command::Ideas(command) => ideas::run(&global, command).await,
        Command::Logs(args) => logs::run(&global, &args).await,
        Command::Why(args) => why::run(&global, &args).await,
        Command::Cancel(args) => cancel::run(&global, &args).await,
        Command::Retry(args) => retry::run(&global, &args).await,
        Command::Wait(args) => wait::run(&global, &args).await,
        Command::Nodes(args) => nodes::run(&global, &args).await,
        Command::Node(command) => node::run(&global, command).await,
        Command::Token(command) => token::run(&global, command).await,
        Command::Doctor(args) => doctor::run(&global, &args).await,
        Command::Completions(args) => completions::run(&args),
    }
}

/// The command's outcome, unless Ctrl-C comes first: what it has begun to write is removed.
async fn unless(stop: &CancellationToken, command: impl Future<Output = Outcome>) -> Outcome {
    tokio::select! {
        outcome = command => outcome,
        () = stop.cancelled() => Ok(ExitCode::from(INTERRUPTED)),
    }
}
