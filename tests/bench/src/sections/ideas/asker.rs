//! Asks the registry over NATS as the orchestrator does.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use async_nats::{Client, Request};
use mesh_fabric::nats::{Connect, Credential};
use mesh_ideas_core::{SigningKey, Unsigned, body_hash, entry_id, parse_leaf, sign};
use mesh_schemas::{
    idea::{BodyRef, EntryId, LedgerAnswer, LedgerAsk, LedgerStats, Say, Submission},
    subject,
};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to the registry of one mesh.
#[derive(Debug)]
pub(super) struct Asker(Client);

impl Asker {
    /// With the credentials of the mesh whose data this is.
    pub(super) async fn connect(data: &Path) -> anyhow::Result<Self> {
        let ports: serde_json::Value =
            serde_json::from_slice(&std::fs::read(data.join("ports.json"))?)?;
        let url = format!("nats://{}", ports["nats"].as_str().context("no NATS in ports.json")?);
        let creds = std::fs::read_to_string(data.join("cluster/orchestrator.creds"))?;
        let connect = Connect::new(vec![url], Credential::Creds(creds), "bench");
        Ok(Self(mesh_fabric::nats::connect(connect).await?))
    }

    pub(super) async fn append(&self, ask: &LedgerAsk) -> anyhow::Result<()> {
        let answer = self.ask(ask).await?;
        let LedgerAnswer::Appended(appended) = answer else { bail!("answered {answer:?}") };
        ensure!(appended.index.is_some(), "the entry waits");
        Ok(())
    }

    pub(super) async fn stats(&self) -> anyhow::Result<LedgerStats> {
        let answer = self.ask(&LedgerAsk::Stats {}).await?;
        let LedgerAnswer::Stats(stats) = answer else { bail!("answered {answer:?}") };
        Ok(stats)
    }

    pub(super) async fn entry_at(&self, index: u64) -> anyhow::Result<EntryId> {
        let answer = self.ask(&LedgerAsk::Entries { from: index, count: 1 }).await?;
        let LedgerAnswer::Entries { items } = answer else { bail!("answered {answer:?}") };
        let entry = parse_leaf(items.first().context("no such entry")?.data.as_bytes());
        Ok(entry_id(&entry.map_err(|problem| anyhow::anyhow!("{problem}"))?))
    }

    pub(super) async fn prove(&self, entry: EntryId) -> anyhow::Result<()> {
        let answer = self.ask(&LedgerAsk::Prove { entry: Some(entry), old_size: None }).await?;
        let LedgerAnswer::Proof(proof) = answer else { bail!("answered {answer:?}") };
        ensure!(proof.entry.is_some(), "a proof of nothing");
        Ok(())
    }

    async fn ask(&self, ask: &LedgerAsk) -> anyhow::Result<LedgerAnswer> {
        let payload = serde_json::to_vec(ask)?;
        let request = Request::new().payload(payload.into()).timeout(Some(PATIENCE));
        let message = self.0.send_request(subject::ledger_ask(ask.name()), request).await?;
        Ok(serde_json::from_slice(&message.payload)?)
    }
}

/// A new idea, unlike all others.
pub(super) fn idea(key: &SigningKey) -> LedgerAsk {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let words = mesh_fabric::ids::random::<12>();
    let text = format!(
        "Idea {number}: {}\n\nWhat would change if this were done, and what it would take.",
        words.map(|word| WORDS[usize::from(word) % WORDS.len()]).join(" ")
    );
    let body = BodyRef {
        hash: body_hash(&text, None),
        bytes: u32::try_from(text.len()).unwrap_or(u32::MAX),
        sealed: None,
    };
    let say = Say::Idea { body, parents: Vec::new(), tags: vec!["bench".into()], source: None };
    let entry = sign(Unsigned { name: None, time: mesh_fabric::time::now(), say }, key);
    LedgerAsk::Append(Box::new(Submission { entry, body: Some(text), salt: None }))
}

const WORDS: [&str; 64] = [
    "cache", "node", "night", "build", "queue", "disk", "limit", "token", "price", "power", "heat",
    "fan", "trace", "alarm", "graph", "merge", "split", "chunk", "index", "table", "proof", "leaf",
    "root", "tile", "page", "lock", "lease", "epoch", "batch", "round", "stream", "header",
    "reader", "writer", "timer", "clock", "retry", "pause", "drain", "label", "class", "yield",
    "budget", "owner", "policy", "quota", "sensor", "battery", "screen", "shell", "script",
    "model", "train", "sample", "vector", "weight", "score", "vote", "claim", "status", "filter",
    "search", "export", "import",
];
