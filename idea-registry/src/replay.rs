//! The log once more from its leaves: projections, and a new log that goes on with the entries of an old one.

use std::collections::{BTreeMap, BTreeSet};

use mesh_ideas_core::{
    ledger::{Change, Leaf as CoreLeaf, TextFacts, Wanted, project},
    parse_leaf,
    text::{content_hash, sealed_content_hash},
};
use mesh_schemas::{
    ErrorCode, Problem,
    idea::{Entry, EntryId, Say, Sha256},
};

use crate::{
    seal::SubjectKey,
    store::{Body, Cursor, Keys, Leaf, Store, StoreError, Tx, WriterLock, rows::Texts},
};
use tracing::info;

/// Leaves that are taken in at once.
const CHUNK: u64 = 256;

/// A leaf with its entry.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) leaf: Leaf,
    pub(crate) entry: Entry,
}

impl Parsed {
    pub(crate) fn new(leaf: Leaf) -> Result<Self, Problem> {
        let entry = parse_leaf(leaf.data.as_bytes()).map_err(|problem| {
            let detail = format!("the leaf {}: {}", leaf.index, problem.detail);
            Problem::new(ErrorCode::Integrity, detail)
        })?;
        Ok(Self { leaf, entry })
    }

    fn changes(&self, facts: Option<TextFacts>) -> Vec<Change> {
        let Leaf { index, id, .. } = self.leaf;
        project(&CoreLeaf { index, id, entry: &self.entry }, facts)
    }
}

/// Texts beside some leaves, opened.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    texts: Texts,
    /// Of those that were sealed.
    keys: BTreeMap<EntryId, [u8; 32]>,
}

impl Beside {
    /// The texts of these leaves, as far as they are at hand.
    pub(crate) async fn load(store: &Store, leaves: &[Parsed]) -> Result<Self, StoreError> {
        let bodies = leaves.iter().filter_map(|parsed| parsed.entry.say.body());
        let hashes: BTreeSet<Sha256> = bodies.clone().map(|body| body.hash).collect();
        let subjects = bodies.filter_map(|body| body.sealed.clone()).collect();
        let stored = store.bodies(&hashes).await?;
        let keys = store.subject_keys(subjects).await?;
        let mut beside = Self::default();
        for parsed in leaves {
            let body = parsed.entry.say.body().and_then(|body| stored.get(&body.hash));
            let Some((text, key)) = body.and_then(|body| opened(body, &keys)) else { continue };
            beside.keys.extend(key.map(|key| (parsed.leaf.id, *key)));
            beside.texts.insert(parsed.leaf.id, text);
        }
        Ok(beside)
    }

    /// The text of an entry among them, if it is at hand.
    pub(crate) fn text_of(&self, entry: &EntryId) -> Option<&str> {
        self.texts.get(entry).map(String::as_str)
    }

    /// The hash of the content of a leaf's text, if that is at hand.
    pub(crate) fn content(&self, parsed: &Parsed) -> Option<Sha256> {
        let text = self.text_of(&parsed.leaf.id)?;
        let key = self.keys.get(&parsed.leaf.id);
        Some(key.map_or_else(|| content_hash(text), |key| sealed_content_hash(text, key)))
    }

    /// What follows from the text of a leaf, if that is at hand.
    pub(crate) fn facts(&self, parsed: &Parsed) -> Option<TextFacts> {
        let follow = TextFacts::follow_from(&parsed.entry.say);
        let text = self.text_of(&parsed.leaf.id).filter(|_| follow)?;
        let key = self.keys.get(&parsed.leaf.id);
        Some(key.map_or_else(|| TextFacts::plain(text), |key| TextFacts::sealed(text, key)))
    }

    /// What each of the leaves changes, in their order.
    pub(crate) fn changes(&self, leaves: &[Parsed]) -> Vec<Vec<Change>> {
        leaves.iter().map(|parsed| parsed.changes(self.facts(parsed))).collect()
    }
}

/// The text, and the key that it was sealed with.
fn opened<'a>(body: &Body, keys: &'a Keys) -> Option<(String, Option<&'a [u8; 32]>)> {
    if let Some(text) = &body.text {
        return Some((text.clone(), None));
    }
    let key: &SubjectKey = keys.get(body.subject.as_ref()?)?;
    let text = key.open(&body.hash, body.sealed.as_ref()?)?.text;
    Some((text, Some(key.bytes())))
}

/// Leaves of a log from an index on, without a gap.
pub(crate) async fn leaves(store: &Store, log: u32, from: u64) -> Result<Vec<Parsed>, Problem> {
    let leaves = store.leaves(log, from, CHUNK).await?;
    let parsed = (from..).zip(leaves).map(|(index, leaf)| {
        if leaf.index == index {
            return Parsed::new(leaf);
        }
        Err(Problem::new(ErrorCode::Integrity, format!("the leaf {index} is missing")))
    });
    parsed.collect()
}

/// The cursor that says of which log the projections are; 0 when they are of none.
pub(crate) const PROJECTIONS_CURSOR: &str = "projections";

/// Makes the projections anew if they are of another log: whoever changed the log died before that.
pub(crate) async fn ensure(store: &Store, lock: &WriterLock, log: u32) -> Result<(), Problem> {
    let cursor = store.cursor(PROJECTIONS_CURSOR).await?;
    if cursor.is_some_and(|cursor| cursor.value == u64::from(log)) {
        return Ok(());
    }
    let doing = "making the projections anew";
    let mut tx = store.begin(lock, doing).await?;
    let entries = projections(store, &mut tx, log).await?;
    tx.commit(doing).await?;
    info!(entries, "Made the projections anew");
    Ok(())
}

/// Makes all projections anew, in the given transaction: all or nothing.
pub(crate) async fn projections(store: &Store, tx: &mut Tx, log: u32) -> Result<u64, Problem> {
    tx.forget_projections().await?;
    let cursor = Cursor { value: u64::from(log), detail: String::new() };
    tx.set_cursor(PROJECTIONS_CURSOR, &cursor).await?;
    let mut size = 0;
    loop {
        let leaves = leaves(store, log, size).await?;
        if leaves.is_empty() {
            return Ok(size);
        }
        // An erasure touches what was before it, and not what comes behind it.
        for leaves in
            leaves.split_inclusive(|parsed| matches!(parsed.entry.say, Say::Erased { .. }))
        {
            take_in(store, tx, log, size, leaves).await?;
            size += u64::try_from(leaves.len()).unwrap_or(u64::MAX);
        }
    }
}

/// Takes leaves that follow into the projections.
pub(crate) async fn take_in(
    store: &Store,
    tx: &mut Tx,
    log: u32,
    size: u64,
    leaves: &[Parsed],
) -> Result<(), Problem> {
    let beside = Beside::load(store, leaves).await?;
    let mut wanted = wanted(leaves);
    // A text that was there before stays that of the entry that had it first.
    let texts = leaves.iter().filter(|parsed| TextFacts::follow_from(&parsed.entry.say));
    wanted.contents.extend(texts.filter_map(|parsed| beside.content(parsed)));
    let mut ledger = tx.load(log, size, wanted).await?;
    let changes = ledger.take_in(beside.changes(leaves));
    tx.save(&ledger, &changes, &beside.texts).await?;
    Ok(())
}

/// The rows that projecting these leaves changes.
fn wanted(leaves: &[Parsed]) -> Wanted {
    let mut wanted = Wanted::default();
    for Parsed { entry, .. } in leaves {
        match &entry.say {
            Say::Tombstone { entry, .. } => {
                wanted.entries.insert(*entry);
            }
            Say::SeenAgain { idea, entry, .. } => {
                wanted.entries.insert(*entry);
                wanted.ideas.insert(*idea);
            }
            Say::Revision { idea, .. }
            | Say::Claim { idea, .. }
            | Say::Transfer { idea, .. }
            | Say::Release { idea, .. }
            | Say::Status { idea, .. } => {
                wanted.ideas.insert(*idea);
            }
            // A parent may be one that was seen again.
            Say::Idea { parents, .. } => {
                wanted.entries.extend(parents.iter().map(|parent| EntryId::from(*parent)));
            }
            Say::Comment { .. }
            | Say::Link { .. }
            | Say::Rank { .. }
            | Say::Job { .. }
            | Say::Erased { .. }
            | Say::Origin { .. } => {}
        }
    }
    wanted
}
