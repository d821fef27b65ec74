//! One file a command; the verb is the file's name.

use std::{future::Future, process::ExitCode};

use mesh_fabric::shutdown::Stages;
use tokio_util::sync::CancellationToken;

use crate::{
    Outcome,
    args::{Args, Command},
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
    let stages = mesh_fabric::shutdown::stages();
    // It would leave the parts of the cluster behind.
    let needs_its_end = matches!(args.command, Command::Up(_));
    tokio::select! {
        outcome = carry_out(args, &stages) => outcome,
        () = stages.now.cancelled(), if !needs_its_end => Ok(ExitCode::from(INTERRUPTED)),
    }
}

async fn carry_out(args: Args, stages: &Stages) -> Outcome {
    let (global, stop) = (args.global, stages.stop.clone());
    match args.command {
        Command::Up(args) => up::run(args, stages).await,
        Command::Submit(args) => submit::run(&global, *args, &stop).await,
        Command::Run(args) => run::run(&global, *args, &stop).await,
        Command::Jobs(args) => unless(&stop, jobs::run(&global, &args)).await,
        Command::Job(command) => unless(&stop, job::run(&global, command)).await,
        Command::Logs(args) => unless(&stop, logs::run(&global, &args)).await,
        Command::Artifacts(command) => unless(&stop, artifacts::run(&global, command)).await,
        Command::Why(args) => unless(&stop, why::run(&global, &args)).await,
        Command::Cancel(args) => unless(&stop, cancel::run(&global, &args)).await,
        Command::Retry(args) => unless(&stop, retry::run(&global, &args)).await,
        Command::Wait(args) => unless(&stop, wait::run(&global, &args)).await,
        Command::Nodes(args) => unless(&stop, nodes::run(&global, &args)).await,
        Command::Node(command) => unless(&stop, node::run(&global, command)).await,
        Command::Token(command) => unless(&stop, token::run(&global, command)).await,
        Command::Doctor(args) => unless(&stop, doctor::run(&global, &args)).await,
        Command::Completions(args) => completions::run(&args),
    }
}

/// The command's outcome, unless Ctrl-C comes first: nothing is left half done.
async fn unless(stop: &CancellationToken, command: impl Future<Output = Outcome>) -> Outcome {
    tokio::select! {
        outcome = command => outcome,
        () = stop.cancelled() => Ok(ExitCode::from(INTERRUPTED)),
    }
}
