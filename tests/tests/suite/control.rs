//! What users do to jobs.

use std::fs;

use mesh_schemas::{
    EndClass, Span,
    api::{Changed, JobView, WaitReason, Why},
    attempt::JobState,
    spec::{ArrayRange, ArraySpec},
};
use mesh_tests::{mesh::Mesh, wait::wait_for};
use serde_json::json;

use super::{SOON, ended, shell};

pub(crate) async fn cancel_ends_the_whole_tree(mesh: &Mesh) {
    let file = mesh.scratch().join(format!("pids-{}", mesh_fabric::ids::new_uuid()));
    // A child, a daemon in a session of its own, and one that also hides its environment.
    let line = format!(
        "sleep 1001 & echo $! >>{f}; setsid sh -c 'echo $$ >>{f}; exec sleep 1002' & \
         env -i setsid sh -c 'echo $$ >>{f}; exec sleep 1003' & wait",
        f = file.display()
    );
    let job = mesh.submit(&shell(&line)).await.job;
    let pids = || fs::read_to_string(&file).unwrap_or_default();
    wait_for(SOON, "three processes run", async || (pids().lines().count() == 3).then_some(()))
        .await;
    let changed =
        mesh.http().post(&format!("/api/v1/jobs/{job}/cancel"), &json!({})).await.unwrap();
    let changed: Changed = serde_json::from_value(changed.1).unwrap();
    assert_eq!(changed.tasks, 1);
    assert_eq!(mesh.finished(job, SOON).await.state, JobState::Cancelled);
    for pid in pids().lines() {
        let line = mesh_tests::mesh::command_line(pid.trim().parse().unwrap());
        assert!(!line.contains("sleep 100"), "{pid} is alive: {line}");
    }
}

pub(crate) async fn time_outs_end_what_runs_or_stalls(mesh: &Mesh) {
    let mut long = shell("while :; do echo busy; sleep 0.1; done");
    long.timeouts.run = Some(Span::from_secs(1));
    long.timeouts.kill_grace = Span::from_millis(200);
    let mut silent = shell("sleep 1000");
    silent.timeouts.stall = Some(Span::from_secs(1));
    silent.timeouts.kill_grace = Span::from_millis(200);
    let mut unplaceable = shell("true");
    unplaceable.labels.insert("nobody".into(), "has".into());
    unplaceable.timeouts.queue = Some(Span::from_secs(1));
    let jobs =
        [mesh.submit(&long).await, mesh.submit(&silent).await, mesh.submit(&unplaceable).await];
    for (submitted, class) in jobs.iter().zip([EndClass::Timeout, EndClass::Stalled]) {
        assert_eq!(mesh.finished(submitted.job, SOON).await.state, JobState::Failed);
        assert_eq!(mesh.attempts(submitted.job, 0).await[0].class, Some(class));
    }
    assert_eq!(mesh.finished(jobs[2].job, SOON).await.state, JobState::Failed);
}

pub(crate) async fn why_names_the_nearest_fix(mesh: &Mesh) {
    let mut spec = shell("true");
    spec.resources.gpu = 1;
    let job = mesh.submit(&spec).await.job;
    let why: Why = mesh.get(&format!("/jobs/{job}/why")).await;
    assert_eq!(why.waiting, 1);
    assert_eq!(why.reasons.first().map(|r| r.reason), Some(WaitReason::TooSmall), "{why:?}");
    assert!(why.nearest_fix.as_deref().unwrap_or_default().contains("gpu"), "{why:?}");
    let output = mesh.cli(&["cancel", &job.to_string()]).await;
    assert!(output.status.success());
    assert_eq!(mesh.finished(job, SOON).await.state, JobState::Cancelled);
}

pub(crate) async fn the_same_key_is_the_same_job(mesh: &Mesh) {
    let key = mesh_fabric::ids::new_uuid().to_string();
    let submit = async |word: &str| {
        mesh.cli(&["submit", "-o", "quiet", "--key", &key, "--", "echo", word]).await
    };
    let (first, second) = tokio::join!(submit("a"), submit("a"));
    assert!(first.status.success() && second.status.success());
    assert_eq!(first.stdout, second.stdout);
    let other = submit("b").await;
    assert_eq!(other.status.code(), Some(6));
    assert!(String::from_utf8_lossy(&other.stderr).contains("error[E_IDEM_MISMATCH]"));
}

pub(crate) async fn retry_runs_only_what_failed(mesh: &Mesh) {
    let flag = mesh.scratch().join(format!("flag-{}", mesh_fabric::ids::new_uuid()));
    let mut spec = shell(&format!("test $MESH_TASK_INDEX != 1 || test -e {}", flag.display()));
    spec.array = Some(ArraySpec::Range(ArrayRange { first: 0, last: 2 }));
    let job = ended(mesh, &spec).await;
    assert_eq!((job.state, job.counts.failed), (JobState::Failed, 1));
    fs::write(&flag, "").unwrap();
    let output = mesh.cli(&["retry", "--wait", &job.id.to_string()]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let attempts: Vec<_> = mesh.tasks(job.id).await.iter().map(|task| task.attempts).collect();
    assert_eq!(attempts, [1, 2, 1]);
}

/// Two of many short tasks take long after all: what was granted ahead of them waits in the queue again, for
/// whoever has room, and being taken back counts as no failure.
pub(crate) async fn what_waits_behind_long_tasks_is_taken_back(mesh: &Mesh) {
    let flag = mesh.scratch().join(format!("flag-{}", mesh_fabric::ids::new_uuid()));
    let wait = format!("while ! test -e {}; do sleep 0.1; done", flag.display());
    let mut spec = shell(&format!("test $MESH_TASK_INDEX -lt 40 || {{ {wait}; }}"));
    spec.array = Some(ArraySpec::Range(ArrayRange { first: 0, last: 99 }));
    spec.retries.lost = 0;
    let job = mesh.submit(&spec).await.job;
    wait_for(SOON, "only the long ones are held", async || {
        let counts = mesh.get::<JobView>(&format!("/jobs/{job}")).await.counts;
        let held_ahead = counts.leased > 0;
        (counts.succeeded == 40 && counts.running == 2 && !held_ahead).then_some(())
    })
    .await;
    fs::write(&flag, "").unwrap();
    assert_eq!(mesh.finished(job, SOON).await.state, JobState::Succeeded);
    let again = mesh.tasks(job).await.iter().filter(|task| task.attempts > 1).count();
    assert!(again > 0, "some were granted ahead and taken back");
}
