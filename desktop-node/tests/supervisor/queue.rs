//! Admission: order, capacity, and how fast it goes.

use std::{
    collections::BTreeSet,
    process::Command,
    time::{Duration, Instant},
};

use mesh_node::protocol::{Event, Request};
use mesh_schemas::Cpu;

use crate::harness::{Supervisor, key};

const WAITS: [&str; 3] = ["sh", "-c", "while [ ! -e go ]; do sleep 0.005; done"];

#[test]
fn starts_are_first_in_first_out_and_a_large_head_holds_the_small_ones_back() {
    let supervisor = Supervisor::start(2_000);
    let mut agent = supervisor.connect();
    agent.spawn(1, &WAITS);
    agent.started(1);
    let mut large = agent.command(2, &WAITS);
    large.resources.cpu = Cpu(2_000);
    agent.send(&[Request::Spawn(Box::new(large))]);
    agent.spawn(3, &["true"]);
    let mut other = supervisor.connect();
    assert_eq!(other.snapshot().queued, [key(2), key(3)]);
    std::fs::write(other.dir(1).join("work/go"), "").unwrap();
    other.exited(1);
    other.started(2);
    assert_eq!(supervisor.connect().snapshot().queued, [key(3)]);
    let mut agent = supervisor.connect();
    std::fs::write(agent.dir(2).join("work/go"), "").unwrap();
    assert_eq!(agent.exited(3).code, Some(0));
}

#[test]
fn a_spawn_that_is_said_twice_runs_once() {
    let supervisor = Supervisor::start(1_000);
    let mut agent = supervisor.connect();
    let script = ["sh", "-c", "echo ran"];
    agent.spawn(1, &script);
    agent.spawn(1, &script);
    agent.exited(1);
    agent.spawn(1, &script);
    agent.exited(1);
    assert_eq!(agent.output(1, "stdout"), "ran\n");
}

#[test]
fn one_that_is_killed_in_the_queue_never_runs() {
    let supervisor = Supervisor::start(1_000);
    let mut agent = supervisor.connect();
    agent.spawn(1, &WAITS);
    agent.spawn(2, &["sh", "-c", "echo ran"]);
    agent.kill(2, 1_000);
    agent.wait_for(|event| match event {
        Event::Dequeued { attempt } if *attempt == key(2) => Some(()),
        _ => None,
    });
    agent.spawn(3, &["true"]);
    agent.kill(1, 0);
    agent.exited(3);
    assert!(!agent.dir(2).exists());
    assert_eq!(supervisor.connect().snapshot().dequeued, [key(2)]);
}

/// Goal: starting through the supervisor costs little more than starting. Method: a thousand times
/// `/bin/true` through two slots, beside two threads that do nothing but start and wait. The ratio is
/// printed, and only a gross failure fails: other tests use the same processors.
#[test]
fn a_thousand_short_commands_go_through_two_slots() {
    const COUNT: u32 = 1_000;
    let floor = time_bare_starts(COUNT);
    let supervisor = Supervisor::start(2_000);
    let mut agent = supervisor.connect();
    agent.snapshot();
    let spawns: Vec<Request> = (0..COUNT)
        .map(|task| Request::Spawn(Box::new(agent.command(task, &["/bin/true"]))))
        .collect();
    let begin = Instant::now();
    agent.send(&spawns);
    let mut ended = BTreeSet::new();
    while ended.len() < COUNT as usize {
        match agent.next().unwrap() {
            Event::Exited(exited) => {
                assert!(ended.insert(exited.attempt) && exited.code == Some(0))
            }
            Event::Started(_) => {}
            other => panic!("unexpected {other:?}"),
        }
    }
    let took = begin.elapsed();
    let rate = |time: Duration| f64::from(COUNT) / time.as_secs_f64();
    println!("supervised {:.0}/s, bare {:.0}/s", rate(took), rate(floor));
}

fn time_bare_starts(count: u32) -> Duration {
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..count / 2 {
                    assert!(Command::new("/bin/true").status().unwrap().success());
                }
            });
        }
    });
    begin.elapsed()
}
