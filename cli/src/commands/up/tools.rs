//! The programs that `mesh up` starts, and how each is called.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use mesh_schemas::{ErrorCode, Problem};

use super::{Args, children::Part, layout::Layout, ports::Ports};

/// The oldest nats-server that will do.
const NATS_VERSION_MIN: (u32, u32) = (2, 12);

/// One of our own programs: in `MESH_BIN_DIR`, or beside this one.
pub(crate) fn binary(name: &str) -> Result<PathBuf, Problem> {
    let beside = || std::env::current_exe().ok()?.parent().map(Path::to_path_buf);
    let dir = std::env::var_os("MESH_BIN_DIR").map(PathBuf::from).or_else(beside);
    let path = dir.unwrap_or_default().join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(Problem::new(ErrorCode::MissingTool, format!("{} is missing", path.display()))
        .hint("build all of it: `cargo build --release --workspace`, or set MESH_BIN_DIR"))
}

pub(super) fn nats_server(layout: &Layout) -> Result<Part, Problem> {
    let mut command = Command::new(find_nats_server()?);
    command.arg("--config").arg(layout.nats_config());
    Ok(Part::new("nats", command, layout.log("nats")))
}

/// `MESH_NATS_SERVER`, one on PATH that is new enough, or the project's own.
fn find_nats_server() -> Result<PathBuf, Problem> {
    if let Some(path) = std::env::var_os("MESH_NATS_SERVER") {
        return Ok(path.into());
    }
    let exe = std::env::current_exe().unwrap_or_default();
    let own = exe.ancestors().map(|dir| dir.join(".tools/bin/nats-server"));
    let candidates = std::iter::once(PathBuf::from("nats-server")).chain(own);
    candidates.into_iter().find(|path| is_new_enough(path)).ok_or_else(|| {
        let (major, minor) = NATS_VERSION_MIN;
        Problem::new(ErrorCode::MissingTool, format!("no nats-server {major}.{minor} or newer"))
            .hint("`./run tools` installs one, or set MESH_NATS_SERVER")
    })
}

fn is_new_enough(path: &Path) -> bool {
    let Ok(output) = Command::new(path).arg("--version").output() else { return false };
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.trim().rsplit('v').next().unwrap_or_default();
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    (major, minor) >= NATS_VERSION_MIN
}

pub(super) fn mesh_store(layout: &Layout, args: &Args, ports: &Ports) -> Result<Part, Problem> {
    let mut command = Command::new(binary("mesh-store")?);
    command.arg("--listen").arg(ports.store.to_string());
    command.arg("--data").arg(layout.objects());
    command.arg("--credentials").arg(layout.store_credentials());
    command.arg("--metrics-listen").arg(ports.store_metrics.to_string());
    if args.is_public() {
        command.arg("--tls-cert").arg(layout.cert_file()).arg("--tls-key").arg(layout.key_file());
    }
    Ok(Part::new("store", command, layout.log("store")))
}

pub(super) fn orchestrator(layout: &Layout) -> Result<Part, Problem> {
    let mut command = Command::new(binary("mesh-orchestrator")?);
    command.arg("--config").arg(layout.orchestrator_config());
    Ok(Part::new("orchestrator", command, layout.log("orchestrator")))
}

pub(super) fn ideas(layout: &Layout) -> Result<Part, Problem> {
    let mut command = Command::new(binary("mesh-ideas")?);
    command.arg("serve").arg("--config").arg(layout.ideas_config());
    Ok(Part::new("ideas", command, layout.log("ideas")))
}

/// What this start decides goes by the environment, which overrides the owner's file.
pub(super) fn node(
    layout: &Layout,
    args: &Args,
    ports: &Ports,
    number: u16,
) -> Result<Part, Problem> {
    let mut command = Command::new(binary("mesh-node")?);
    command.arg("--config").arg(layout.node_config(number));
    if let Some(addr) = ports.node_metrics.get(usize::from(number) - 1) {
        command.env("MESH_NODE__METRICS_LISTEN", addr.to_string());
    }
    if let Some(cpu) = args.cpu {
        command.env("MESH_NODE__CPU", cpu.to_string());
    }
    if let Some(drain) = args.drain_timeout {
        command.env("MESH_NODE__DRAIN_TIMEOUT", drain.to_string());
    }
    let name = format!("node-{number}");
    let log = layout.log(&name);
    Ok(Part::new(name, command, log))
}
