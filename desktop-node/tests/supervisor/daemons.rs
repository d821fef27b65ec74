//! Processes that try to outlive their attempt.

use crate::harness::{Supervisor, running, sleepers, unique_sleep, wait_until};

/// Ways to leave a daemon behind, from the plain to the sly; `SLEEP` is replaced.
const DAEMONS: [&str; 5] = [
    "sleep SLEEP &",
    "setsid sleep SLEEP &",
    "(setsid sh -c 'sleep SLEEP & exit' &)",
    "env -i setsid sleep SLEEP &",
    "cd /; env -i setsid sleep SLEEP </dev/null >/dev/null 2>&1 &",
];

fn script(daemon: &str, sleep: &str, rest: &str) -> String {
    format!("{}\n{rest}", daemon.replace("SLEEP", sleep))
}

#[test]
fn daemons_end_with_the_command_that_left_them() {
    for supervisor in [Supervisor::start(1_000), Supervisor::without_cgroups(1_000)] {
        let mut agent = supervisor.connect();
        for (task, daemon) in (0..).zip(DAEMONS) {
            let sleep = unique_sleep();
            agent.shell(task, &script(daemon, &sleep, "sleep 0.05; exit 3"));
            assert_eq!(agent.exited(task).code, Some(3), "{daemon}");
            assert_eq!(running(&sleep), [""; 0], "{daemon}");
        }
    }
}

#[test]
fn daemons_end_when_their_attempt_is_killed() {
    let supervisor = Supervisor::start(1_000);
    let mut agent = supervisor.connect();
    for (task, daemon) in (0..).zip(DAEMONS) {
        let sleep = unique_sleep();
        agent.shell(task, &script(daemon, &sleep, "exec sleep 1000000"));
        wait_until("the daemon runs", || sleepers(&sleep) == 1);
        agent.kill(task, 0);
        agent.exited(task);
        assert_eq!(running(&sleep), [""; 0], "{daemon}");
    }
}

#[test]
fn a_daemon_without_any_mark_ends_with_the_last_that_may_own_it() {
    let supervisor = Supervisor::start(3_000);
    let mut agent = supervisor.connect();
    let (sleep, marked) = (unique_sleep(), unique_sleep());
    agent.shell(1, "exec sleep 1000000");
    agent.started(1);
    agent.shell(2, &script(DAEMONS[4], &sleep, "sleep 0.05"));
    agent.exited(2);
    // One with a mark is known to be another's and is left alone.
    agent.shell(3, &script(DAEMONS[1], &marked, "exec sleep 1000000"));
    wait_until("the other daemon runs", || sleepers(&marked) == 1);
    agent.kill(1, 0);
    agent.exited(1);
    assert_eq!(running(&sleep), [""; 0]);
    assert_eq!(sleepers(&marked), 1);
}

#[test]
fn nothing_outlives_the_supervisor_that_is_told_to_stop() {
    let mut supervisor = Supervisor::start(9_000);
    let mut agent = supervisor.connect();
    let sleep = unique_sleep();
    for (task, daemon) in (0..).zip(DAEMONS) {
        agent.shell(task, &script(daemon, &sleep, "exec sleep 1000000"));
    }
    wait_until("all daemons run", || sleepers(&sleep) >= DAEMONS.len());
    supervisor.signal(rustix::process::Signal::TERM);
    assert_eq!(supervisor.wait().code(), Some(0));
    assert_eq!(running(&sleep), [""; 0]);
}
