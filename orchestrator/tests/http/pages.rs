//! Pages: each row once, in order, and no forged cursor.

use mesh_schemas::{ErrorCode, api::Scope};
use mesh_tests::http::Http;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::server::{Server, assert_problem};

async fn walk(http: &Http, path: &str) -> Vec<Vec<Value>> {
    let (mut pages, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, page) = http.get(&format!("{path}{cursor}")).await.unwrap();
        assert_eq!(status, StatusCode::OK, "{page}");
        pages.push(page["items"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return pages,
        }
    }
}

fn sizes(pages: &[Vec<Value>]) -> Vec<usize> {
    pages.iter().map(Vec::len).collect()
}

#[tokio::test]
async fn jobs_come_newest_first_and_each_once() {
    let server = Server::start().await;
    let mut submitted = Vec::new();
    for i in 0..5 {
        let project = if i == 2 { "other" } else { "default" };
        submitted.push(server.submit(json!({"command": ["true"], "project": project})).await);
    }
    submitted.reverse();
    let pages = walk(&server.admin(), "/api/v1/jobs?limit=2").await;
    assert_eq!(sizes(&pages), [2, 2, 1]);
    let ids: Vec<_> = pages.concat().iter().map(|job| job["id"].clone()).collect();
    assert_eq!(ids, submitted);
    let of_project =
        walk(&server.admin(), "/api/v1/jobs?limit=2&project=default&state=queued").await;
    assert_eq!(sizes(&of_project), [2, 2]);
}

#[tokio::test]
async fn tasks_come_by_index_and_each_once() {
    let server = Server::start().await;
    let job = server.submit(json!({"command": ["true"], "array": "5-11"})).await;
    let pages = walk(&server.admin(), &format!("/api/v1/jobs/{job}/tasks?limit=3")).await;
    assert_eq!(sizes(&pages), [3, 3, 1]);
    let tasks: Vec<_> = pages.concat().iter().map(|task| task["task"].as_u64().unwrap()).collect();
    assert_eq!(tasks, (5..=11).collect::<Vec<_>>());
    let none = walk(&server.admin(), &format!("/api/v1/jobs/{job}/tasks?state=failed")).await;
    assert_eq!(sizes(&none), [0]);
}

#[tokio::test]
async fn a_limit_or_cursor_that_cannot_be_is_refused() {
    let server = Server::start().await;
    for _ in 0..3 {
        server.submit(json!({"command": ["true"]})).await;
    }
    let http = server.caller(Scope::Read).await;
    let (_, page) = http.get("/api/v1/jobs?limit=1").await.unwrap();
    let cursor = page["next"].as_str().unwrap();
    for (query, code) in [
        ("limit=-1", ErrorCode::Invalid),
        ("limit=0", ErrorCode::Invalid),
        ("limit=1001", ErrorCode::Invalid),
        ("limit=1000000000", ErrorCode::Invalid),
        ("limit=99999999999999999999", ErrorCode::Invalid),
        ("limit=ten", ErrorCode::Invalid),
        ("limit=1&limit=2", ErrorCode::Invalid),
        ("state=done", ErrorCode::Invalid),
        ("project=%00", ErrorCode::Invalid),
        ("bogus=1", ErrorCode::UnknownField),
        ("cursor=", ErrorCode::Cursor),
        ("cursor=Zm9yZ2Vk", ErrorCode::Cursor),
        (&format!("project=x&cursor={cursor}"), ErrorCode::Cursor),
        (&format!("cursor={cursor}A"), ErrorCode::Cursor),
    ] {
        let (status, body) = http.get(&format!("/api/v1/jobs?{query}")).await.unwrap();
        assert!(status.is_client_error(), "{query}: {status}");
        assert_problem(query, status, &body, code);
    }
    let (status, _) = http.get(&format!("/api/v1/jobs?cursor={cursor}")).await.unwrap();
    assert_eq!(status, StatusCode::OK);
}
