//! The catalogue of bad input (RELIABILITY §5.2): one code each, nothing done.

use mesh_schemas::ErrorCode;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::server::{SOON, Server, assert_problem};

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";

async fn post(
    server: &Server,
    media: Option<&str>,
    body: impl Into<Vec<u8>>,
) -> (StatusCode, Value) {
    let mut request = server.admin().request(Method::POST, "/api/v1/jobs").body(body.into());
    if let Some(media) = media {
        request = request.header("content-type", media);
    }
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

async fn assert_no_jobs(server: &Server) {
    let (_, list) = server.admin().get("/api/v1/jobs").await.unwrap();
    assert_eq!(list["items"], serde_json::json!([]));
}

#[tokio::test]
async fn a_bad_body_gets_one_code_and_makes_no_job() {
    let server = Server::start().await;
    let deep =
        |levels: usize| format!("{{\"command\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    let keys = (0..100_000).map(|i| format!("\"K{i}\":\"\"")).collect::<Vec<_>>().join(",");
    let of_env = |entry: &str| format!("{{\"command\":[\"true\"],\"env\":{{{entry}}}}}");
    let of_priority = |value: &str| format!("{{\"command\":[\"true\"],\"priority\":{value}}}");
    let table = [
        (Some(JSON), String::new(), ErrorCode::Syntax),
        (None, "{\"command\":[\"true\"]}".into(), ErrorCode::MediaType),
        (Some("text/plain"), "{\"command\":[\"true\"]}".into(), ErrorCode::MediaType),
        (Some(JSON), "command: [true]".into(), ErrorCode::Syntax),
        (Some(JSON), "{\"command\":[\"true\"],}".into(), ErrorCode::Syntax),
        (Some(JSON), "{\"command\":[\"a\"],\"command\":[\"b\"]}".into(), ErrorCode::Syntax),
        (Some(YAML), "command: [a]\ncommand: [b]\n".into(), ErrorCode::Syntax),
        (Some(YAML), "command: &a [x]\noutputs: *a\n".into(), ErrorCode::Syntax),
        (Some(JSON), of_env("\"A\":\"1\",\"A\":\"2\""), ErrorCode::Syntax),
        (Some(JSON), of_env("\"A\":\"1\",\"\\u0041\":\"2\""), ErrorCode::Syntax),
        (Some(JSON), of_env("\"A\":\"\\u0000\""), ErrorCode::Invalid),
        (Some(JSON), of_env("\"A\":\"\\ud800\""), ErrorCode::Syntax),
        (Some(JSON), of_env("\"LD_PRELOAD\":\"x\""), ErrorCode::EnvForbidden),
        (Some(JSON), of_env(&keys), ErrorCode::TooLarge),
        (Some(JSON), of_priority("NaN"), ErrorCode::Syntax),
        (Some(JSON), of_priority("1e400"), ErrorCode::Syntax),
        (Some(JSON), of_priority("101"), ErrorCode::Invalid),
        (Some(JSON), deep(127), ErrorCode::TooDeep),
        (Some(JSON), deep(128), ErrorCode::TooDeep),
        (Some(JSON), deep(100_000), ErrorCode::TooDeep),
        (Some(JSON), "{\"command\":[\"true\"],\"bogus\":1}".into(), ErrorCode::UnknownField),
        (Some(JSON), "{\"command\":[]}".into(), ErrorCode::Invalid),
        (Some(JSON), "{\"command\":[\"true\"],\"workdir\":\"../x\"}".into(), ErrorCode::PathEscape),
    ];
    for (media, body, code) in table {
        let what = format!("{media:?} {}", body.chars().take(60).collect::<String>());
        let (status, answer) = post(&server, media, body).await;
        assert!(status.is_client_error(), "{what}: {status}");
        assert_problem(&what, status, &answer, code);
        if code == ErrorCode::UnknownField {
            assert_eq!(answer["field"], "bogus");
        }
    }
    let (status, answer) = post(&server, Some(YAML), b"\xff\xfe".as_slice()).await;
    assert_problem("not UTF-8", status, &answer, ErrorCode::Syntax);
    assert_no_jobs(&server).await;
}

#[tokio::test]
async fn an_unknown_job_in_after_makes_no_job() {
    let server = Server::start().await;
    let body = format!("command: [a]\nafter: [job_{}]\n", "0".repeat(32));
    let (status, answer) = post(&server, Some(YAML), body).await;
    assert_problem("after", status, &answer, ErrorCode::UnknownDependency);
    assert_no_jobs(&server).await;
}

#[tokio::test]
async fn an_input_that_is_no_upload_makes_no_job() {
    let server = Server::start().await;
    let key = format!("a/job_{}/0/1/secret", "0".repeat(32));
    let body = serde_json::json!({
        "command": ["true"],
        "input": {"key": key, "size": 1, "blake3": "0".repeat(64)},
    });
    let (status, answer) = post(&server, Some(JSON), body.to_string()).await;
    assert_problem("input", status, &answer, ErrorCode::Invalid);
    assert_eq!(answer["field"], "input.key");
    assert_no_jobs(&server).await;
}

#[tokio::test]
async fn keys_of_others_are_neither_signed_nor_looked_up() {
    let server = Server::start().await;
    let job = server.submit(serde_json::json!({"command": ["true"]})).await;
    let other = "0".repeat(32);
    for key in [
        format!("a/job_{other}/0/1/p"),
        format!("a/{job}/1/1/p"),
        format!("a/{job}/0/1/../../x"),
        format!("u/upload_{other}/p"),
        "../etc/passwd".into(),
        String::new(),
    ] {
        let body = serde_json::json!({"keys": [&key]});
        let path = format!("/api/v1/jobs/{job}/downloads");
        let (status, answer) = server.admin().post(&path, &body).await.unwrap();
        assert_problem(&key, status, &answer, ErrorCode::NotFound);
        let pack = serde_json::json!({"key": key, "size": 1, "blake3": "0".repeat(64)});
        let body =
            serde_json::json!({"upload": format!("upload_{}", "1".repeat(32)), "objects": [pack]});
        let (status, answer) = server.admin().post("/api/v1/uploads/check", &body).await.unwrap();
        assert_problem(&key, status, &answer, ErrorCode::NotFound);
    }
    for (object, code) in [
        (serde_json::json!({"name": "../x", "size": 1}), ErrorCode::Invalid),
        (serde_json::json!({"name": "x/y", "size": 1}), ErrorCode::Invalid),
        (serde_json::json!({"name": "", "size": 1}), ErrorCode::Invalid),
        (serde_json::json!({"name": "x", "size": -1}), ErrorCode::Invalid),
        (serde_json::json!({"name": "x", "size": 1_u64 << 60}), ErrorCode::TooLarge),
    ] {
        let body = serde_json::json!({"objects": [&object]});
        let (status, answer) = server.admin().post("/api/v1/uploads", &body).await.unwrap();
        assert_problem(&object.to_string(), status, &answer, code);
    }
}

#[tokio::test]
async fn a_signed_url_is_for_the_callers_own_object() {
    let server = Server::start().await;
    let body = serde_json::json!({"objects": [{"name": "p1.pack", "size": 5}]});
    let (status, answer) = server.admin().post("/api/v1/uploads", &body).await.unwrap();
    assert_eq!(status, StatusCode::OK, "{answer}");
    let upload = answer["upload"].as_str().unwrap();
    assert_eq!(answer["urls"][0]["key"], format!("u/{upload}/p1.pack"));
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let server = Server::start().await;
    for (method, path, allow) in [
        (Method::DELETE, "/api/v1/jobs", "GET,HEAD,POST"),
        (Method::PUT, "/api/v1/info", "GET,HEAD"),
        (Method::GET, "/api/v1/nodes/join", "POST"),
        (Method::POST, "/healthz", "GET,HEAD"),
    ] {
        let response = server.admin().request(method, path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        let mut methods: Vec<_> =
            response.headers()["allow"].to_str().unwrap().split(',').collect();
        methods.sort_unstable();
        assert_eq!(methods.join(","), allow, "{path}");
        let status = response.status();
        assert_problem(path, status, &response.json().await.unwrap(), ErrorCode::Method);
    }
}

#[tokio::test]
async fn a_strange_path_or_id_is_not_found_or_invalid() {
    let server = Server::start().await;
    let upper = format!("/jobs/job_{}", "A".repeat(32));
    let short = format!("/jobs/job_{}", "0".repeat(31));
    let node = format!("/jobs/node_{}", "0".repeat(32));
    for (path, code) in [
        ("/", ErrorCode::NotFound),
        ("//jobs", ErrorCode::NotFound),
        ("/jobs/", ErrorCode::NotFound),
        ("/jobs/x/y/z", ErrorCode::NotFound),
        ("/jobs/%2e%2e%2fetc", ErrorCode::Invalid),
        ("/jobs/%00", ErrorCode::Invalid),
        ("/jobs/%ff", ErrorCode::Invalid),
        (&upper, ErrorCode::Invalid),
        (&short, ErrorCode::Invalid),
        (&node, ErrorCode::Invalid),
    ] {
        let (status, answer) = server.admin().get(&format!("/api/v1{path}")).await.unwrap();
        assert_problem(path, status, &answer, code);
    }
}

#[tokio::test]
async fn no_answer_says_more_than_it_should() {
    let server = Server::start().await;
    let response = server.admin().request(Method::GET, "/api/v1/jobs").send().await.unwrap();
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ] {
        assert_eq!(response.headers()[name], value);
    }
    let answer = server.raw(b"GARBAGE\r\n\r\n", SOON).await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}
