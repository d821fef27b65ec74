//! What the agent does for attempts, with the real supervisor and broker.

use std::fs;

use data_encoding::BASE64;
use mesh_schemas::{
    EndClass, ErrorCode, JobSpec, Span,
    manifest::{ManifestPlace, SegmentData},
    message::{AgentAnswer, AttemptEnded, StopReason},
};
use mesh_tests::wait::look_until;

use crate::harness::{Bench, DEADLINE};

/// A script's wait for a file that the test writes.
const AWAIT_GO: &str = "while ! [ -e $T/go ]; do sleep 0.02; done";

fn log_of(end: &AttemptEnded) -> String {
    let ManifestPlace::Inline(manifest) = &end.manifest.place else {
        panic!("{:?} is not inline", end.manifest.place)
    };
    let segments = manifest.logs.iter().flat_map(|log| &log.segments);
    let bytes = segments.flat_map(|segment| match &segment.data {
        SegmentData::Inline(text) => BASE64.decode(text.as_bytes()).unwrap(),
        SegmentData::Chunk(_) => panic!("a chunk in an inline manifest"),
    });
    String::from_utf8(bytes.collect()).unwrap()
}

#[tokio::test]
async fn a_command_runs_in_a_clean_environment_and_its_output_travels_with_its_end() {
    let bench = Bench::new().await;
    let script = "echo $MESH_TASK_INDEX $MESH_EPOCH $LANG; env | grep -c MESH_NODE; pwd";
    let end = bench.end_of(bench.shell(script).await).await;
    assert_eq!((end.class, end.exit_code), (EndClass::Success, Some(0)));
    let log = log_of(&end);
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines[..2], ["0 1 C.UTF-8", "0"]);
    assert!(lines[2].ends_with("/work"), "{log}");
    bench.wait_held(end.attempt, false).await;
    let dir = bench.path("attempts");
    let gone = || fs::read_dir(&dir).unwrap().next().is_none();
    assert!(look_until(DEADLINE, gone), "the forgotten attempt's directory is removed");
}

#[tokio::test]
async fn an_agent_killed_in_mid_job_neither_stops_nor_restarts_it_and_it_ends_once() {
    let bench = Bench::new().await;
    let attempt = bench.shell(&format!("echo $$ >> $T/runs; {AWAIT_GO}; echo done")).await;
    bench.file("runs").await;
    for _ in 0..2 {
        bench.kill_agent().await;
        bench.wait_held(attempt, true).await;
    }
    fs::write(bench.path("go"), "").unwrap();
    let end = bench.end_of(attempt).await;
    assert_eq!((end.class, log_of(&end).as_str()), (EndClass::Success, "done\n"));
    bench.wait_held(attempt, false).await;
    assert_eq!(bench.heard().ends().len(), 1);
    assert_eq!(fs::read_to_string(bench.path("runs")).unwrap().lines().count(), 1);
}

#[tokio::test]
async fn hundreds_of_tiny_tasks_end_once_each_across_a_killed_agent() {
    let bench = Bench::new().await;
    let attempts = bench.start(&JobSpec::new(["/bin/true"]), 300).await;
    bench.wait("some ends", |heard| heard.ends().len() > 20).await;
    bench.kill_agent().await;
    bench.wait("all ends", |heard| heard.ends().len() >= 300).await;
    let mut ended: Vec<_> = bench.heard().ends().into_iter().map(|end| end.attempt).collect();
    ended.sort();
    assert_eq!(ended, attempts);
    assert!(bench.heard().ends().iter().all(|end| end.class == EndClass::Success));
}

#[tokio::test]
async fn what_was_not_recorded_is_sent_again_by_the_next_life() {
    let bench = Bench::new().await;
    bench.heard().forgetful = true;
    let attempt = bench.shell("exit 3").await;
    let journal = bench.path("journal.log");
    let journaled = || fs::read_to_string(&journal).unwrap().contains("attempt_ended");
    assert!(look_until(DEADLINE, journaled));
    bench.kill_agent().await;
    bench.heard().forgetful = false;
    let end = bench.end_of(attempt).await;
    assert_eq!((end.class, end.exit_code), (EndClass::UserError, Some(3)));
}

#[tokio::test]
async fn a_cancelled_task_is_asked_to_end_and_keeps_its_log() {
    let bench = Bench::new().await;
    let attempt = bench.shell("echo up; echo up > $T/up; exec sleep 1000").await;
    bench.file("up").await;
    bench.stop(attempt, StopReason::Cancelled).await;
    let end = bench.end_of(attempt).await;
    assert_eq!((end.class, end.signal), (EndClass::Cancelled, Some(15)));
    assert_eq!(log_of(&end), "up\n");
}

#[tokio::test]
async fn a_fenced_task_is_killed_at_once_with_its_daemons_and_nothing_is_reported() {
    let bench = Bench::new().await;
    let script = "trap '' TERM; setsid sleep 1000 & echo $! > $T/daemon; wait; sleep 1000";
    let attempt = bench.shell(script).await;
    let daemon = bench.file("daemon").await;
    bench.stop(attempt, StopReason::Fenced).await;
    bench.wait_held(attempt, false).await;
    assert!(bench.heard().ends().is_empty());
    assert!(!fs::exists(format!("/proc/{}", daemon.trim())).unwrap());
}

#[tokio::test]
async fn a_command_that_does_not_exist_is_the_users_error_127() {
    let bench = Bench::new().await;
    let attempt = bench.start(&JobSpec::new(["no-such-program"]), 1).await[0];
    let end = bench.end_of(attempt).await;
    assert_eq!((end.class, end.exit_code), (EndClass::UserError, Some(127)));
    assert!(end.message.is_some());
}

#[tokio::test]
async fn a_task_that_removes_its_own_directory_ends_with_its_log() {
    let bench = Bench::new().await;
    let mut spec = bench.script("echo gone; rm -rf \"$PWD\"");
    spec.outputs = vec!["*.txt".into()];
    let attempt = bench.start(&spec, 1).await[0];
    let end = bench.end_of(attempt).await;
    assert_eq!((end.class, log_of(&end).as_str()), (EndClass::Success, "gone\n"));
}

#[tokio::test]
async fn a_command_too_long_for_any_system_is_the_users_error_126() {
    let bench = Bench::new().await;
    let long = "x".repeat(200_000);
    let attempt = bench.start(&JobSpec::new(["/bin/true", &long]), 1).await[0];
    let end = bench.end_of(attempt).await;
    assert_eq!((end.class, end.exit_code), (EndClass::UserError, Some(126)));
}

#[tokio::test]
async fn a_task_that_falls_silent_is_stalled() {
    let bench = Bench::new().await;
    let mut spec = bench.script("while :; do sleep 1; done");
    spec.timeouts.stall = Some(Span::from_millis(700));
    let attempt = bench.start(&spec, 1).await[0];
    assert_eq!(bench.end_of(attempt).await.class, EndClass::Stalled);
}

#[tokio::test]
async fn a_log_is_read_while_it_is_written() {
    let bench = Bench::new().await;
    let attempt = bench.shell(&format!("echo a; {AWAIT_GO}; echo b; sleep 1000")).await;
    bench.wait_held(attempt, true).await;
    let read = |answer| match answer {
        AgentAnswer::Log { data, end, .. } => {
            (String::from_utf8(BASE64.decode(data.as_bytes()).unwrap()).unwrap(), end)
        }
        AgentAnswer::Refused(problem) => panic!("{problem}"),
    };
    assert_eq!(read(bench.read_log(attempt, 0).await), ("a\n".into(), false));
    let (answer, ()) = tokio::join!(bench.read_log(attempt, 2), async {
        fs::write(bench.path("go"), "").unwrap();
    });
    assert_eq!(read(answer), ("b\n".into(), false));
    bench.stop(attempt, StopReason::Fenced).await;
    bench.wait_held(attempt, false).await;
    let AgentAnswer::Refused(problem) = bench.read_log(attempt, 4).await else {
        panic!("a forgotten log was read")
    };
    assert_eq!(problem.code, ErrorCode::NotFound);
}

#[tokio::test]
async fn nonsense_on_the_wire_changes_nothing() {
    let bench = Bench::new().await;
    let long = vec![b'['; 100_000];
    for bad in [&b""[..], b"\xff\x00", b"{}", b"{\"v\":1,\"leader\":1,\"commands\":[{}]}", &long] {
        bench.send_raw(bad.to_vec()).await;
    }
    let end = bench.end_of(bench.shell("echo fine").await).await;
    assert_eq!(log_of(&end), "fine\n");
}

#[tokio::test]
async fn a_node_told_to_stop_hands_its_work_back_and_ends() {
    let mut bench = Bench::new().await;
    let running = bench.shell("echo up > $T/up; sleep 1000").await;
    bench.file("up").await;
    let status = bench.process.stop(DEADLINE);
    assert_eq!(status.and_then(|status| status.code()), Some(0), "{}", bench.process.log_tail());
    let end = bench.end_of(running).await;
    assert_eq!(end.class, EndClass::Preempted);
    assert_eq!(end.message.as_deref(), Some("node is draining"));
    assert!(bench.heard().beats.last().is_some_and(|beat| beat.paused));
}

#[tokio::test]
async fn a_broker_that_dies_and_returns_finds_the_node_again() {
    let mut bench = Bench::new().await;
    let attempt = bench.shell(AWAIT_GO).await;
    bench.wait_held(attempt, true).await;
    let hellos = bench.heard().hellos.len();
    bench.nats.restart();
    bench.wait("a hello after the restart", |heard| heard.hellos.len() > hellos).await;
    fs::write(bench.path("go"), "").unwrap();
    assert_eq!(bench.end_of(attempt).await.class, EndClass::Success);
}
