//! `mesh node`: let machines in, and what an administrator does to one.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use mesh_schemas::{
    ErrorCode, NodeId, Problem, Span,
    api::{JoinCode, JoinCodeRequest, NodeAction, NodeView},
};
use serde_json::json;

use super::{
    nodes,
    up::{binary, never_ship},
};
use crate::{
    Outcome,
    args::{Format, Global},
    client::Client,
    context, output,
};

/// Let machines in and manage them.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// The same as `mesh nodes`.
    #[command(visible_alias = "list")]
    Ls(nodes::Args),
    /// Print a one-time code with which a machine may join.
    #[command(after_help = "Example:\n  mesh node code --ttl 1h")]
    Code {
        /// How long it holds; 15 min when not given, 24 h at most.
        #[arg(long, value_name = "TIME")]
        ttl: Option<Span>,
    },
    /// Let this machine join; makes its own key, which never leaves it.
    #[command(after_help = "\
Examples:
  MESH_JOIN_CODE=dmj_… mesh node join https://mesh.example:7700
  mesh node join https://mesh.example:7700 --code-file code --name desk-2 --label room=lab")]
    Join(Join),
    /// Run this machine's node in the foreground; Ctrl-C drains it.
    #[command(after_help = "Example:\n  mesh node up --data ~/.deskmesh-node")]
    Up {
        /// The node's directory.
        #[arg(long, default_value = ".deskmesh-node", value_name = "DIR")]
        data: PathBuf,
    },
    /// Give a node nothing new; it finishes what it has.
    #[command(after_help = "Example:\n  mesh node drain desk-2")]
    Drain(Which),
    /// Give a node nothing new for now.
    #[command(after_help = "Example:\n  mesh node pause desk-2")]
    Pause(Which),
    /// Undo drain, pause and quarantine.
    #[command(after_help = "Example:\n  mesh node resume desk-2")]
    Resume(Which),
    /// Cut a node off for ever, within 5 s; its work is queued again.
    #[command(after_help = "Example:\n  mesh node revoke desk-2")]
    Revoke(Which),
}

/// How to join.
#[derive(Debug, clap::Args)]
pub(crate) struct Join {
    /// The orchestrator's address.
    url: String,
    /// File with the join code; otherwise `MESH_JOIN_CODE`.
    #[arg(long, value_name = "FILE")]
    code_file: Option<PathBuf>,
    /// The node's directory.
    #[arg(long, default_value = ".deskmesh-node", value_name = "DIR")]
    data: PathBuf,
    /// A name for people; the host's when not given.
    #[arg(long)]
    name: Option<String>,
    /// A label; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// Processors to offer; all when not given.
    #[arg(long, value_name = "N")]
    cpu: Option<mesh_schemas::Cpu>,
    /// Run the node at once, in the foreground.
    #[arg(long)]
    up: bool,
}

/// Which node.
#[derive(Debug, clap::Args)]
pub(crate) struct Which {
    /// Its name or id.
    node: String,
}

pub(crate) async fn run(global: &Global, command: Command) -> Outcome {
    match command {
        Command::Ls(args) => nodes::run(global, &args).await,
        Command::Code { ttl } => code(global, ttl).await,
        Command::Join(join) => {
            let code = join_node(&join)?;
            if join.up && code == ExitCode::SUCCESS { node_up(&join.data) } else { Ok(code) }
        }
        Command::Up { data } => node_up(&data),
        Command::Drain(which) => act(global, &which, NodeAction::Drain).await,
        Command::Pause(which) => act(global, &which, NodeAction::Pause).await,
        Command::Resume(which) => act(global, &which, NodeAction::Resume).await,
        Command::Revoke(which) => act(global, &which, NodeAction::Revoke).await,
    }
}

async fn code(global: &Global, ttl: Option<Span>) -> Outcome {
    let client = context::client(global)?;
    let code: JoinCode = client.post("/nodes/join-codes", &JoinCodeRequest { ttl }).await?;
    if global.output == Format::Json {
        output::json(&code);
    } else {
        output::line(&code.code);
        output::note(format!("works once, until {}", code.expires_at));
    }
    output::finish().map_err(|problem| problem.hint("the code is lost; ask for another one"))?;
    Ok(ExitCode::SUCCESS)
}

/// Runs `mesh-node join`; the code goes by the environment, never by the command line.
fn join_node(join: &Join) -> Outcome {
    let code = match &join.code_file {
        Some(path) => context::read_text(path)?,
        None => std::env::var("MESH_JOIN_CODE").map_err(|_| {
            Problem::new(ErrorCode::Usage, "no join code")
                .hint("set MESH_JOIN_CODE or pass --code-file; `mesh node code` prints one")
        })?,
    };
    let mut command = std::process::Command::new(binary("mesh-node")?);
    command.arg("join").arg("--url").arg(&join.url).arg("--data").arg(&join.data);
    command.env("MESH_JOIN_CODE", code.trim());
    if let Some(name) = &join.name {
        command.arg("--name").arg(name);
    }
    for label in &join.label {
        command.arg("--label").arg(label);
    }
    if let Some(cpu) = join.cpu {
        command.arg("--cpu").arg(cpu.to_string());
    }
    let status =
        command.status().map_err(|error| context::io("run", Path::new("mesh-node"), &error))?;
    if status.success() {
        never_ship(&join.data)?;
    }
    Ok(ExitCode::from(u8::try_from(status.code().unwrap_or(70)).unwrap_or(70)))
}

/// Becomes the node.
fn node_up(data: &Path) -> Outcome {
    use std::os::unix::process::CommandExt as _;
    let config = data.join("node.toml");
    if !config.is_file() {
        return Err(Problem::new(
            ErrorCode::Config,
            format!("{} is not the directory of a node", data.display()),
        )
        .hint("join first: `mesh node join URL`"));
    }
    let error = std::process::Command::new(binary("mesh-node")?).arg("--config").arg(config).exec();
    Err(context::io("run", Path::new("mesh-node"), &error))
}

async fn act(global: &Global, which: &Which, action: NodeAction) -> Outcome {
    let client = context::client(global)?;
    let node = find(&client, &which.node).await?;
    let view: NodeView = client.post(&format!("/nodes/{node}/{action}"), &json!({})).await?;
    if global.output == Format::Json {
        output::json(&view);
    } else {
        output::list(global.output, &[view]);
    }
    Ok(ExitCode::SUCCESS)
}

/// The node with this id, or the only one with this name.
async fn find(client: &Client, text: &str) -> Result<NodeId, Problem> {
    if let Ok(node) = text.parse() {
        return Ok(node);
    }
    let nodes: Vec<NodeView> = client.pages("/nodes", usize::MAX).await?;
    let mut named = nodes.iter().filter(|node| node.name == text);
    match (named.next(), named.next()) {
        (Some(node), None) => Ok(node.id),
        (Some(_), Some(_)) => {
            Err(Problem::new(ErrorCode::Usage, format!("several nodes are called {text:?}"))
                .hint("name it by its id, as `mesh nodes` shows it"))
        }
        (None, _) => Err(Problem::new(ErrorCode::NotFound, format!("no node is called {text:?}"))
            .hint("`mesh nodes` lists them")),
    }
}
