//! How much memory verifying a log takes, in a process of its own: prints one line of JSON for each size.
//!
//! `cargo run --release -p mesh-ideas --example verifying -- <directory> 20000 60000`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for people who measure")]

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use futures::future::join_all;
use mesh_fabric::{ids, time};
use mesh_ideas::{
    registry::{Place, Registry},
    verify,
};
use mesh_ideas_core::{SigningKey, Unsigned, body_hash, sign};
use mesh_schemas::idea::{BodyRef, IdeaId, Relation, Say, Submission};

const WRITERS: u8 = 16;

#[tokio::main]
async fn main() {
    mesh_fabric::telemetry::init("verifying");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (directory, sizes) = arguments.split_first().unwrap();
    let place = Place::in_directory(Path::new(directory));
    if sizes.is_empty() {
        return verify(&place).await;
    }
    for size in sizes {
        fill(&place, size.parse().unwrap()).await;
        let own = std::env::current_exe().unwrap();
        assert!(Command::new(own).arg(directory).status().unwrap().success());
    }
}

/// What a process of its own needs for it.
async fn verify(place: &Place) {
    let before = kib_most();
    let begun = Instant::now();
    let report = verify::local(place, None).await.unwrap();
    assert!(report.ok, "{:?}", report.findings);
    let (entries, kib) = (report.checked.leaves, kib_most() - before);
    let line = serde_json::json!({
        "entries": entries,
        "seconds": begun.elapsed().as_secs(),
        "more_kib": kib,
        "bytes_per_entry": kib * 1024 / entries,
    });
    println!("{line}");
}

/// Ideas, one in ten of them with a remark, and one in ten linked to the one before.
async fn fill(place: &Place, size: u64) {
    let registry = Registry::start(place).await.unwrap();
    let left = size.saturating_sub(registry.shared.writer.size());
    let each = left.div_ceil(u64::from(WRITERS));
    join_all((1..=WRITERS).map(|author| write(&registry, author, each))).await;
    // What is appended is signed when it stops.
    tokio::time::sleep(Duration::from_secs(1)).await;
    registry.stop().await;
}

async fn write(registry: &Registry, author: u8, count: u64) {
    let mut last: Option<IdeaId> = None;
    for number in 0..count {
        let submission = match (number % 10, last) {
            (8, Some(idea)) => with_text(author, |body| Say::Comment { idea, body }),
            (9, Some(from)) => {
                let other = idea(author);
                let to = registry.shared.writer.append(&other).await.unwrap().idea.unwrap();
                let (relation, proposed, likeness) = (Relation::Blocks, false, None);
                let say = Say::Link { from, to, relation, proposed, likeness };
                Submission { entry: signed(author, say), body: None, salt: None }
            }
            (_, _) => idea(author),
        };
        let appended = registry.shared.writer.append(&submission).await.unwrap();
        last = appended.idea.or(last);
    }
}

/// An idea of sixteen words that is like no other.
fn idea(author: u8) -> Submission {
    with_text(author, |body| Say::Idea { body, parents: vec![], tags: vec![], source: None })
}

fn with_text(author: u8, say: impl FnOnce(BodyRef) -> Say) -> Submission {
    let words = (0..16).map(|_| ids::secret("").to_lowercase());
    let text = words.map(|word| word[..8].to_owned()).collect::<Vec<_>>().join(" ");
    let bytes = u32::try_from(text.len()).unwrap();
    let body = BodyRef { hash: body_hash(&text, None), bytes, sealed: None };
    Submission { entry: signed(author, say(body)), body: Some(text), salt: None }
}

fn signed(author: u8, say: Say) -> mesh_schemas::idea::Entry {
    let unsigned = Unsigned { name: None, time: time::now(), say };
    sign(unsigned, &SigningKey::from_bytes(&[author; 32]))
}

/// The most memory that this process has had so far.
fn kib_most() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
