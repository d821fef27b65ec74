//! Nobody anonymous, and who is cut off stays cut off.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command, time::Duration};

use mesh_schemas::{JobSpec, api::NodeState, attempt::JobState};
use mesh_tests::{
    bins,
    http::Http,
    mesh::{Mesh, Options},
    process::Process,
    tmp,
    wait::wait_for,
};

const SOON: Duration = Duration::from_secs(60);
/// Within this a revoked node is cut off.
const REVOKED_WITHIN: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_node_is_cut_off_within_five_seconds() {
    let mesh = Mesh::start(&Options { nodes: 2, ..Options::default() }).await;
    let mut spec = JobSpec::new(["sleep", "1000"]);
    spec.resources.cpu.0 = 2_000;
    let job = mesh.submit(&spec).await.job;
    let first = wait_for(SOON, "it runs", async || mesh.attempts(job, 0).await.pop()).await;
    let victim = mesh.nodes().await.into_iter().find(|node| node.id == first.node).unwrap();
    let output = mesh.cli(&["node", "revoke", &victim.name]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    wait_for(REVOKED_WITHIN, "its work is somebody else's", async || {
        let last = mesh.attempts(job, 0).await.pop()?;
        (last.node != victim.id).then_some(())
    })
    .await;
    wait_for(REVOKED_WITHIN, "the broker refuses it", async || {
        let log = mesh.log(&victim.name).to_ascii_lowercase();
        (log.contains("authorization violation") || log.contains("revoked")).then_some(())
    })
    .await;
    let state = mesh.nodes().await.into_iter().find(|node| node.id == victim.id).unwrap().state;
    assert_eq!(state, NodeState::Revoked);
    mesh.cli(&["cancel", &job.to_string()]).await;
    assert_eq!(mesh.finished(job, SOON).await.state, JobState::Cancelled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_private_and_a_token_is_needed() {
    let mesh = Mesh::start(&Options::default()).await;
    let data = mesh.data();
    for file in [
        "admin.token",
        "cluster/keys.json",
        "cluster/orchestrator.creds",
        "cluster/system.creds",
        "cluster/store.json",
        "node-1/identity.json",
    ] {
        let mode = fs::metadata(data.join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{file} has the mode {mode:o}");
    }
    let stranger = Http::new(mesh.server());
    let (status, body) = stranger.get("/api/v1/jobs").await.unwrap();
    assert_eq!((status.as_u16(), body["code"].as_str()), (401, Some("E_UNAUTHENTICATED")));
    let token = fs::read_to_string(data.join("admin.token")).unwrap();
    for part in ["orchestrator", "nats", "store", "node-1"] {
        assert!(!mesh.log(part).contains(token.trim()), "{part} logs the token");
    }
    for (part, pid) in mesh.pids() {
        let line = mesh_tests::mesh::command_line(pid);
        assert!(
            !line.contains("dmk_") && !line.contains("dmj_"),
            "{part} has a secret as argument"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_code_works_once() {
    let mesh = Mesh::start(&Options::default()).await;
    let code = mesh.cli(&["node", "code"]).await;
    let code = String::from_utf8(code.stdout).unwrap();
    let join = |name: &str| {
        let data = mesh.scratch().join(name);
        let data = data.to_string_lossy().into_owned();
        let args = ["node", "join", mesh.server(), "--name", name, "--data", &data];
        mesh.command(args).env("MESH_JOIN_CODE", code.trim()).output().unwrap()
    };
    let first = join("first");
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let second = join("second");
    assert_eq!(second.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&second.stderr).contains("error[E_JOIN_TOKEN]"));
    assert!(!mesh.scratch().join("second/identity.json").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_mesh_on_the_same_data_is_refused() {
    let mesh = Mesh::start(&Options::default()).await;
    let data = mesh.data().to_string_lossy().into_owned();
    let args = ["up", "--no-context", "--listen", "127.0.0.1:0", "--data", &data];
    let output = mesh.cli(&args).await;
    assert_eq!(output.status.code(), Some(6));
    assert!(String::from_utf8_lossy(&output.stderr).contains("error[E_LOCKED]"));
}

#[test]
fn a_listener_beyond_loopback_needs_names_for_its_certificate() {
    let dir = tmp::dir("bind");
    let output = Command::new(bins::path("mesh"))
        .args(["up", "--no-context", "--listen", "0.0.0.0:0", "--data"])
        .arg(dir.path().join("data"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("error[E_INSECURE_BIND]"));
    assert!(!dir.path().join("data").exists(), "nothing was made");
}

/// The same mesh with TLS on every listener; a node joins by the fingerprint in its code.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_loopback_everything_speaks_tls() {
    let dir = tmp::dir("tls");
    let data = dir.path().join("data");
    let mut command = Command::new(bins::path("mesh"));
    command.args([
        "up",
        "--no-context",
        "--listen",
        "0.0.0.0:0",
        "--host",
        "localhost",
        "--cpu",
        "1",
    ]);
    command.arg("--data").arg(&data);
    command.env("MESH_NATS_SERVER", mesh_tests::tools::nats_server());
    let mut up = Process::start(&mut command, &dir.path().join("up.log"));
    wait_for(SOON, "it is ready", async || {
        assert!(up.exited().is_none(), "{}", up.log_tail());
        up.log_tail().contains("ready in").then_some(())
    })
    .await;
    let ports: serde_json::Value =
        serde_json::from_slice(&fs::read(data.join("ports.json")).unwrap()).unwrap();
    let port = ports["api"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
    let run = |scheme: &str| {
        Command::new(bins::path("mesh"))
            .args(["run", "--no-dir", "--", "echo", "over TLS"])
            .env("MESH_SERVER", format!("{scheme}://localhost:{port}"))
            .env("MESH_TOKEN_FILE", data.join("admin.token"))
            .env("MESH_CA_FILE", data.join("cluster/ca.pem"))
            .output()
            .unwrap()
    };
    let output = run("https");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "over TLS\n", "{error}{}", up.log_tail());
    assert_eq!(run("http").status.code(), Some(7), "plain text is not answered");
    up.stop(SOON);
}
