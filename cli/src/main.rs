//! `mesh`: submit jobs, watch them, fetch what they made, and run a whole cluster on one machine.
//!
//! Data goes to stdout, all else to stderr. Exit codes: 0 done, 1 "no" (a job failed, a check did not
//! hold), otherwise those of `ErrorCode::exit_code`; `mesh run` ends with the command's own code.

mod answer;
mod args;
mod array_log;
mod client;
mod commands;
mod context;
mod ending;
mod ideas;
mod link;
mod log_printer;
mod log_reader;
mod objects;
mod output;
mod progress;
mod servers;
mod sse;

use std::{io::Write as _, process::ExitCode};

use clap::Parser as _;
use mesh_schemas::{ErrorCode, Problem};

/// What a command ends with when it did not break.
pub(crate) type Outcome = Result<ExitCode, Problem>;

fn main() -> ExitCode {
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage(&error),
    };
    let outcome = match runtime(&args.command).enable_all().build() {
        Ok(runtime) => {
            let outcome = runtime.block_on(commands::run(args));
            // A blocked read of standard input must not hold the exit.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(Problem::new(ErrorCode::Internal, format!("no runtime: {error}"))),
    };
    match outcome {
        Ok(code) => with_output(code),
        Err(problem) => failed(&problem),
    }
}

/// Threads cost a start more than most commands cost at all.
fn runtime(command: &args::Command) -> tokio::runtime::Builder {
    use tokio::runtime::Builder;
    if !command.is_heavy() {
        return Builder::new_current_thread();
    }
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2);
    builder
}

fn failed(problem: &Problem) -> ExitCode {
    output::print_problem(problem);
    ExitCode::from(problem.code.exit_code())
}

/// What could not be printed is a failure too, though a command's own code says more.
fn with_output(code: ExitCode) -> ExitCode {
    match output::finish() {
        Ok(()) => code,
        Err(problem) => {
            let failed = failed(&problem);
            if code == ExitCode::SUCCESS { failed } else { code }
        }
    }
}

/// Help and version are answers; anything else is `E_USAGE` in the words of the parser.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let text = error.render();
        let text = if output::wants_colour() { text.ansi().to_string() } else { text.to_string() };
        output::bytes(text.as_bytes());
        return with_output(ExitCode::SUCCESS);
    }
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let _ = write!(std::io::stderr(), "error[{}]: {text}", ErrorCode::Usage);
    ExitCode::from(ErrorCode::Usage.exit_code())
}
