//! Limits, as far as this kernel lets us.

use mesh_node::{protocol::Request, supervisor::enforcement};
use mesh_schemas::{ByteSize, Cpu};

use crate::harness::{Supervisor, running, unique_sleep};

/// Holds a quarter of a gigabyte at once.
const GREEDY: [&str; 3] = ["sh", "-c", "head -c 256M /dev/zero | tail | wc -c"];

#[test]
fn the_supervisor_enforces_what_the_probe_says() {
    let supervisor = Supervisor::start(1_000);
    assert_eq!(supervisor.connect().snapshot().enforces, enforcement());
    let blind = Supervisor::without_cgroups(1_000);
    assert_eq!(blind.connect().snapshot().enforces, Default::default());
}

#[test]
fn memory_beyond_the_limit_is_killed_and_said_to_be_so() {
    let supervisor = Supervisor::start(1_000);
    let mut agent = supervisor.connect();
    let limited = agent.snapshot().enforces.memory;
    let mut spawn = agent.command(1, &GREEDY);
    spawn.resources.memory = ByteSize::mib(32);
    spawn.enforce = true;
    agent.send(&[Request::Spawn(Box::new(spawn))]);
    let end = agent.exited(1);
    let whole = format!("{}\n", 256 << 20);
    assert_eq!(end.oom_killed, limited);
    assert_eq!(agent.output(1, "stdout") == whole, !limited);
    if limited {
        assert!(end.memory_peak <= ByteSize::mib(33), "{end:?}");
    }
    // The same without a limit goes through on any machine.
    agent.spawn(2, &GREEDY);
    assert!(!agent.exited(2).oom_killed);
    assert_eq!(agent.output(2, "stdout"), whole);
}

#[test]
fn a_tenth_of_a_processor_is_a_tenth() {
    let supervisor = Supervisor::start(1_000);
    let mut agent = supervisor.connect();
    let limited = agent.snapshot().enforces.cpu;
    let burn = "i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done";
    let mut spawn = agent.command(1, &["sh", "-c", burn]);
    spawn.resources.cpu = Cpu(100);
    spawn.enforce = true;
    agent.send(&[Request::Spawn(Box::new(spawn))]);
    let end = agent.exited(1);
    assert_eq!(end.code, Some(0));
    if limited {
        assert!(end.wall_ms > end.cpu_ms * 4, "{end:?}");
    }
}

#[test]
fn a_limited_attempt_keeps_its_words_and_ends_whole() {
    let supervisor = Supervisor::start(1_000);
    let mut agent = supervisor.connect();
    let sleep = unique_sleep();
    let script =
        format!("echo \"$0 $*\"; cd /; env -i setsid sleep {sleep} >/dev/null 2>&1 & exit 9");
    let mut spawn = agent.command(1, &["sh", "-c", &script, "zero", "--", "--cgroup", "-x"]);
    spawn.resources.memory = ByteSize::mib(64);
    spawn.enforce = true;
    agent.send(&[Request::Spawn(Box::new(spawn))]);
    assert_eq!(agent.exited(1).code, Some(9));
    assert_eq!(agent.output(1, "stdout"), "zero -- --cgroup -x\n");
    assert_eq!(running(&sleep), [""; 0]);
}

#[test]
fn a_command_whose_limits_cannot_be_set_does_not_run() {
    let dir = tempfile::tempdir().unwrap();
    let door = dir.path().join("cgroup.procs");
    let mut command = std::process::Command::new(crate::harness::binary());
    command.args(["shim", "--cgroup"]).arg(&door);
    let output = command.args(["--program", "/bin/echo", "--", "echo", "ran"]).output().unwrap();
    assert_eq!(output.status.code(), Some(126));
    assert_eq!(output.stdout, b"");
    assert!(!door.exists());
}
