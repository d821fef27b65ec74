//! Presigned URLs against a real object store.

#![expect(clippy::unwrap_used, reason = "what helps the tests fails as they do")]

use std::fs;

use mesh_orchestrator::{
    config::ObjectsConfig,
    objects::{NODE_URL_TTL, Objects, URL_TTL},
};
use mesh_schemas::{ErrorCode, message::ObjectUrl};
use mesh_tests::seaweed::{REGION, SeaweedFs};
use reqwest::{Method, StatusCode};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

struct Setup {
    objects: Objects,
    _weed: SeaweedFs,
    _dir: TempDir,
}

async fn setup() -> Setup {
    let weed = SeaweedFs::start().await;
    let dir = mesh_tests::tmp::dir("objects");
    let credentials_file = dir.path().join("store.json");
    let keys =
        serde_json::json!({ "access_key": weed.access_key(), "secret_key": weed.secret_key() });
    fs::write(&credentials_file, keys.to_string()).unwrap();
    let config = ObjectsConfig {
        endpoint: weed.endpoint(),
        bucket: "made-at-start".into(),
        region: REGION.into(),
        credentials_file,
        public_endpoint: None,
        ca_file: None,
    };
    let objects = Objects::open(&config).unwrap();
    objects.prepare(&CancellationToken::new()).await;
    Setup { objects, _weed: weed, _dir: dir }
}

async fn send(method: Method, url: &ObjectUrl, body: &'static str) -> (StatusCode, String) {
    let client = mesh_fabric::http::client(None).unwrap();
    let mut request = client.request(method, &url.url).body(body);
    for (name, value) in &url.headers {
        request = request.header(name, value);
    }
    let answer = request.send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_presigned_url_moves_exactly_its_object_once() {
    let Setup { objects, .. } = &setup().await;
    objects.ping().await.unwrap();
    let key = "a/job_1/0/1/p 1+ä";
    assert_eq!(objects.head(key).await.unwrap(), None);

    let put = objects.presign_put(key, 5, URL_TTL).await.unwrap();
    let (status, text) = send(Method::PUT, &put, "hello").await;
    assert!(status.is_success(), "{status} {text}");
    assert_eq!(objects.head(key).await.unwrap(), Some(5));

    // The same URL again, with other bytes: the store refuses to overwrite.
    let (status, _) = send(Method::PUT, &put, "other").await;
    assert_eq!(status, StatusCode::PRECONDITION_FAILED);
    let get = objects.presign_get(key, URL_TTL).await.unwrap();
    assert_eq!(send(Method::GET, &get, "").await, (StatusCode::OK, "hello".into()));

    // Another length or another key than signed is refused.
    let put = objects.presign_put("a/job_1/0/1/p2", 5, URL_TTL).await.unwrap();
    assert!(!longer(&put).await.is_success());
    let moved = ObjectUrl { url: put.url.replace("/p2?", "/p3?"), ..put };
    assert_eq!(send(Method::PUT, &moved, "hello").await.0, StatusCode::FORBIDDEN);
    for key in ["a/job_1/0/1/p2", "a/job_1/0/1/p3"] {
        assert_eq!(objects.head(key).await.unwrap(), None);
    }
}

/// Sends more than was signed, honestly declared.
async fn longer(put: &ObjectUrl) -> StatusCode {
    let client = mesh_fabric::http::client(None).unwrap();
    let mut request = client.put(&put.url).body("hello and more");
    for (name, value) in put.headers.iter().filter(|(name, _)| *name != "content-length") {
        request = request.header(name, value);
    }
    request.send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn small_objects_are_read_whole_or_in_part_and_never_beyond_the_limit() {
    let Setup { objects, .. } = &setup().await;
    let put = objects.presign_put("k", 5, URL_TTL).await.unwrap();
    assert!(send(Method::PUT, &put, "hello").await.0.is_success());
    assert_eq!(&objects.get_bytes("k", 5).await.unwrap()[..], b"hello");
    assert_eq!(&objects.get_range("k", 1, 3).await.unwrap()[..], b"ell");
    assert_eq!(&objects.get_range("k", 3, 100).await.unwrap()[..], b"lo");
    assert_eq!(objects.get_bytes("k", 4).await.unwrap_err().code, ErrorCode::TooLarge);
    assert_eq!(objects.get_bytes("none", 4).await.unwrap_err().code, ErrorCode::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_is_told_as_such() {
    let dir = mesh_tests::tmp::dir("objects");
    let credentials_file = dir.path().join("store.json");
    fs::write(&credentials_file, r#"{"access_key":"a","secret_key":"b"}"#).unwrap();
    let config = ObjectsConfig {
        endpoint: format!("http://127.0.0.1:{}", mesh_tests::ports::free()),
        bucket: "b".into(),
        region: REGION.into(),
        credentials_file,
        public_endpoint: Some("https://objects.example:9".into()),
        ca_file: None,
    };
    let objects = Objects::open(&config).unwrap();
    assert_eq!(objects.ping().await.unwrap_err().code, ErrorCode::ObjectsDown);
    assert_eq!(objects.head("k").await.unwrap_err().code, ErrorCode::ObjectsDown);
    // Signing needs no store, and names the address under which others find it.
    let url = objects.presign_get("k", URL_TTL).await.unwrap().url;
    assert!(url.starts_with("https://objects.example:9/b/k?"), "{url}");
    assert!(url.contains("X-Amz-Expires=900&"), "{url}");
    let url = objects.presign_get("k", NODE_URL_TTL).await.unwrap().url;
    assert!(url.contains("X-Amz-Expires=120&"), "a node's URL soon ends: {url}");

    fs::write(&config.credentials_file, r#"{"access_key":"a","secret":"topsecret"}"#).unwrap();
    let problem = Objects::open(&config).unwrap_err();
    assert_eq!(problem.code, ErrorCode::Config);
    assert!(!problem.to_string().contains("topsecret"));
}
