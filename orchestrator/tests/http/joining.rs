//! Letting machines in: a code works once, and a bad one tells nothing.

use mesh_schemas::ErrorCode;
use mesh_tests::wait_until;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::server::{SOON, Server, assert_problem, text};

async fn new_code(server: &Server, ttl: &str) -> String {
    let (status, code) =
        server.admin().post("/api/v1/nodes/join-codes", &json!({"ttl": ttl})).await.unwrap();
    assert_eq!(status, StatusCode::CREATED, "{code}");
    text(&code, "code")
}

async fn join(server: &Server, code: &str) -> (StatusCode, Value) {
    let public_key = nkeys::KeyPair::new_user().public_key();
    let body = json!({"code": code, "public_key": public_key, "name": "desk"});
    server.nobody().post("/api/v1/nodes/join", &body).await.unwrap()
}

#[tokio::test]
async fn a_code_lets_one_machine_in_and_bad_ones_are_all_alike() {
    let server = Server::start().await;
    let code = new_code(&server, "15m").await;
    let (status, joined) = join(&server, &code).await;
    assert_eq!(status, StatusCode::CREATED, "{joined}");
    let (_, node) =
        server.admin().get(&format!("/api/v1/nodes/{}", text(&joined, "node"))).await.unwrap();
    assert_eq!(node["name"], "desk");

    let expired = new_code(&server, "1s").await;
    let end = server.state.clock.now() + std::time::Duration::from_secs(1);
    wait_until(SOON, "the code's end", async || server.state.clock.now() > end).await;
    let one_off =
        format!("{}{}", &code[..code.len() - 1], if code.ends_with('a') { 'b' } else { 'a' });
    let mut answers = Vec::new();
    for bad in [code.as_str(), &expired, &one_off, "", "dmj_wrong"] {
        let (status, mut body) = join(&server, bad).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{body}");
        assert_problem(bad, status, &body, ErrorCode::JoinToken);
        body.as_object_mut().unwrap().remove("trace_id");
        answers.push(body);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
}

#[tokio::test]
async fn a_malformed_join_does_not_use_the_code_up() {
    let server = Server::start().await;
    let code = new_code(&server, "15m").await;
    let key = nkeys::KeyPair::new_user().public_key();
    for (name, public_key) in [("a b", key.as_str()), ("desk", "UNOTAKEY"), ("desk", "")] {
        let body = json!({"code": code, "public_key": public_key, "name": name});
        let (status, answer) = server.nobody().post("/api/v1/nodes/join", &body).await.unwrap();
        assert_problem(name, status, &answer, ErrorCode::Invalid);
    }
    assert_eq!(join(&server, &code).await.0, StatusCode::CREATED);
}

#[tokio::test]
async fn strangers_who_try_too_often_are_told_to_wait() {
    let server = Server::start().await;
    let tries = futures::future::join_all((0..60).map(|_| join(&server, "dmj_wrong"))).await;
    let busy: Vec<_> =
        tries.iter().filter(|(status, _)| *status == StatusCode::TOO_MANY_REQUESTS).collect();
    assert!(!busy.is_empty());
    assert_problem("too often", busy[0].0, &busy[0].1, ErrorCode::Busy);
}

#[tokio::test]
async fn a_code_lasts_a_day_at_most_and_nodes_take_known_actions() {
    let server = Server::start().await;
    for ttl in ["25h", "0s", "soon"] {
        let (status, body) =
            server.admin().post("/api/v1/nodes/join-codes", &json!({"ttl": ttl})).await.unwrap();
        assert_problem(ttl, status, &body, ErrorCode::Invalid);
    }
    let (_, joined) = join(&server, &new_code(&server, "1h").await).await;
    let node = text(&joined, "node");
    let act = |action: &'static str| {
        let (http, path) = (server.admin(), format!("/api/v1/nodes/{node}/{action}"));
        async move { http.post(&path, &json!({})).await.unwrap() }
    };
    let (status, body) = act("explode").await;
    assert_problem("explode", status, &body, ErrorCode::Invalid);
    let (status, body) = act("revoke").await;
    assert_eq!((status, &body["state"]), (StatusCode::OK, &json!("revoked")), "{body}");
    let (status, body) = act("resume").await;
    assert_problem("a revoked one", status, &body, ErrorCode::NodeRevoked);
}
