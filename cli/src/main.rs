//! `mesh`: submit jobs, watch them, fetch what they made, and run a whole cluster on one machine.
//!
//! Data goes to stdout, all else to stderr. Exit codes: 0 done, 1 "no" (a job failed, a check did not
//! hold), otherwise those of `ErrorCode::exit_code`; `mesh run` ends with the command's own code.

mod args;
mod client;
mod commands;
mod context;
mod objects;
mod output;
mod progress;
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
    mesh_fabric::tls::install_provider();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(commands::run(args));
            // A blocked read of standard input must not hold the exit.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(Problem::new(ErrorCode::Internal, format!("no runtime: {error}"))),
    };
    outcome.unwrap_or_else(|problem| {
        output::print_problem(&problem);
        ExitCode::from(problem.code.exit_code())
    })
}

/// Help and version are answers; anything else is `E_USAGE` in the words of the parser.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // A closed pipe (`mesh --help | head`) is success.
        let _ = write!(std::io::stdout(), "{}", error.render().ansi());
        return ExitCode::SUCCESS;
    }
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let _ = write!(std::io::stderr(), "error[{}]: {text}", ErrorCode::Usage);
    ExitCode::from(ErrorCode::Usage.exit_code())
}
