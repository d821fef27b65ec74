//! One file a command; the verb is the file's name.

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

/// Carries out one command.
pub(crate) async fn run(args: Args) -> Outcome {
    let global = args.global;
    match args.command {
        Command::Up(args) => up::run(args).await,
        Command::Submit(args) => submit::run(&global, *args).await,
        Command::Run(args) => run::run(&global, *args).await,
        Command::Jobs(args) => jobs::run(&global, &args).await,
        Command::Job(command) => job::run(&global, command).await,
        Command::Logs(args) => logs::run(&global, &args).await,
        Command::Artifacts(command) => artifacts::run(&global, command).await,
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
