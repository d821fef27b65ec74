//! `mesh run -- cmd`, and what the other commands say of jobs.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Stdio},
};

use mesh_schemas::attempt::JobState;
use mesh_tests::{mesh::Mesh, wait::wait_for};
use rustix::process::{Pid, Signal, kill_process};

use super::{SOON, ended, shell};

pub(crate) async fn ships_streams_and_brings_back(mesh: &Mesh) {
    let dir = mesh.scratch().join(format!("project-{}", mesh_fabric::ids::new_uuid()));
    fs::create_dir_all(dir.join("src")).unwrap();
    fs::create_dir_all(dir.join("junk")).unwrap();
    fs::write(dir.join(".gitignore"), "junk/\n").unwrap();
    fs::write(dir.join("junk/secret"), "not to be shipped").unwrap();
    fs::write(dir.join("src/words"), "shipped words\n").unwrap();
    let line = "cat src/words; test ! -e junk/secret; echo made >made.txt; exit 3";
    let path = dir.to_string_lossy();
    let args = ["run", "--dir", &path, "--keep", "made.txt", "--", "sh", "-ec", line];
    let output = mesh.cli(&args).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "shipped words\n", "{stderr}");
    assert_eq!(fs::read_to_string(dir.join("made.txt")).unwrap(), "made\n");
}

pub(crate) async fn all_tasks_of_an_array_are_streamed(mesh: &Mesh) {
    let line = "echo out $MESH_TASK_INDEX; printf open >&2; test $MESH_TASK_INDEX != 4 || exit 6";
    let output = mesh.cli(&["run", "--no-dir", "--array", "3-5", "--", "sh", "-c", line]).await;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(6), "{stderr}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let mut lines: Vec<_> = stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["[3] out 3", "[4] out 4", "[5] out 5"], "{stderr}");
    for task in 3..=5 {
        assert!(stderr.contains(&format!("[{task}] open\n")), "{stderr}");
    }
    assert!(stderr.contains("failed: 1 of 3 tasks; task 4 ended with exit code 6"), "{stderr}");
    let job = stderr.split(&[',', ' '][..]).find(|word| word.starts_with("job_")).unwrap();
    let output = mesh.cli(&["logs", job]).await;
    assert_eq!(String::from_utf8_lossy(&output.stdout), "out 3\n", "the array begins with 3");
}

pub(crate) async fn a_time_out_is_named(mesh: &Mesh) {
    let args = ["run", "--no-dir", "-t", "1s", "--kill-grace", "100ms", "--", "sleep", "1000"];
    let output = mesh.cli(&args).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(stderr.contains("it ran longer than its time-out of 1s"), "{stderr}");
}

/// Starts the command and waits for its first line on stdout.
async fn started(mesh: &Mesh, args: &[&str]) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut command = mesh.command(args);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let reading = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        (line, stdout)
    });
    let (line, stdout) = tokio::time::timeout(SOON, reading).await.unwrap().unwrap();
    assert_eq!(line, "up\n");
    (child, stdout)
}

/// The rest of its stdout, its stderr and its exit code.
async fn to_the_end(
    mut child: Child,
    mut stdout: BufReader<std::process::ChildStdout>,
) -> (String, String, Option<i32>) {
    let reading = tokio::task::spawn_blocking(move || {
        let (mut out, mut err) = (String::new(), String::new());
        stdout.read_to_string(&mut out).unwrap();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        (out, err, child.wait().unwrap().code())
    });
    tokio::time::timeout(SOON, reading).await.unwrap().unwrap()
}

pub(crate) async fn ctrl_c_cancels_and_shows_the_last_output(mesh: &Mesh) {
    let line = "trap 'echo last; exit 0' TERM; echo up; while :; do sleep 0.05; done";
    let (child, stdout) = started(mesh, &["run", "--no-dir", "--", "sh", "-c", line]).await;
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let (out, err, code) = to_the_end(child, stdout).await;
    assert_eq!((out.as_str(), code), ("last\n", Some(130)), "{err}");
    assert!(err.ends_with("cancelled\n"), "{err}");
}

pub(crate) async fn a_follower_is_told_of_a_lost_server_once(mesh: &Mesh) {
    let flag = mesh.scratch().join(format!("go-{}", mesh_fabric::ids::new_uuid()));
    let line =
        format!("echo up; while ! test -e {}; do sleep 0.05; done; echo end", flag.display());
    let job = mesh.submit(&shell(&line)).await.job;
    let (child, stdout) = started(mesh, &["logs", "-f", &job.to_string()]).await;
    mesh.kill("orchestrator");
    wait_for(SOON, "the orchestrator is back", async || {
        let answer = mesh.http().get(&format!("/api/v1/jobs/{job}")).await;
        answer.is_ok_and(|(status, _)| status.is_success()).then_some(())
    })
    .await;
    fs::write(&flag, "").unwrap();
    let (out, err, code) = to_the_end(child, stdout).await;
    assert_eq!((out.as_str(), code), ("end\n", Some(0)), "{err}");
    assert_eq!(err.matches("lost the server, trying again").count(), 1, "{err}");
    assert_eq!(err.matches("the server is back").count(), 1, "{err}");
}

pub(crate) async fn a_token_that_cannot_be_printed_is_revoked(mesh: &Mesh) {
    let mut command = mesh.command(["token", "new", "lost"]);
    command.stdout(File::options().write(true).open("/dev/full").unwrap()).stderr(Stdio::piped());
    let child = tokio::process::Command::from(command).spawn().unwrap();
    let output = child.wait_with_output().await.unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains("error[E_FILE]: the token is lost"), "{stderr}");
    let tokens = mesh.cli(&["token", "ls"]).await;
    let tokens = String::from_utf8_lossy(&tokens.stdout);
    assert!(!tokens.contains("lost"), "{tokens}");
}

pub(crate) async fn nothing_to_retry_is_said_as_that(mesh: &Mesh) {
    let job = ended(mesh, &shell("true")).await;
    assert_eq!(job.state, JobState::Succeeded);
    let output = mesh.cli(&["retry", &job.id.to_string()]).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6));
    let wanted = format!("there is nothing to retry: {} has succeeded", job.id);
    assert!(stderr.contains(&wanted), "{stderr}");
    assert!(stderr.contains("failed, cancelled and quarantined"), "{stderr}");
}

pub(crate) async fn a_wrong_token_is_told_by_its_file(mesh: &Mesh) {
    let file = mesh.scratch().join("wrong.token");
    fs::write(&file, "dmk_wrong").unwrap();
    let output = mesh.cli(&["--token-file", &file.to_string_lossy(), "jobs"]).await;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{stderr}");
    assert!(stderr.contains("wrong.token") && !stderr.contains("Bearer"), "{stderr}");
}
