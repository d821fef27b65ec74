//! `mesh-node`: the supervisor, the agent that it keeps alive, and the one-off commands of a node.

use std::{ffi::OsString, io::Write as _, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use mesh_node::{
    agent,
    config::NodeConfig,
    join::{self, JoinOptions},
    shim, supervisor,
};
use mesh_schemas::{ErrorCode, Problem};

/// Runs the work of a Deskmesh cluster on this machine.
#[derive(Debug, Parser)]
#[command(
    name = "mesh-node",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  \
        MESH_JOIN_CODE=dmj_… mesh-node join --url https://mesh.example:7700 --data /var/lib/mesh-node\n  \
        mesh-node check --config /var/lib/mesh-node/node.toml\n  \
        mesh-node --config /var/lib/mesh-node/node.toml\n\n\
        Exit codes: 0 done · 2 usage or configuration · 3 invalid · 5 not let in · 6 conflict · \
        7 unavailable, safe to try again · 70 a fault of ours"
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// The node's configuration; runs the supervisor, which runs everything else.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Talk to the mesh. Started by the supervisor, which keeps it alive.
    Agent(ConfigArg),
    /// Let this machine into a mesh with a one-time code.
    #[command(
        after_help = "Example:\n  MESH_JOIN_CODE=dmj_… mesh-node join --url https://mesh.example:7700 \
                      --data /var/lib/mesh-node --label gpu=none --cpu 4"
    )]
    Join(JoinOptions),
    /// Read the configuration and say what this node would offer and enforce.
    #[command(after_help = "Example:\n  mesh-node check --config node.toml")]
    Check(ConfigArg),
    /// Set the limits of one process and become it. Started by the supervisor.
    #[command(hide = true, disable_help_flag = true)]
    Shim {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

#[derive(Debug, Args)]
struct ConfigArg {
    /// The node's configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

fn main() -> ExitCode {
    let done = match Cli::try_parse() {
        Ok(cli) => run(cli),
        Err(error) => return show_usage(&error),
    };
    match done {
        Ok(code) => code,
        Err(problem) => fail(&problem),
    }
}

fn run(cli: Cli) -> Result<ExitCode, Problem> {
    match (cli.command, cli.config) {
        (Some(Command::Agent(arg)), _) => agent::run(NodeConfig::load(&arg.config)?)?,
        (Some(Command::Join(options)), _) => {
            let joined = join::join(&options)?;
            say(&format!("joined as {}\nconfiguration: {}", joined.node, joined.config.display()));
        }
        (Some(Command::Check(arg)), _) => {
            say(&agent::report::describe(&NodeConfig::load(&arg.config)?)?);
        }
        (Some(Command::Shim { args }), _) => return Ok(shim::run(&args)),
        (None, Some(config)) => return supervise(&config),
        (None, None) => {
            return Err(Problem::new(ErrorCode::Usage, "no configuration was given")
                .hint("run mesh-node --config FILE, or mesh-node --help for more"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn supervise(file: &std::path::Path) -> Result<ExitCode, Problem> {
    let config = NodeConfig::load(file)?;
    let capacity = agent::report::capacity(&config);
    mesh_fabric::telemetry::init("mesh-node");
    supervisor::run(supervisor::Options::new(&config.data_dir, capacity, file)?)
}

/// Data goes to stdout; a reader that has gone away is no error.
fn say(text: &str) {
    let _closed = writeln!(std::io::stdout(), "{text}");
}

fn show_usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        say(error.render().to_string().trim_end());
        return ExitCode::SUCCESS;
    }
    let rendered = error.render().to_string();
    let text = rendered.strip_prefix("error: ").unwrap_or(&rendered);
    fail(&Problem::new(ErrorCode::Usage, text.trim_end()))
}

fn fail(problem: &Problem) -> ExitCode {
    let mut text = format!("error[{}]: {}", problem.code, problem.detail);
    if let Some(hint) = &problem.hint {
        text.push_str(&format!("\nhint: {hint}"));
    }
    let _closed = writeln!(std::io::stderr(), "{text}");
    ExitCode::from(problem.code.exit_code())
}
