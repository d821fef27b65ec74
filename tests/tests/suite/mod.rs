//! What a mesh must do, whatever it stands on. Each file is one theme; each function one claim.

mod artifacts;
mod control;
mod outcomes;
mod run_command;

use std::time::Duration;

use mesh_schemas::{JobSpec, api::JobView};
use mesh_tests::mesh::Mesh;

/// Longest wait for a small job, on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A job that runs a shell line.
pub(crate) fn shell(line: &str) -> JobSpec {
    JobSpec::new(["sh", "-c", line])
}

/// Submits and waits for the end.
pub(crate) async fn ended(mesh: &Mesh, spec: &JobSpec) -> JobView {
    let submitted = mesh.submit(spec).await;
    mesh.finished(submitted.job, SOON).await
}

/// Runs all of it on one mesh, and then looks at every task that ever ended.
pub(crate) async fn run(mesh: &Mesh) {
    outcomes::a_job_succeeds_with_its_log(mesh).await;
    outcomes::a_failure_is_tried_again_as_often_as_asked(mesh).await;
    outcomes::a_missing_program_is_the_users_error(mesh).await;
    outcomes::an_array_ends_each_task_once(mesh).await;
    outcomes::lines_of_a_file_become_tasks(mesh).await;
    outcomes::jobs_run_after_those_they_need(mesh).await;
    control::cancel_ends_the_whole_tree(mesh).await;
    control::time_outs_end_what_runs_or_stalls(mesh).await;
    control::why_names_the_nearest_fix(mesh).await;
    control::the_same_key_is_the_same_job(mesh).await;
    control::retry_runs_only_what_failed(mesh).await;
    control::what_waits_behind_long_tasks_is_taken_back(mesh).await;
    artifacts::output_is_stored_while_the_job_runs(mesh).await;
    artifacts::logs_can_be_followed_within_a_second(mesh).await;
    artifacts::the_next_attempt_starts_with_the_checkpoint(mesh).await;
    run_command::ships_streams_and_brings_back(mesh).await;
    run_command::all_tasks_of_an_array_are_streamed(mesh).await;
    run_command::a_time_out_is_named(mesh).await;
    run_command::ctrl_c_cancels_and_shows_the_last_output(mesh).await;
    run_command::a_follower_is_told_of_a_lost_server_once(mesh).await;
    run_command::a_token_that_cannot_be_printed_is_revoked(mesh).await;
    run_command::nothing_to_retry_is_said_as_that(mesh).await;
    run_command::a_wrong_token_is_told_by_its_file(mesh).await;
    outcomes::every_finished_task_has_owner_trace_and_manifest(mesh).await;
}
