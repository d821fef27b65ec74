//! Starts, ends, output, and what cannot be started.

use std::time::{Duration, Instant};

use mesh_node::protocol::{Event, Request, SpawnFailure};
use rustix::process::Signal;

use crate::harness::{Supervisor, key, running, sleepers, unique_sleep, wait_until};

#[test]
fn exit_codes_and_signals_are_told() {
    let supervisor = Supervisor::start(4_000);
    let mut agent = supervisor.connect();
    agent.spawn(1, &["true"]);
    agent.shell(2, "exit 7");
    agent.shell(3, "kill -SEGV $$");
    let ends = [1, 2, 3].map(|task| agent.exited(task));
    assert_eq!(ends.map(|end| end.code), [Some(0), Some(7), None]);
    assert_eq!(ends.map(|end| end.signal), [None, None, Some(11)]);
    assert!(ends.iter().all(|end| end.ended_at >= end.started_at && !end.oom_killed));
}

#[test]
fn output_environment_and_directory_are_the_attempts_own() {
    let supervisor = Supervisor::start(4_000);
    let mut agent = supervisor.connect();
    let mut spawn = agent.command(1, &["sh", "-c", "pwd; env | sort >&2; cat"]);
    spawn.env.push(("GREETING".into(), "grüezi".into()));
    spawn.cwd = "deep/down".into();
    std::fs::create_dir_all(spawn.dir.join("work/deep/down")).unwrap();
    std::fs::write(spawn.dir.join("stdout"), "before\n").unwrap();
    let work = spawn.dir.join("work/deep/down");
    agent.send(&[Request::Spawn(Box::new(spawn))]);
    assert_eq!(agent.exited(1).code, Some(0));
    assert_eq!(agent.output(1, "stdout"), format!("before\n{}\n", work.display()));
    let seen = agent.output(1, "stderr");
    let names: Vec<&str> = seen.lines().filter_map(|line| line.split('=').next()).collect();
    assert_eq!(names, ["GREETING", "MESH_ATTEMPT", "PATH", "PWD"], "{seen}");
    assert!(seen.contains(&format!("MESH_ATTEMPT={}", key(1))));
}

#[test]
fn a_command_starts_with_no_signal_blocked_or_ignored() {
    let supervisor = Supervisor::start(1_000);
    let mut agent = supervisor.connect();
    agent.spawn(1, &["grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status"]);
    agent.exited(1);
    let seen = agent.output(1, "stdout");
    // The C library keeps the two signals above the classic ones to itself.
    let classic = |text: &str| -> Vec<u64> {
        let masks =
            text.lines().filter(|line| line.starts_with("SigBlk") || line.starts_with("SigIgn"));
        let mask = |line: &str| u64::from_str_radix(line.split_once('\t')?.1, 16).ok();
        masks.filter_map(mask).map(|mask| mask & 0x7fff_ffff).collect()
    };
    // `nohup`, below which the tests may run, ignores SIGHUP on purpose, and for all below it.
    let hangup = classic(&std::fs::read_to_string("/proc/self/status").unwrap())[1] & 1;
    assert_eq!(classic(&seen), [0, hangup], "{seen}");
}

#[test]
fn what_cannot_be_started_says_whose_fault_it_is() {
    let supervisor = Supervisor::start(1_000);
    let mut agent = supervisor.connect();
    let work = agent.dir(4).join("work");
    std::fs::create_dir_all(&work).unwrap();
    std::fs::write(work.join("text"), "no program").unwrap();
    std::fs::write(work.join("script"), "#!/no/such/interpreter\n").unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(work.join("script"), executable).unwrap();
    let mut asks_too_much = agent.command(6, &["true"]);
    asks_too_much.resources.cpu = mesh_schemas::Cpu(2_000);
    let mut leaves = agent.command(7, &["true"]);
    leaves.cwd = "../..".into();
    let mut from_work = agent.command(4, &["./script"]);
    from_work.dir = agent.dir(4);
    let mut text = agent.command(3, &["./text"]);
    text.dir = agent.dir(4);
    let huge = "x".repeat(3 << 20);
    let spawns = [
        (agent.command(1, &["no-such-program"]), SpawnFailure::NotFound),
        (agent.command(2, &["/etc/passwd"]), SpawnFailure::NotExecutable),
        (text, SpawnFailure::NotExecutable),
        (from_work, SpawnFailure::NotFound),
        (agent.command(5, &["true", &huge]), SpawnFailure::NotExecutable),
        (asks_too_much, SpawnFailure::Limits),
        (leaves, SpawnFailure::NotFound),
        (agent.command(8, &[]), SpawnFailure::NotFound),
        (agent.command(9, &["true", "nul\0byte"]), SpawnFailure::NotExecutable),
    ];
    for (spawn, reason) in spawns {
        let attempt = spawn.attempt;
        agent.send(&[Request::Spawn(Box::new(spawn))]);
        let failed = agent.wait_for(|event| match event {
            Event::SpawnFailed(failed) if failed.attempt == attempt => Some(failed.clone()),
            _ => None,
        });
        assert_eq!(failed.reason, reason, "{failed:?}");
    }
    agent.spawn(10, &["true"]);
    assert_eq!(agent.exited(10).code, Some(0));
}

#[test]
fn a_command_that_ignores_asking_is_killed_after_the_grace() {
    let supervisor = Supervisor::start(1_000);
    let mut agent = supervisor.connect();
    agent.shell(1, "trap '' TERM; echo ready; while :; do sleep 0.01; done");
    agent.started(1);
    wait_until("the trap is set", || agent.output(1, "stdout") == "ready\n");
    let asked = Instant::now();
    agent.kill(1, 300);
    let end = agent.exited(1);
    assert_eq!(end.signal, Some(Signal::KILL.as_raw()));
    assert!(asked.elapsed() >= Duration::from_millis(300));
}

#[test]
fn a_command_that_obeys_asking_ends_by_itself() {
    let supervisor = Supervisor::start(1_000);
    let mut agent = supervisor.connect();
    agent.shell(1, "trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.01; done");
    wait_until("the trap is set", || agent.output(1, "stdout") == "ready\n");
    agent.kill(1, 60_000);
    assert_eq!(agent.exited(1).code, Some(5));
    assert_eq!(agent.output(1, "stdout"), "ready\nbye\n");
}

#[test]
fn a_tree_of_two_hundred_processes_dies_whole() {
    let supervisor = Supervisor::start(1_000);
    let mut agent = supervisor.connect();
    let sleep = unique_sleep();
    // Half in the group, half in sessions of their own.
    agent.shell(
        1,
        &format!("for i in $(seq 100); do sleep {sleep} & setsid sleep {sleep} & done; wait"),
    );
    wait_until("all run", || sleepers(&sleep) == 200);
    agent.kill(1, 0);
    assert_eq!(agent.exited(1).signal, Some(9));
    assert_eq!(running(&sleep), [""; 0]);
}

#[test]
fn a_fork_bomb_is_put_out() {
    let supervisor = Supervisor::start(1_000);
    let mut agent = supervisor.connect();
    let sleep = unique_sleep();
    let script = format!(
        "f() {{ setsid sleep {sleep} & [ $1 -gt 0 ] && {{ f $(($1-1)) & f $(($1-1)) & }}; wait; }}; f 6"
    );
    agent.shell(1, &script);
    wait_until("it spreads", || sleepers(&sleep) > 20);
    agent.kill(1, 0);
    agent.exited(1);
    assert_eq!(running(&sleep), [""; 0]);
}

#[test]
fn a_frozen_tree_stands_still_until_it_is_thawed() {
    let supervisor = Supervisor::start(1_000);
    let mut agent = supervisor.connect();
    agent.shell(1, "(while :; do echo tick; sleep 0.005; done) & wait");
    wait_until("it ticks", || agent.output(1, "stdout").lines().count() > 3);
    agent.send(&[Request::Freeze { attempt: key(1) }]);
    let lines = |agent: &crate::harness::Agent| agent.output(1, "stdout").lines().count();
    let state = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let pid = agent.started(1);
    wait_until("it is stopped", || state(pid).contains(") T "));
    let frozen = lines(&agent);
    agent.send(&[Request::Thaw { attempt: key(1) }]);
    wait_until("it ticks again", || lines(&agent) > frozen + 3);
    agent.send(&[Request::Freeze { attempt: key(1) }]);
    agent.kill(1, 20_000);
    assert_eq!(agent.exited(1).signal, Some(15), "a frozen one can be asked, too");
}
