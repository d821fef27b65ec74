//! Tokens: made, used, ended.

use mesh_schemas::{ErrorCode, api::Scope};
use mesh_tests::wait_until;
use reqwest::StatusCode;
use serde_json::json;

use crate::server::{SOON, Server, assert_problem, text};

#[tokio::test]
async fn a_deleted_token_stops_working_at_once() {
    let server = Server::start().await;
    let (id, secret) = server.new_token(Scope::Read).await;
    let http = server.nobody().with_token(&secret);
    // Asked twice, so that the answer of the second comes from what is remembered.
    for _ in 0..2 {
        assert_eq!(http.get("/api/v1/jobs").await.unwrap().0, StatusCode::OK);
    }
    let path = format!("/api/v1/tokens/{id}");
    assert_eq!(server.admin().delete(&path).await.unwrap().0, StatusCode::NO_CONTENT);
    let (status, body) = http.get("/api/v1/jobs").await.unwrap();
    assert_problem("deleted", status, &body, ErrorCode::Unauthenticated);
    let (status, body) = server.admin().delete(&path).await.unwrap();
    assert_problem("deleted twice", status, &body, ErrorCode::NotFound);
}

#[tokio::test]
async fn an_expired_token_is_like_a_wrong_one() {
    let server = Server::start().await;
    let body = json!({"name": "short", "scope": "read", "ttl": "1s"});
    let (_, token) = server.admin().post("/api/v1/tokens", &body).await.unwrap();
    let http = server.nobody().with_token(text(&token, "secret"));
    assert_eq!(http.get("/api/v1/jobs").await.unwrap().0, StatusCode::OK);
    wait_until(SOON, "the token's end", async || {
        http.get("/api/v1/jobs").await.unwrap().0 == StatusCode::UNAUTHORIZED
    })
    .await;
    let wrong = server.nobody().with_token("dmk_wrong").get("/api/v1/jobs").await.unwrap().1;
    assert_eq!(http.get("/api/v1/jobs").await.unwrap().1["detail"], wrong["detail"]);
}

#[tokio::test]
async fn secrets_are_shown_once_and_rules_hold() {
    let server = Server::start().await;
    let (_, secret) = server.new_token(Scope::Submit).await;
    assert!(secret.starts_with("dmk_") && secret.len() == 56);
    let (_, list) = server.admin().get("/api/v1/tokens").await.unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    assert!(!list.to_string().contains(&secret));
    for (body, code) in [
        (json!({"name": "x", "scope": "root"}), ErrorCode::Invalid),
        (json!({"name": "a\r\nSet-Cookie: x", "scope": "read"}), ErrorCode::Invalid),
        (json!({"name": "x", "scope": "read", "ttl": "91days"}), ErrorCode::Invalid),
        (json!({"name": "x", "scope": "read", "ttl": "0s"}), ErrorCode::Invalid),
        (json!({"name": "x"}), ErrorCode::Invalid),
        (json!({"name": "x", "scope": "read", "admin": true}), ErrorCode::UnknownField),
    ] {
        let (status, answer) = server.admin().post("/api/v1/tokens", &body).await.unwrap();
        assert_problem(&body.to_string(), status, &answer, code);
    }
}
