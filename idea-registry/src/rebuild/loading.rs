//! Bundles and their packs as rows.

use std::collections::{BTreeMap, BTreeSet};

use mesh_ideas_core::{entry_id, parse_leaf};
use mesh_schemas::{ErrorCode, Problem, idea::Sha256};
use mesh_tlog::{AuditedBundle, TILE_WIDTH, leaf_hash};

use super::Rebuilt;
use crate::{
    pack::{self, Erasures, Named, Pack, cut, is_sound},
    replay,
    store::{Body, Cursor, Keys, Leaf, Store, Tx, WriterLock},
    tiles::TileDir,
};

/// What subjects had sealed behind their erasure, by its hashes.
pub(super) type Late = BTreeMap<String, BTreeSet<Sha256>>;

/// Adds what is missing, bundle by bundle.
pub(super) struct Loading<'a> {
    store: &'a Store,
    lock: &'a WriterLock,
    log: u32,
    tiles: &'a TileDir,
    erasures: &'a Erasures,
    late: Late,
    /// Each pack has its file.
    packed: bool,
    added: Rebuilt,
}

impl<'a> Loading<'a> {
    pub(super) fn new(
        store: &'a Store,
        lock: &'a WriterLock,
        log: u32,
        tiles: &'a TileDir,
        erasures: &'a Erasures,
    ) -> Self {
        let (late, added) = (Late::new(), Rebuilt::default());
        Self { store, lock, log, tiles, erasures, late, packed: true, added }
    }

    /// What was added, and what is sealed for subjects that were erased once.
    pub(super) fn finish(self) -> (Rebuilt, Late) {
        (self.added, self.late)
    }

    /// Each pack had its file.
    pub(super) const fn is_packed(&self) -> bool {
        self.packed
    }

    /// The bundle's texts first, and then its leaves: whoever finds an entry finds its text.
    pub(super) async fn bundle(&mut self, bundle: &AuditedBundle) -> Result<(), Problem> {
        let leaves = bundle.entries().map(leaf).collect::<Result<Vec<_>, _>>()?;
        let Some(first) = leaves.first() else { return Ok(()) };
        let there = self.store.leaves(self.log, first.index, u64::from(TILE_WIDTH)).await?;
        for (there, leaf) in there.iter().zip(&leaves) {
            if there != leaf {
                let detail = format!("the row of the leaf {} is not what was signed", leaf.index);
                return Err(Problem::new(ErrorCode::Integrity, detail)
                    .hint("begin with an empty database, or put a good backup back"));
            }
        }
        for pack in cut(first.index, leaves.iter().map(|leaf| leaf.data.as_bytes())) {
            self.pack(&pack).await?;
        }
        self.leaves(leaves.get(there.len()..).unwrap_or_default()).await
    }

    /// The rows behind the signed head are not in the files: their texts stay.
    pub(super) async fn unsigned(&mut self, signed: u64) -> Result<(), Problem> {
        let mut next = signed;
        loop {
            let leaves = self.store.leaves(self.log, next, u64::from(TILE_WIDTH)).await?;
            let Some(last) = leaves.last() else { return Ok(()) };
            let packs = cut(next, leaves.iter().map(|leaf| leaf.data.as_bytes()));
            next = last.index + 1;
            for named in packs.iter().flat_map(|pack| &pack.named) {
                if self.erasures.of(named).is_none() {
                    self.note_late(named);
                }
            }
        }
    }

    /// What is sealed for somebody who was erased before.
    fn note_late(&mut self, named: &Named) {
        let subject = named.body.sealed.as_ref();
        if let Some(subject) = subject.filter(|subject| self.erasures.0.contains_key(*subject)) {
            self.late.entry(subject.clone()).or_default().insert(named.body.hash);
        }
    }

    async fn leaves(&mut self, missing: &[Leaf]) -> Result<(), Problem> {
        if missing.is_empty() {
            return Ok(());
        }
        let doing = "adding leaves from tiles";
        let mut tx = self.store.begin(self.lock, doing).await?;
        tx.insert_leaves(self.log, missing).await?;
        no_projections(&mut tx).await?;
        tx.commit(doing).await?;
        self.added.leaves_added += u64::try_from(missing.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    /// The texts of a pack that are in no row, or are there and not the right ones.
    async fn pack(&mut self, pack: &Pack) -> Result<(), Problem> {
        let named = pack.named.iter().filter(|named| self.erasures.of(named).is_none());
        let named: BTreeMap<Sha256, &Named> = named.map(|named| (named.body.hash, named)).collect();
        named.values().for_each(|named| self.note_late(named));
        let file = self.of_file(pack)?;
        self.packed &= file.is_some();
        let bodies = file.unwrap_or_default();
        let subjects = named.values().filter_map(|named| named.body.sealed.clone()).collect();
        let keys = self.store.subject_keys(subjects).await?;
        let rows = self.store.bodies(&named.keys().copied().collect()).await?;
        let is_sound = |body: &Body, keys: &Keys| {
            named.get(&body.hash).is_some_and(|named| is_sound(&named.body, body, keys))
        };
        let no_keys = Keys::new();
        // The key of a subject that was erased once may be the one from before: it says nothing of its later texts.
        let is_late = |body: &Body| {
            body.subject.as_ref().is_some_and(|subject| self.erasures.0.contains_key(subject))
        };
        let fits =
            |body: &Body| is_sound(body, &keys) || (is_late(body) && is_sound(body, &no_keys));
        let has_row = |hash: &Sha256| rows.get(hash).is_some_and(|row| is_sound(row, &keys));
        let in_file = |hash: &Sha256| bodies.iter().any(|body| body.hash == *hash && fits(body));
        let missing = named.keys().filter(|hash| !has_row(hash) && !in_file(hash)).count();
        // Where there is no row, what no key that is here opens is better than nothing.
        let wanted = |body: &&Body| match rows.get(&body.hash) {
            Some(row) => !is_sound(row, &keys) && fits(body),
            None => named.contains_key(&body.hash),
        };
        let bodies: Vec<Body> = bodies.iter().filter(wanted).cloned().collect();
        if !bodies.is_empty() {
            let doing = "putting texts back";
            let mut tx = self.store.begin(self.lock, doing).await?;
            tx.replace_bodies(&bodies).await?;
            no_projections(&mut tx).await?;
            tx.commit(doing).await?;
        }
        self.added.texts_missing += u64::try_from(missing).unwrap_or(u64::MAX);
        self.added.texts_added += u64::try_from(bodies.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    /// What lies on disk; nothing when there is no file.
    fn of_file(&self, pack: &Pack) -> Result<Option<Vec<Body>>, Problem> {
        let file = pack::read(self.tiles, pack).map_err(|error| {
            Problem::new(ErrorCode::Io, format!("cannot read {}: {error}", pack.path()))
        })?;
        let Some(file) = file else { return Ok(None) };
        pack::check(pack, &file, self.erasures).map(Some).map_err(|fault| {
            Problem::new(ErrorCode::Integrity, fault.to_string())
                .hint("put a good copy of the file back, or remove it to go on without its texts")
        })
    }
}

/// Should this process die before it has made them, the next start does.
async fn no_projections(tx: &mut Tx) -> Result<(), Problem> {
    let none = Cursor { value: 0, detail: String::new() };
    Ok(tx.set_cursor(replay::PROJECTIONS_CURSOR, &none).await?)
}

fn leaf((index, bytes): (u64, &[u8])) -> Result<Leaf, Problem> {
    let bad = |what: &str| Problem::new(ErrorCode::Integrity, format!("the entry {index}: {what}"));
    let entry = parse_leaf(bytes).map_err(|problem| bad(&problem.detail))?;
    let data = String::from_utf8(bytes.to_vec()).map_err(|_| bad("it is not UTF-8"))?;
    Ok(Leaf { index, id: entry_id(&entry), hash: Sha256(leaf_hash(bytes).0), data })
}
