//! Long-polls answer at the commit.

use std::time::{Duration, Instant};

use mesh_schemas::ErrorCode;
use reqwest::StatusCode;
use serde_json::json;

use crate::server::{Server, assert_problem};

#[tokio::test]
async fn a_long_poll_wakes_when_the_job_ends() {
    let server = Server::start().await;
    let job = server.submit(json!({"command": ["true"]})).await;
    let http = server.admin();
    let path = format!("/api/v1/jobs/{job}?wait=60s&until=finished");
    let begin = Instant::now();
    // The long-poll is sent first; which of the two the server sees first does not matter.
    let (path_cancel, nothing) = (format!("/api/v1/jobs/{job}/cancel"), json!({}));
    let (waited, cancelled) = tokio::join!(http.get(&path), http.post(&path_cancel, &nothing));
    let ((status, body), (cancelled, changed)) = (waited.unwrap(), cancelled.unwrap());
    assert_eq!(cancelled, StatusCode::OK, "{changed}");
    assert_eq!((&changed["tasks"], &changed["job"]["state"]), (&json!(1), &json!("cancelled")));
    assert_eq!((status, &body["state"]), (StatusCode::OK, &json!("cancelled")));
    assert!(begin.elapsed() < Duration::from_secs(15), "it slept over the commit");
}

#[tokio::test]
async fn a_wait_ends_with_its_time_and_shows_the_job_as_it_is() {
    let server = Server::start().await;
    let job = server.submit(json!({"command": ["true"]})).await;
    let (status, body) =
        server.admin().get(&format!("/api/v1/jobs/{job}?wait=50ms")).await.unwrap();
    assert_eq!((status, &body["state"]), (StatusCode::OK, &json!("queued")));
    assert_eq!(body["spec"]["command"], json!(["true"]));
    for (query, code) in [
        ("wait=61s", ErrorCode::Invalid),
        ("wait=5parsecs", ErrorCode::Invalid),
        ("wait=-1s", ErrorCode::Invalid),
        ("wait=1s&until=tea", ErrorCode::Invalid),
    ] {
        let (status, body) =
            server.admin().get(&format!("/api/v1/jobs/{job}?{query}")).await.unwrap();
        assert_problem(query, status, &body, code);
    }
}

#[tokio::test]
async fn what_does_not_exist_is_not_found_at_once() {
    let server = Server::start().await;
    let zeros = "0".repeat(32);
    let job = server.submit(json!({"command": ["true"]})).await;
    for path in [
        format!("/jobs/job_{zeros}?wait=60s"),
        format!("/jobs/job_{zeros}/why"),
        format!("/jobs/job_{zeros}/tasks"),
        format!("/jobs/{job}/tasks/1"),
        format!("/jobs/{job}/tasks/1/attempts"),
        format!("/jobs/{job}/tasks/1/logs"),
        format!("/jobs/{job}/tasks/0/logs?epoch=1"),
        format!("/jobs/{job}/tasks/0/artifacts"),
        format!("/nodes/node_{zeros}"),
        format!("/events?job=job_{zeros}"),
        "/ca.pem".into(),
        "/nothing".into(),
    ] {
        let (status, body) = server.admin().get(&format!("/api/v1{path}")).await.unwrap();
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert_problem(&path, status, &body, ErrorCode::NotFound);
    }
    for (method, path) in
        [("cancel", job.replace("job_", "job_f")), ("retry", format!("job_{zeros}"))]
    {
        let path = format!("/api/v1/jobs/{}/{method}", &path[..36]);
        let (status, body) = server.admin().post(&path, &json!({})).await.unwrap();
        assert_problem(&path, status, &body, ErrorCode::NotFound);
    }
}

#[tokio::test]
async fn cancelling_twice_is_no_mistake_and_retrying_a_live_job_is() {
    let server = Server::start().await;
    let job = server.submit(json!({"command": ["true"], "array": "0-3"})).await;
    let http = server.admin();
    let cancel = format!("/api/v1/jobs/{job}/cancel");
    let (status, body) = http.post(&cancel, &json!({"tasks": [9]})).await.unwrap();
    assert_problem("no such task", status, &body, ErrorCode::Invalid);
    let (status, body) = http.post(&format!("/api/v1/jobs/{job}/retry"), &json!({})).await.unwrap();
    assert_problem("a live job", status, &body, ErrorCode::WrongState);
    for tasks in [4, 0] {
        let (status, body) = http.post(&cancel, &json!({})).await.unwrap();
        assert_eq!((status, &body["tasks"]), (StatusCode::OK, &json!(tasks)), "{body}");
    }
}
