//! The real binary, killed while it is written to.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test may fail the test")]

mod harness;

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use aws_sdk_s3::{Client, primitives::ByteStream};
use futures::{StreamExt as _, stream};
use harness::{BUCKET, client, keys, noise};

struct Running {
    child: Child,
    addr: SocketAddr,
}

impl Running {
    fn start(dir: &Path) -> Self {
        let credentials = dir.join("keys.json");
        let text =
            serde_json::json!({"access_key": keys().access_key, "secret_key": keys().secret_key});
        std::fs::write(&credentials, text.to_string()).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_mesh-store"))
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(dir.join("data"))
            .arg("--credentials")
            .arg(credentials)
            .env("MESH_LOG", "info")
            .env("NO_COLOR", "1")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let addr = lines.find_map(|line| {
            let line = line.unwrap();
            let (_, rest) = line.split_once("listens on ")?;
            rest.split_whitespace().next()?.parse().ok()
        });
        Self { child, addr: addr.expect("it says where it listens") }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn size_of(index: u64) -> usize {
    usize::try_from(index * 7_919 % 200_000).unwrap()
}

/// Puts objects, kills the store once so many are acknowledged while others are under way, and
/// names those that were acknowledged.
async fn put_and_kill(store: Running, client: &Client, from: u64, count: usize) -> Vec<u64> {
    let puts = stream::iter(from..from + 100_000).map(|index| async move {
        let put = client.put_object().bucket(BUCKET).key(format!("o/{index}")).if_none_match("*");
        put.body(ByteStream::from(noise(size_of(index), index))).send().await.map(|_| index)
    });
    let mut puts = std::pin::pin!(puts.buffer_unordered(8));
    let (mut acknowledged, mut store) = (Vec::new(), Some(store));
    while let Some(put) = puts.next().await {
        match put {
            Ok(index) => acknowledged.push(index),
            Err(_) if store.is_none() => break,
            Err(error) => panic!("refused while it lived: {error:?}"),
        }
        if let Some(store) = store.take_if(|_| acknowledged.len() >= count) {
            store.kill();
        }
    }
    acknowledged
}

#[tokio::test]
async fn every_acknowledged_object_survives_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for (round, count) in (0..).zip([11, 40, 23, 71]) {
        let store = Running::start(dir.path());
        let client = client(store.addr, &keys());
        if round == 0 {
            client.create_bucket().bucket(BUCKET).send().await.unwrap();
        }
        acknowledged.extend(put_and_kill(store, &client, round * 100_000, count).await);
    }
    assert!(acknowledged.len() >= 145);
    let store = Running::start(dir.path());
    let client = client(store.addr, &keys());
    for index in &acknowledged {
        let object = client.get_object().bucket(BUCKET).key(format!("o/{index}")).send();
        let bytes = object.await.unwrap().body.collect().await.unwrap().to_vec();
        assert!(bytes == noise(size_of(*index), *index), "object {index} has other bytes");
    }
    assert_eq!(std::fs::read_dir(dir.path().join("data/tmp")).unwrap().count(), 0);
    store.kill();
}
