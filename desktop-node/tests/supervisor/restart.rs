//! Deaths of the agent and of the supervisor itself.

use mesh_node::protocol::{Event, Request};
use mesh_schemas::ErrorCode;
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Supervisor, key, running, sleepers, unique_sleep, wait_until};

#[test]
fn work_goes_on_without_an_agent_and_the_next_one_sees_it() {
    let supervisor = Supervisor::start(2_000);
    let mut agent = supervisor.connect();
    agent.shell(1, "while [ ! -e go ]; do sleep 0.005; done; exit 4");
    agent.spawn(2, &["true"]);
    let pid = agent.started(1);
    agent.exited(2);
    let dir = agent.dir(1);
    drop(agent);
    let mut agent = supervisor.connect();
    let seen = agent.snapshot();
    assert_eq!(seen.running.iter().map(|one| one.pid).collect::<Vec<_>>(), [pid]);
    assert_eq!(seen.exited[0].attempt, key(2));
    drop(agent);
    std::fs::write(dir.join("work/go"), "").unwrap();
    wait_until("the end is on record", || supervisor.connect().snapshot().exited.len() == 2);
    let mut agent = supervisor.connect();
    agent.send(&[Request::Forget { attempts: vec![key(1), key(2), key(3)] }]);
    agent.spawn(3, &["true"]);
    agent.exited(3);
    let seen = supervisor.connect().snapshot();
    assert_eq!(seen.exited.iter().map(|end| end.attempt).collect::<Vec<_>>(), [key(3)]);
}

#[test]
fn a_newer_connection_replaces_the_older() {
    let supervisor = Supervisor::start(1_000);
    let mut older = supervisor.connect();
    older.snapshot();
    let mut newer = supervisor.connect();
    newer.snapshot();
    assert_eq!(older.next(), None);
    newer.spawn(1, &["true"]);
    assert_eq!(newer.exited(1).code, Some(0));
}

#[test]
fn garbage_on_the_socket_is_refused_and_harms_nothing() {
    let supervisor = Supervisor::start(1_000);
    let mut agent = supervisor.connect();
    agent.shell(1, "while [ ! -e go ]; do sleep 0.005; done");
    agent.started(1);
    for (garbage, code) in [
        (&b"\xff\xfe\x00\n"[..], ErrorCode::Syntax),
        (b"GET / HTTP/1.1\r\n\r\n", ErrorCode::Syntax),
        (b"{\"kind\":\"explode\"}\n", ErrorCode::UnknownField),
        (b"{\"kind\":\"kill\",\"attempt\":{\"job\":\"../x\",\"task\":1,\"epoch\":1},\"grace_ms\":0}\n", ErrorCode::Syntax),
    ] {
        let mut other = supervisor.connect();
        other.snapshot();
        other.send_bytes(garbage);
        let problem = other.wait_for(|event| match event {
            Event::Refused(problem) => Some(problem.clone()),
            _ => None,
        });
        assert_eq!(problem.code, code);
        assert_eq!(other.next(), None);
    }
    let mut agent = supervisor.connect();
    assert_eq!(agent.snapshot().running.len(), 1);
    std::fs::write(agent.dir(1).join("work/go"), "").unwrap();
    assert_eq!(agent.exited(1).code, Some(0));
}

#[test]
fn a_request_without_end_is_refused() {
    let supervisor = Supervisor::start(1_000);
    let mut agent = supervisor.connect();
    agent.send_bytes(&vec![b' '; mesh_node::protocol::REQUEST_BYTES_MAX + 1]);
    let problem = agent.wait_for(|event| match event {
        Event::Refused(problem) => Some(problem.clone()),
        _ => None,
    });
    assert_eq!(problem.code, ErrorCode::TooLarge);
}

#[test]
fn a_new_supervisor_kills_what_a_dead_one_left_and_says_it_is_lost() {
    for mut supervisor in [Supervisor::start(9_000), Supervisor::without_cgroups(9_000)] {
        let mut agent = supervisor.connect();
        let sleep = unique_sleep();
        agent.shell(
            1,
            &format!("setsid sleep {sleep} & env -i setsid sleep {sleep} & exec sleep {sleep}"),
        );
        agent.shell(2, "exit 6");
        agent.exited(2);
        wait_until("all run", || sleepers(&sleep) == 3);
        supervisor.kill_and_restart();
        assert_eq!(running(&sleep), [""; 0]);
        let mut agent = supervisor.connect();
        let seen = agent.snapshot();
        assert_eq!(seen.lost, [key(1)]);
        assert_eq!(seen.exited.iter().map(|end| end.code).collect::<Vec<_>>(), [Some(6)]);
        agent.send(&[Request::Forget { attempts: vec![key(1), key(2)] }]);
        agent.kill(1, 0);
        let unknown = agent.wait_for(|event| match event {
            Event::Unknown { attempt } => Some(*attempt),
            _ => None,
        });
        assert_eq!(unknown, key(1));
        supervisor.kill_and_restart();
        assert_eq!(supervisor.connect().snapshot().lost, []);
    }
}

#[test]
fn the_agent_is_started_again_and_the_work_does_not_notice() {
    let mut supervisor = Supervisor::with_stub_agent();
    let mut agent = supervisor.connect();
    agent.shell(1, "exec sleep 1000000");
    agent.started(1);
    wait_until("the agent runs", || supervisor.agent_pids().len() == 1);
    let first = Pid::from_raw(supervisor.agent_pids()[0]).unwrap();
    kill_process(first, Signal::KILL).unwrap();
    wait_until("the next agent runs", || supervisor.agent_pids().len() == 2);
    let seen = supervisor.connect().snapshot();
    assert_eq!(seen.running.len(), 1, "{seen:?}");
    // The stub ends at SIGTERM, as an agent does that has nothing to drain.
    supervisor.signal(Signal::TERM);
    assert_eq!(supervisor.wait().code(), Some(0));
    assert_eq!(supervisor.agent_pids().len(), 2);
}

#[test]
fn an_agent_that_has_drained_ends_the_supervisor() {
    let mut supervisor = Supervisor::start(1_000);
    let mut agent = supervisor.connect();
    agent.shell(1, "trap '' TERM; while :; do sleep 0.01; done");
    agent.started(1);
    agent.send(&[Request::Shutdown]);
    assert_eq!(supervisor.wait().code(), Some(0));
}

#[test]
fn a_second_supervisor_over_the_same_directory_is_refused() {
    let mut supervisor = Supervisor::start(1_000);
    let binary = crate::harness::binary();
    let status = std::process::Command::new(binary).arg(supervisor.dir.path()).status().unwrap();
    assert_eq!(status.code(), Some(6));
    supervisor.signal(Signal::INT);
    assert_eq!(supervisor.wait().code(), Some(0));
}
