//! A supervisor without an agent; the tests speak to it in the agent's place.
//!
//! `bare-supervisor DATA_DIR CPU_MILLIS [PIDS_FILE]` runs it, with a stub of an agent when there is a
//! file, to which the stub adds its pid. `bare-supervisor shim ..` is its shim.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests: whatever it cannot do is their failure"
)]

use std::{ffi::OsString, fs::File, io::Write as _, path::Path, process::ExitCode};

use mesh_node::{
    shim,
    supervisor::{self, Options},
};
use mesh_schemas::{ByteSize, Cpu, message::Capacity};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match arguments.split_first() {
        Some((first, rest)) if first == "shim" => shim::run(rest),
        Some((first, rest)) if first == "stub-agent" => stub_agent(Path::new(&rest[0])),
        Some((data_dir, rest)) => supervise(data_dir, rest),
        None => ExitCode::from(2),
    }
}

/// Says that it lives, and waits to be ended by a signal.
fn stub_agent(pids: &Path) -> ExitCode {
    let mut file = File::options().append(true).create(true).open(pids).unwrap();
    writeln!(file, "{}", std::process::id()).unwrap();
    loop {
        std::thread::park();
    }
}

fn supervise(data_dir: &OsString, rest: &[OsString]) -> ExitCode {
    mesh_fabric::telemetry::init("bare-supervisor");
    let cpu = rest.first().and_then(|cpu| cpu.to_str()?.parse().ok()).unwrap_or(1_000);
    let capacity =
        Capacity { cpu: Cpu(cpu), memory: ByteSize::mib(1 << 20), ..Capacity::default() };
    let options = Options {
        data_dir: data_dir.into(),
        capacity,
        executable: std::env::current_exe().unwrap_or_default(),
        agent: rest.get(1).map(|pids| vec!["stub-agent".into(), pids.clone()]),
    };
    supervisor::run(options).unwrap_or_else(|problem| ExitCode::from(problem.code.exit_code()))
}
