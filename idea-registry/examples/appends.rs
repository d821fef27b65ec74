//! How fast a registry appends on this machine, durably: prints one line of JSON.
//!
//! `cargo run --release -p mesh-ideas --example appends -- <directory> [postgres-url password-file]`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for people who measure")]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use futures::future::join_all;
use mesh_fabric::{ids, time};
use mesh_ideas::{
    registry::{Place, Registry},
    store::Login,
};
use mesh_ideas_core::{SigningKey, Unsigned, body_hash, sign};
use mesh_schemas::idea::{BodyRef, Say, Submission};

const WRITERS: u8 = 16;
const EACH: usize = 1_000;
const ALONE: usize = 500;

#[tokio::main]
async fn main() {
    mesh_fabric::telemetry::init("appends");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut place = Place::in_directory(Path::new(&arguments[0]));
    if let [_, url, file] = arguments.as_slice() {
        let password = std::fs::read_to_string(file).unwrap();
        place.database.clone_from(url);
        place.login = Login { password: Some(password.trim().into()), role: None };
    }
    let registry = Registry::start(&place).await.unwrap();
    let texts: Vec<Vec<Submission>> = (0..WRITERS).map(|n| submissions(n, EACH)).collect();
    let begun = Instant::now();
    let writers = texts.iter().map(|texts| write(&registry, texts));
    let took = sorted(join_all(writers).await.into_iter().flatten().collect());
    let seconds = begun.elapsed().as_secs_f64();
    let alone = sorted(write(&registry, &submissions(99, ALONE)).await);
    let report = serde_json::json!({
        "appends": took.len(),
        "appends_per_second": (took.len() as f64 / seconds).round(),
        "writers": WRITERS,
        "ms_p50": millis(took[took.len() / 2]),
        "ms_p99": millis(took[took.len() * 99 / 100]),
        "alone_ms_p50": millis(alone[ALONE / 2]),
        "alone_ms_p99": millis(alone[ALONE * 99 / 100]),
        "entries": registry.shared.writer.size(),
    });
    println!("{report}");
    registry.stop().await;
}

async fn write(registry: &Registry, texts: &[Submission]) -> Vec<Duration> {
    let mut took = Vec::with_capacity(texts.len());
    for text in texts {
        let begun = Instant::now();
        assert!(registry.shared.writer.append(text).await.unwrap().created);
        took.push(begun.elapsed());
    }
    took
}

fn submissions(author: u8, count: usize) -> Vec<Submission> {
    (0..count).map(|_| submission(author)).collect()
}

/// An idea of sixteen words that is like no other.
fn submission(author: u8) -> Submission {
    let words = (0..16).map(|_| ids::secret("").to_lowercase());
    let text = words.map(|word| word[..8].to_owned()).collect::<Vec<_>>().join(" ");
    let bytes = u32::try_from(text.len()).unwrap();
    let body = BodyRef { hash: body_hash(&text, None), bytes, sealed: None };
    let say = Say::Idea { body, parents: vec![], tags: vec![], source: None };
    let unsigned = Unsigned { name: None, time: time::now(), say };
    let entry = sign(unsigned, &SigningKey::from_bytes(&[author; 32]));
    Submission { entry, body: Some(text), salt: None }
}

fn sorted(mut took: Vec<Duration>) -> Vec<Duration> {
    took.sort();
    took
}

fn millis(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e5).round() / 100.0
}
