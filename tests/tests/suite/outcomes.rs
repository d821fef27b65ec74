//! How jobs end.

use mesh_schemas::{
    EndClass, TaskState,
    api::{JobView, Page},
    attempt::JobState,
    spec::{ArrayRange, ArraySpec},
};
use mesh_tests::mesh::Mesh;

use super::{SOON, ended, shell};

pub(crate) async fn a_job_succeeds_with_its_log(mesh: &Mesh) {
    let job = ended(mesh, &shell("echo to-stdout; echo to-stderr >&2")).await;
    assert_eq!(job.state, JobState::Succeeded);
    let output = mesh.cli(&["logs", &job.id.to_string()]).await;
    assert_eq!(String::from_utf8_lossy(&output.stdout), "to-stdout\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "to-stderr\n");
}

pub(crate) async fn a_failure_is_tried_again_as_often_as_asked(mesh: &Mesh) {
    let mut spec = shell("exit 3");
    spec.retries.user_error = 1;
    let job = ended(mesh, &spec).await;
    assert_eq!(job.state, JobState::Failed);
    let attempts = mesh.attempts(job.id, 0).await;
    let ends: Vec<_> = attempts.iter().map(|a| (a.class, a.exit_code)).collect();
    assert_eq!(ends, [(Some(EndClass::UserError), Some(3)); 2]);
}

pub(crate) async fn a_missing_program_is_the_users_error(mesh: &Mesh) {
    let job = ended(mesh, &mesh_schemas::JobSpec::new(["no-such-program"])).await;
    let attempts = mesh.attempts(job.id, 0).await;
    assert_eq!((attempts.len(), attempts[0].class), (1, Some(EndClass::UserError)));
    assert!(attempts[0].message.as_deref().unwrap_or_default().contains("no-such-program"));
}

pub(crate) async fn an_array_ends_each_task_once(mesh: &Mesh) {
    let mut spec = shell("echo $MESH_TASK_INDEX");
    spec.array = Some(ArraySpec::Range(ArrayRange { first: 5, last: 204 }));
    let job = ended(mesh, &spec).await;
    assert_eq!((job.state, job.counts.succeeded), (JobState::Succeeded, 200));
    let tasks = mesh.tasks(job.id).await;
    assert_eq!(tasks.iter().map(|t| t.task).collect::<Vec<_>>(), (5..205).collect::<Vec<_>>());
    assert!(tasks.iter().all(|t| t.state == TaskState::Succeeded && t.attempts == 1));
    let output = mesh.cli(&["logs", &job.id.to_string(), "--task", "77"]).await;
    assert_eq!(String::from_utf8_lossy(&output.stdout), "77\n");
}

pub(crate) async fn lines_of_a_file_become_tasks(mesh: &Mesh) {
    let mut spec = shell("test \"$MESH_ITEM\" = \"item $MESH_TASK_INDEX\"");
    spec.array = Some(ArraySpec::Items((0..20).map(|i| format!("item {i}")).collect()));
    assert_eq!(ended(mesh, &spec).await.state, JobState::Succeeded);
}

pub(crate) async fn jobs_run_after_those_they_need(mesh: &Mesh) {
    let first = mesh.submit(&shell("sleep 0.5")).await.job;
    let mut second = shell("true");
    second.after = vec![first];
    let second = ended(mesh, &second).await;
    assert_eq!(second.state, JobState::Succeeded);
    assert_eq!(mesh.finished(first, SOON).await.state, JobState::Succeeded);

    let broken = mesh.submit(&shell("sleep 0.5; exit 1")).await.job;
    let mut third = shell("true");
    third.after = vec![broken];
    assert_eq!(ended(mesh, &third).await.state, JobState::Cancelled);
}

pub(crate) async fn every_finished_task_has_owner_trace_and_manifest(mesh: &Mesh) {
    let jobs: Page<JobView> = mesh.get("/jobs?limit=1000").await;
    assert!(jobs.items.len() > 10);
    for job in jobs.items {
        assert_eq!(job.trace_id.len(), 32);
        for task in mesh.tasks(job.id).await {
            // Only a task that was cancelled or timed out while it waited never had an owner.
            let Some(last) = task.last else {
                assert!(!matches!(task.state, TaskState::Succeeded | TaskState::Quarantined));
                continue;
            };
            if task.state.is_terminal() {
                assert_eq!(last.trace_id, job.trace_id);
                assert!(last.manifest.is_some(), "{} has no manifest", last.attempt);
                assert!(last.ended_at.is_some() && last.class.is_some());
            }
        }
    }
}
