//! What the real program takes of a machine.

use std::{process::Command, time::Duration};

use mesh_fabric::ids;
use mesh_schemas::{api::Joined, message::EVENTS_MAX};
use mesh_tests::{http::Http, nats::NatsServer, ports, process::Process, wait_for};
use nkeys::KeyPair;
use serde_json::{Value, json};

use super::{
    cluster::{SOON, write_files},
    fake_node::{FakeNode, ended},
};

/// Memory of its own that the orchestrator may take, before and after 10,000 tasks. The pages of its
/// program file come on top: over 40 MiB in a debug build, which is why they are not counted here.
const MEMORY_KIB_MAX: u64 = 36 << 10;
const TASKS: usize = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn the_program_stays_small_over_ten_thousand_tasks() {
    let nats = NatsServer::start();
    let dir = mesh_tests::tmp::dir("footprint");
    write_files(&nats, &dir);
    let (port, token) = (ports::free(), ids::secret("dmk_"));
    std::fs::write(dir.path().join("admin.token"), &token).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_mesh-orchestrator"));
    program
        .args(["--config".as_ref(), dir.path().join("orchestrator.toml").as_os_str()])
        .env("MESH_ORCHESTRATOR__LISTEN", format!("127.0.0.1:{port}"))
        .env("MESH_ORCHESTRATOR__ADMIN__TOKEN_FILE", dir.path().join("admin.token"));
    let mut program = Process::start(&mut program, &dir.path().join("log"));
    let api = Http::new(format!("http://127.0.0.1:{port}")).with_token(token);
    let up = async || api.get("/api/v1/info").await.ok().filter(|(status, _)| status.is_success());
    wait_for(SOON, "the API to answer", up).await;
    let idle = memory_kib(program.pid());

    let mut node = join(&api).await;
    let job = json!({ "command": ["true"], "array": format!("0-{}", TASKS - 1) });
    let (status, submitted) = api.post("/api/v1/jobs", &job).await.unwrap();
    assert!(status.is_success(), "{submitted}");
    let mut done = 0;
    while done < TASKS {
        let (taken, _) = node.take(1).await;
        for attempts in taken.chunks(EVENTS_MAX) {
            let events = node.events(attempts.iter().copied().map(ended).collect());
            node.publish_until_recorded(&events).await;
            node.forget(attempts);
            done += attempts.len();
        }
    }
    let path = format!("/api/v1/jobs/{}", submitted["job"].as_str().unwrap());
    let ended = async || {
        let (_, job) = api.get(&path).await.ok()?;
        (job["state"] == "succeeded").then_some(())
    };
    wait_for(SOON, "the job to succeed", ended).await;
    let after = memory_kib(program.pid());
    assert!(idle < MEMORY_KIB_MAX && after < MEMORY_KIB_MAX, "{idle} KiB, then {after} KiB");
    let stopped = program.stop(Duration::from_secs(10)).unwrap();
    assert!(stopped.success(), "{stopped}\n{}", program.log_tail());
}

async fn join(api: &Http) -> FakeNode {
    let (_, code) = api.post("/api/v1/nodes/join-codes", &json!({})).await.unwrap();
    let key = KeyPair::new_user();
    let wish = json!({ "code": code["code"], "public_key": key.public_key(), "name": "fake" });
    let (status, joined): (_, Value) = api.post("/api/v1/nodes/join", &wish).await.unwrap();
    assert!(status.is_success(), "{joined}");
    FakeNode::enter(serde_json::from_value::<Joined>(joined).unwrap(), &key).await
}

fn memory_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
