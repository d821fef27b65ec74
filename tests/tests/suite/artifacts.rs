//! What tasks leave behind, and when it can be had.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
    time::{Duration, Instant},
};

use mesh_schemas::{Span, attempt::JobState};
use mesh_tests::{mesh::Mesh, wait::wait_for};

use super::{SOON, ended, shell};

pub(crate) async fn output_is_stored_while_the_job_runs(mesh: &Mesh) {
    let flag = mesh.scratch().join(format!("go-{}", mesh_fabric::ids::new_uuid()));
    let mut spec = shell(&format!(
        "mkdir out; head -c 3000000 /dev/urandom >out/big; cksum <out/big >out/sum; \
         while ! test -e {}; do sleep 0.05; done; echo late >out/late",
        flag.display()
    ));
    spec.outputs = vec!["out/**".into()];
    spec.upload.every = Span::from_secs(1);
    let job = mesh.submit(&spec).await.job;
    let list = async || {
        let output = mesh.cli(&["artifacts", "ls", &job.to_string(), "-o", "quiet"]).await;
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    wait_for(SOON, "the file is stored while the job runs", async || {
        list().await.contains("out/sum").then_some(())
    })
    .await;
    std::fs::write(&flag, "").unwrap();
    assert_eq!(mesh.finished(job, SOON).await.state, JobState::Succeeded);
    assert!(list().await.contains("out/late"));
    let to = mesh.scratch().join(job.to_string());
    let got =
        mesh.cli(&["artifacts", "get", &job.to_string(), "--to", &to.to_string_lossy()]).await;
    assert!(got.status.success(), "{}", String::from_utf8_lossy(&got.stderr));
    let mut sum = std::process::Command::new("cksum");
    let sum = sum.stdin(std::fs::File::open(to.join("out/big")).unwrap()).output().unwrap();
    assert_eq!(sum.stdout, std::fs::read(to.join("out/sum")).unwrap());
}

pub(crate) async fn logs_can_be_followed_within_a_second(mesh: &Mesh) {
    let line = "for i in 1 2 3; do echo line $i $(date +%s%N); sleep 0.7; done; seq 1 50000";
    let job = mesh.submit(&shell(line)).await.job.to_string();
    let mut command = mesh.command(["logs", "-f", &job]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let stdout = child.stdout.take().unwrap();
    let (late, numbers) = tokio::task::spawn_blocking(move || {
        let mut lines = BufReader::new(stdout).lines().map(Result::unwrap);
        let now = || std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        let first: Vec<u128> = lines
            .by_ref()
            .take(3)
            .map(|line| now() - line.rsplit(' ').next().unwrap().parse::<u128>().unwrap())
            .collect();
        // The first line may have been written before the command was there.
        (first[1..].iter().max().copied().unwrap(), lines.collect::<Vec<_>>())
    })
    .await
    .unwrap();
    assert!(child.wait().unwrap().success());
    assert!(late < 1_000_000_000, "a line came after {late} ns");
    let wanted: Vec<String> = (1..=50_000).map(|n| n.to_string()).collect();
    assert!(numbers == wanted, "{} lines, not 50000 in order", numbers.len());
}

pub(crate) async fn the_next_attempt_starts_with_the_checkpoint(mesh: &Mesh) {
    let mut spec = shell(
        "n=$(cat $MESH_CHECKPOINT_DIR/n 2>/dev/null || echo 0); n=$((n+1)); \
         echo $n >$MESH_CHECKPOINT_DIR/n; echo step $n; test $n = 3",
    );
    spec.checkpoint = Some("state".into());
    spec.retries.user_error = 5;
    let begun = Instant::now();
    let job = ended(mesh, &spec).await;
    assert_eq!(job.state, JobState::Succeeded);
    assert_eq!(mesh.attempts(job.id, 0).await.len(), 3);
    assert!(begun.elapsed() > Duration::from_secs(1), "failures are not tried again at once");
}
