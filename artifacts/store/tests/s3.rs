//! The store as its clients see it, with the client that the orchestrator uses.
#![expect(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

mod harness;

use std::time::Duration;

use aws_sdk_s3::{Client, presigning::PresigningConfig, primitives::ByteStream};
use harness::{BUCKET, client, keys, noise};
use mesh_store::server::{Options, Server};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

struct Store {
    client: Client,
    addr: std::net::SocketAddr,
    stop: CancellationToken,
    running: JoinHandle<std::io::Result<()>>,
    dir: TempDir,
}

impl Store {
    async fn start() -> Self {
        let store = Self::start_in(tempfile::tempdir().unwrap()).await;
        store.client.create_bucket().bucket(BUCKET).send().await.unwrap();
        store
    }

    #[expect(clippy::disallowed_methods, reason = "the test waits for it in stop()")]
    async fn start_in(dir: TempDir) -> Self {
        let listen = "127.0.0.1:0".parse().unwrap();
        let data = dir.path().to_owned();
        let body_wait = Duration::from_secs(1);
        let options = Options { listen, data, credentials: keys(), tls: None, body_wait };
        let server = Server::bind(options).await.unwrap();
        let (addr, stop) = (server.addr(), CancellationToken::new());
        let running = tokio::spawn(server.run(stop.clone()));
        Self { client: client(addr, &keys()), addr, stop, running, dir }
    }

    async fn stop(self) -> TempDir {
        self.stop.cancel();
        self.running.await.unwrap().unwrap();
        self.dir
    }

    async fn put(&self, key: &str, bytes: Vec<u8>) {
        let put = self.client.put_object().bucket(BUCKET).key(key);
        put.body(ByteStream::from(bytes)).send().await.unwrap();
    }

    async fn get(&self, key: &str) -> Vec<u8> {
        let object = self.client.get_object().bucket(BUCKET).key(key).send().await.unwrap();
        object.body.collect().await.unwrap().to_vec()
    }
}

fn presigning() -> PresigningConfig {
    PresigningConfig::expires_in(Duration::from_secs(60)).unwrap()
}

#[tokio::test]
async fn what_was_put_is_got_whole_or_in_ranges() {
    let store = Store::start().await;
    let bytes = noise(9_000_000, 1);
    store.put("a/job/ä b.bin", bytes.clone()).await;
    assert_eq!(store.get("a/job/ä b.bin").await, bytes);
    let get = || store.client.get_object().bucket(BUCKET).key("a/job/ä b.bin");
    for (range, wanted) in [
        ("bytes=0-0", 0..1),
        ("bytes=100-8999999", 100..9_000_000),
        ("bytes=8999990-", 8_999_990..9_000_000),
        ("bytes=-5", 8_999_995..9_000_000),
    ] {
        let part = get().range(range).send().await.unwrap();
        let total = format!("bytes {}-{}/9000000", wanted.start, wanted.end - 1);
        assert_eq!(part.content_range(), Some(total.as_str()));
        assert_eq!(part.body.collect().await.unwrap().to_vec(), bytes[wanted], "{range}");
    }
    let beyond = get().range("bytes=9000000-").send().await.unwrap_err();
    assert_eq!(beyond.raw_response().unwrap().status().as_u16(), 416);
    store.stop().await;
}

#[tokio::test]
async fn head_says_length_and_metadata_and_what_is_not_there_is_404() {
    let store = Store::start().await;
    let put = store.client.put_object().bucket(BUCKET).key("k").content_type("text/x");
    put.metadata("who", "me").body(ByteStream::from_static(b"12345")).send().await.unwrap();
    let head = store.client.head_object().bucket(BUCKET).key("k").send().await.unwrap();
    assert_eq!((head.content_length(), head.content_type()), (Some(5), Some("text/x")));
    assert_eq!(head.metadata().unwrap()["who"], "me");
    assert!(head.last_modified().is_some());
    for key in ["k2", "k/x", "", "../k"].into_iter().filter(|key| !key.is_empty()) {
        let error = store.client.head_object().bucket(BUCKET).key(key).send().await.unwrap_err();
        assert!(error.into_service_error().is_not_found(), "{key}");
    }
    store.client.delete_object().bucket(BUCKET).key("k").send().await.unwrap();
    store.client.delete_object().bucket(BUCKET).key("k").send().await.unwrap();
    let gone = store.client.get_object().bucket(BUCKET).key("k").send().await.unwrap_err();
    assert!(gone.into_service_error().is_no_such_key());
    let nowhere = store.client.head_bucket().bucket("nowhere").send().await.unwrap_err();
    assert!(nowhere.into_service_error().is_not_found());
    store.stop().await;
}

#[tokio::test]
async fn one_of_many_writers_of_a_new_name_wins_and_the_others_get_412() {
    let store = Store::start().await;
    let puts = (0..16_u8).map(|writer| {
        let put = store.client.put_object().bucket(BUCKET).key("once").if_none_match("*");
        async move { (writer, put.body(ByteStream::from(vec![writer; 1_000])).send().await) }
    });
    let ended = futures::future::join_all(puts).await;
    let winners: Vec<u8> = ended.iter().filter(|(_, r)| r.is_ok()).map(|(w, _)| *w).collect();
    assert_eq!(winners.len(), 1);
    for (_, result) in ended.into_iter().filter(|(_, result)| result.is_err()) {
        assert_eq!(result.unwrap_err().raw_response().unwrap().status().as_u16(), 412);
    }
    assert_eq!(store.get("once").await, vec![winners[0]; 1_000]);
    store.put("once", b"replaced".to_vec()).await;
    assert_eq!(store.get("once").await, b"replaced");
    store.stop().await;
}

#[tokio::test]
async fn listing_is_in_key_order_with_prefixes_pages_and_delimiters() {
    let store = Store::start().await;
    let mut keys = ["a", "a-b", "a/", "a/1", "a/2/x", "a0", "b//c", "ä", "z"].map(String::from);
    for key in &keys {
        store.put(key, key.as_bytes().to_vec()).await;
    }
    keys.sort_unstable();
    let list = || store.client.list_objects_v2().bucket(BUCKET);
    let mut pages = list().max_keys(2).into_paginator().send();
    let mut listed = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.unwrap();
        assert!(page.contents().len() <= 2);
        listed.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
    }
    assert_eq!(listed, keys);
    let below = list().prefix("a/").send().await.unwrap();
    let below: Vec<_> = below.contents().iter().filter_map(|object| object.key()).collect();
    assert_eq!(below, ["a/", "a/1", "a/2/x"]);
    let rolled = list().delimiter("/").send().await.unwrap();
    let prefixes: Vec<_> = rolled.common_prefixes().iter().filter_map(|p| p.prefix()).collect();
    assert_eq!(prefixes, ["a/", "b/"]);
    let files: Vec<_> = rolled.contents().iter().filter_map(|object| object.key()).collect();
    assert_eq!(files, ["a", "a-b", "a0", "z", "ä"]);
    let buckets = store.client.list_buckets().send().await.unwrap();
    assert_eq!(buckets.buckets()[0].name(), Some(BUCKET));
    store.stop().await;
}

#[tokio::test]
async fn presigned_urls_work_and_tampered_or_unsigned_requests_are_403() {
    let store = Store::start().await;
    let http = mesh_fabric::http::client(None).unwrap();
    let put = store.client.put_object().bucket(BUCKET).key("signed").if_none_match("*");
    let put = put.content_length(5).presigned(presigning()).await.unwrap();
    let send = |url: &str, body: &'static str| {
        let mut request = http.put(url).body(body);
        // The client sets the length of what it sends; the URL holds what was signed.
        for (name, value) in put.headers().filter(|(name, _)| *name != "content-length") {
            request = request.header(name, value);
        }
        request.send()
    };
    assert_eq!(send(put.uri(), "longer").await.unwrap().status(), 403);
    assert_eq!(send(put.uri(), "hello").await.unwrap().status(), 200);
    assert_eq!(send(put.uri(), "other").await.unwrap().status(), 412);
    let tampered = put.uri().replace("signed", "another");
    assert_eq!(send(&tampered, "hello").await.unwrap().status(), 403);

    let get = store.client.get_object().bucket(BUCKET).key("signed");
    let get = get.presigned(presigning()).await.unwrap();
    assert_eq!(http.get(get.uri()).send().await.unwrap().bytes().await.unwrap(), "hello");
    let ranged = http.get(get.uri()).header("range", "bytes=1-2").send().await.unwrap();
    assert_eq!((ranged.status().as_u16(), ranged.bytes().await.unwrap()), (206, "el".into()));
    let unsigned = format!("http://{}/{BUCKET}/signed", store.addr);
    assert_eq!(http.get(&unsigned).send().await.unwrap().status(), 403);
    assert_eq!(http.put(&unsigned).body("x").send().await.unwrap().status(), 403);
    assert_eq!(http.delete(get.uri()).send().await.unwrap().status(), 403);
    let mut wrong = keys();
    wrong.secret_key.push('x');
    let stranger = client(store.addr, &wrong);
    let refused = stranger.get_object().bucket(BUCKET).key("signed").send().await.unwrap_err();
    assert_eq!(refused.raw_response().unwrap().status().as_u16(), 403);
    store.stop().await;
}

#[tokio::test]
async fn a_body_that_is_not_what_its_sum_says_is_refused_and_leaves_nothing() {
    let store = Store::start().await;
    let put = store.client.put_object().bucket(BUCKET).key("sum");
    let put = put.checksum_sha256("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    let refused = put.body(ByteStream::from_static(b"hello")).send().await.unwrap_err();
    assert_eq!(refused.raw_response().unwrap().status().as_u16(), 400);
    let put =
        store.client.put_object().bucket(BUCKET).key("sum").content_md5("AAAAAAAAAAAAAAAAAAAAAA==");
    let refused = put.body(ByteStream::from_static(b"hello")).send().await.unwrap_err();
    assert_eq!(refused.raw_response().unwrap().status().as_u16(), 400);
    let list = store.client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    assert_eq!(list.key_count(), Some(0));
    let dir = store.stop().await;
    assert_eq!(std::fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn an_upload_whose_body_stalls_is_ended() {
    let store = Store::start().await;
    let put = store.client.put_object().bucket(BUCKET).key("half").content_length(100);
    let signed = put.presigned(presigning()).await.unwrap();
    let (_, target) = signed.uri().split_once(&store.addr.to_string()).unwrap();
    let mut head = format!("PUT {target} HTTP/1.1\r\nhost: {}\r\n", store.addr);
    for (name, value) in signed.headers() {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut connection = tokio::net::TcpStream::connect(store.addr).await.unwrap();
    connection.write_all(format!("{head}\r\nonly a part").as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = connection.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), read).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("IncompleteBody"), "{answer}");
    let dir = store.stop().await;
    assert_eq!(std::fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn objects_outlive_a_restart_and_a_second_process_is_refused() {
    let store = Store::start().await;
    store.put("a/b", noise(100_000, 2)).await;
    let second = Server::bind(Options {
        listen: "127.0.0.1:0".parse().unwrap(),
        data: store.dir.path().to_owned(),
        credentials: keys(),
        tls: None,
        body_wait: Duration::from_secs(1),
    });
    assert_eq!(second.await.unwrap_err().code.as_str(), "E_LOCKED");
    let store = Store::start_in(store.stop().await).await;
    assert_eq!(store.get("a/b").await, noise(100_000, 2));
    store.stop().await;
}

#[tokio::test]
async fn a_listener_beyond_loopback_needs_tls() {
    let dir = tempfile::tempdir().unwrap();
    let refused = Server::bind(Options {
        listen: "0.0.0.0:0".parse().unwrap(),
        data: dir.path().join("data"),
        credentials: keys(),
        tls: None,
        body_wait: Duration::from_secs(1),
    });
    assert_eq!(refused.await.unwrap_err().code.as_str(), "E_INSECURE_BIND");
    assert!(!dir.path().join("data").exists());
}
