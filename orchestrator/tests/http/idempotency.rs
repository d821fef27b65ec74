//! The same key is the same job, for ever; another body under it is refused.

use mesh_schemas::ErrorCode;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::server::{Server, assert_problem, text};

async fn submit(server: &Server, key: &str, spec: &Value) -> (StatusCode, Value) {
    let request = server.admin().request(Method::POST, "/api/v1/jobs").json(spec);
    let response = request.header("idempotency-key", key).send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

#[tokio::test]
async fn the_same_key_and_spec_is_the_same_job() {
    let server = Server::start().await;
    let spec = json!({"command": ["true"]});
    let (first, made) = submit(&server, "k1", &spec).await;
    let (again, found) = submit(&server, "k1", &spec).await;
    assert_eq!((first, again), (StatusCode::CREATED, StatusCode::OK), "{made} {found}");
    assert_eq!((&made["created"], &found["created"]), (&json!(true), &json!(false)));
    for field in ["job", "tasks", "trace_id"] {
        assert_eq!(made[field], found[field], "{field}");
    }
    // The field of the spec is the same key as the header.
    let with_field = json!({"command": ["true"], "idempotency_key": "k1"});
    let (status, body) = server.admin().post("/api/v1/jobs", &with_field).await.unwrap();
    assert_eq!((status, &body["job"]), (StatusCode::OK, &made["job"]), "{body}");
}

#[tokio::test]
async fn the_same_key_with_another_spec_is_refused_and_makes_nothing() {
    let server = Server::start().await;
    submit(&server, "k1", &json!({"command": ["true"]})).await;
    let (status, body) = submit(&server, "k1", &json!({"command": ["false"]})).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_problem("another spec", status, &body, ErrorCode::IdempotencyMismatch);
    let (_, list) = server.admin().get("/api/v1/jobs").await.unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn many_submits_at_once_under_one_key_make_one_job() {
    let server = Server::start().await;
    let spec = json!({"command": ["true"]});
    let all = (0..20).map(|_| submit(&server, "race", &spec));
    let answers = futures::future::join_all(all).await;
    let created = answers.iter().filter(|(status, _)| *status == StatusCode::CREATED).count();
    assert_eq!(created, 1, "{answers:?}");
    assert!(answers.iter().all(|(_, body)| body["job"] == answers[0].1["job"]));
}

#[tokio::test]
async fn keys_follow_their_rule() {
    let server = Server::start().await;
    let spec = json!({"command": ["true"]});
    for good in ["x".to_owned(), "x".repeat(255)] {
        assert_eq!(submit(&server, &good, &spec).await.0, StatusCode::CREATED, "{good}");
    }
    for bad in [String::new(), "x".repeat(256), "a b".into(), "\u{e9}".into()] {
        let (status, body) = submit(&server, &bad, &spec).await;
        assert_problem(&bad, status, &body, ErrorCode::Invalid);
        assert_eq!(body["field"], "idempotency_key", "{bad}");
    }
    let other = json!({"command": ["true"], "idempotency_key": "k1"});
    let (status, body) = submit(&server, "k2", &other).await;
    assert_problem("two keys", status, &body, ErrorCode::Invalid);
}

#[tokio::test]
async fn a_job_belongs_to_the_callers_trace() {
    let server = Server::start().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = server.admin().request(Method::POST, "/api/v1/jobs");
    let request = request
        .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"))
        .header("content-type", "application/yaml")
        .body("command: [echo, hi]\narray: 3-7\n");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let body: Value = response.json().await.unwrap();
    assert_eq!((text(&body, "trace_id").as_str(), &body["tasks"]), (trace, &json!(5)));
    let (status, job) = server.admin().get(&location).await.unwrap();
    assert_eq!((status, text(&job, "trace_id").as_str()), (StatusCode::OK, trace));
}

#[tokio::test]
async fn a_batch_makes_all_its_jobs_and_names_the_ones_that_are_refused() {
    let server = Server::start().await;
    submit(&server, "taken", &json!({"command": ["true"]})).await;
    let lines = [
        json!({"command": ["true"]}),
        json!({"command": ["false"], "idempotency_key": "taken"}),
        json!({"command": ["true"], "idempotency_key": "taken"}),
    ];
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let post = |body: String| {
        let request = server.admin().request(Method::POST, "/api/v1/jobs/batch");
        request.header("content-type", "application/x-ndjson").body(body).send()
    };
    let answer = post(body).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["jobs"][0]["created"], json!(true), "{answer}");
    assert_eq!(answer["jobs"][1]["code"], json!("E_IDEM_MISMATCH"), "{answer}");
    assert_eq!(answer["jobs"][2]["created"], json!(false), "{answer}");
    let half = post("{\"command\":[\"true\"]}\n{\"command\":[]}\n".into()).await.unwrap();
    assert_eq!(half.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let (_, list) = server.admin().get("/api/v1/jobs").await.unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 2, "nothing of a bad batch is accepted");
}
