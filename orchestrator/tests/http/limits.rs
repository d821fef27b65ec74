//! Sizes and slowness: what is too large or too slow is cut off, with an answer.

use std::time::{Duration, Instant};

use mesh_schemas::{ErrorCode, spec::SPEC_BYTES_MAX};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::server::{SOON, Server, assert_problem};

/// A body of exactly so many bytes.
fn padded(json: &str, length: usize) -> Vec<u8> {
    let mut body = json.as_bytes().to_vec();
    body.resize(length, b' ');
    body
}

async fn send(server: &Server, path: &str, body: Vec<u8>) -> (StatusCode, Value) {
    let request = server.admin().request(Method::POST, path).body(body);
    let response = request.header("content-type", "application/json").send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

/// The answer to a raw request, as status and body.
fn parsed(answer: &str) -> (StatusCode, Value) {
    let (head, body) =
        answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (StatusCode::from_u16(status).unwrap(), serde_json::from_str(body).unwrap())
}

#[tokio::test]
async fn bodies_end_at_their_limit() {
    let server = Server::start().await;
    let spec = "{\"command\":[\"true\"]}";
    for length in [SPEC_BYTES_MAX - 1, SPEC_BYTES_MAX] {
        let (status, body) = send(&server, "/api/v1/jobs", padded(spec, length)).await;
        assert_eq!(status, StatusCode::CREATED, "{length}: {body}");
    }
    let token = "{\"name\":\"x\",\"scope\":\"read\"}";
    let (status, _) = send(&server, "/api/v1/tokens", padded(token, 64 << 10)).await;
    assert_eq!(status, StatusCode::CREATED);
    let (status, body) = send(&server, "/api/v1/tokens", padded(token, (64 << 10) + 1)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_problem("one byte more", status, &body, ErrorCode::TooLarge);
}

#[tokio::test]
async fn a_body_that_announces_too_much_is_refused_unread() {
    let server = Server::start().await;
    let (_, secret) = server.new_token(mesh_schemas::api::Scope::Submit).await;
    let head = format!(
        "POST /api/v1/jobs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {secret}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        SPEC_BYTES_MAX + 1
    );
    let (status, body) = parsed(&server.raw(head.as_bytes(), SOON).await);
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_problem("announced", status, &body, ErrorCode::TooLarge);
}

#[tokio::test]
async fn a_body_without_an_end_is_cut_off() {
    let server = Server::start().await;
    let (_, secret) = server.new_token(mesh_schemas::api::Scope::Submit).await;
    let head = format!(
        "POST /api/v1/jobs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {secret}\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n\
         5\r\n{{\"com\r\n"
    );
    let begin = Instant::now();
    let (status, body) = parsed(&server.raw(head.as_bytes(), 2 * SOON).await);
    assert_eq!(status, StatusCode::REQUEST_TIMEOUT);
    assert_problem("without an end", status, &body, ErrorCode::Timeout);
    assert!(begin.elapsed() > Duration::from_secs(9), "it was not given its time");
}

#[tokio::test]
async fn headers_and_addresses_end_at_their_limit() {
    let server = Server::start().await;
    let many = "x-a: b\r\n".repeat(200);
    let long = format!("x-a: {}\r\n", "b".repeat(64 << 10));
    let get = |path: &str, headers: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n")
    };
    for (request, wanted) in [
        (get("/healthz", &many), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        (get("/healthz", &long), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        (get(&format!("/{}", "a".repeat(8 << 10)), ""), StatusCode::URI_TOO_LONG),
    ] {
        let (status, body) = parsed(&server.raw(request.as_bytes(), SOON).await);
        assert_eq!(status, wanted);
        assert_problem("too long", status, &body, ErrorCode::TooLarge);
    }
    // Beyond what the connection reads at all there is a bare answer.
    let huge = get("/healthz", &format!("x-a: {}\r\n", "b".repeat(1 << 20)));
    let answer = server.raw(huge.as_bytes(), SOON).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let server = Server::start().await;
    let begin = Instant::now();
    server.raw(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ", 2 * SOON).await;
    assert!(begin.elapsed() < SOON, "it was still open");
}

#[tokio::test]
async fn compressed_bodies_are_not_unfolded() {
    let server = Server::start().await;
    let request = server.admin().request(Method::POST, "/api/v1/jobs").body(vec![0x1f, 0x8b]);
    let request = request.header("content-type", "application/json");
    let response = request.header("content-encoding", "gzip").send().await.unwrap();
    let status = response.status();
    assert_problem("gzip", status, &response.json().await.unwrap(), ErrorCode::MediaType);
}

#[tokio::test]
async fn another_sites_page_cannot_act() {
    let server = Server::start().await;
    for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
        let request = server.admin().request(Method::POST, "/api/v1/jobs").header(name, value);
        let request = request.header("content-type", "application/json");
        let response = request.body("{\"command\":[\"true\"]}").send().await.unwrap();
        let status = response.status();
        assert_eq!(status, StatusCode::FORBIDDEN, "{name}");
        assert_problem(name, status, &response.json().await.unwrap(), ErrorCode::Forbidden);
    }
    let (_, list) = server.admin().get("/api/v1/jobs").await.unwrap();
    assert_eq!(list["items"], serde_json::json!([]));
}
