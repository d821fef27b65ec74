//! A supervisor without an agent; the tests speak to it in the agent's place.
//!
//! `bare-supervisor DATA_DIR CPU_MILLIS MEMORY_BYTES` runs it, and `bare-supervisor shim ..` is its shim.

use std::{ffi::OsString, process::ExitCode};

use mesh_node::{
    shim,
    supervisor::{self, Options},
};
use mesh_schemas::{ByteSize, Cpu, message::Capacity};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match arguments.split_first() {
        Some((first, rest)) if first == "shim" => shim::run(rest),
        Some((data_dir, rest)) => supervise(data_dir, rest),
        None => ExitCode::from(2),
    }
}

fn supervise(data_dir: &OsString, capacity: &[OsString]) -> ExitCode {
    mesh_fabric::telemetry::init("bare-supervisor");
    let number = |index: usize| -> Option<u64> { capacity.get(index)?.to_str()?.parse().ok() };
    let cpu = number(0).and_then(|cpu| u32::try_from(cpu).ok()).unwrap_or(1_000);
    let capacity = Capacity {
        cpu: Cpu(cpu),
        memory: ByteSize(number(1).unwrap_or(1 << 40)),
        ..Capacity::default()
    };
    let options = Options {
        data_dir: data_dir.into(),
        capacity,
        executable: std::env::current_exe().unwrap_or_default(),
        agent: None,
    };
    supervisor::run(options).unwrap_or_else(|problem| ExitCode::from(problem.code.exit_code()))
}
