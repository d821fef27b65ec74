//! Packs from rows.

use std::collections::BTreeMap;

use mesh_schemas::{
    ErrorCode, Problem,
    idea::{BodyRef, Sha256},
};
use mesh_tlog::TILE_WIDTH;
use tokio::task::block_in_place;
use tracing::error;

use super::{Erasures, Named, Pack, cut, decode, encode, is_sound, read};
use crate::{
    store::{Body, Keys, Leaf, Store, Tx},
    tiles::TileDir,
};

/// Writes packs of one log.
#[derive(Debug)]
pub(crate) struct Packer {
    store: Store,
    log: u32,
    tiles: TileDir,
    /// As they were when a sealed text was missing last.
    erasures: Erasures,
}

/// What was written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// Of the packs that were closed, where they lay before.
    superseded: Vec<String>,
    /// Entries whose texts are nowhere, though the log does not say that they were erased.
    pub(crate) missing: u64,
    /// Those among them that were written for the first time.
    pub(crate) new_missing: u64,
}

/// The texts of one pack.
#[derive(Debug)]
struct Gathered {
    found: BTreeMap<Sha256, Body>,
    /// Those among them that only a file has.
    recovered: Vec<Body>,
    /// The entries whose texts are nowhere.
    missing: Vec<u64>,
}

/// A text that a file has.
#[derive(Debug)]
struct Kept {
    body: Body,
    /// It is what its entry names, and if it is sealed the key here opens it.
    opens: bool,
}

impl Packer {
    pub(crate) fn new(store: &Store, log: u32, tiles: &TileDir) -> Self {
        Self { store: store.clone(), log, tiles: tiles.clone(), erasures: Erasures::default() }
    }

    /// Makes the packs of leaves that follow each other durable, and again the one that the first of them continues.
    pub(crate) async fn write(&mut self, leaves: &[Leaf]) -> Result<Written, Problem> {
        let Some(from) = leaves.first().map(|leaf| leaf.index) else {
            return Ok(Written::default());
        };
        let before = from % u64::from(TILE_WIDTH);
        let earlier = self.store.leaves(self.log, from - before, before).await?;
        let all: Vec<&Leaf> = earlier.iter().chain(leaves).collect();
        let bundle = |leaf: &Leaf| leaf.index / u64::from(TILE_WIDTH);
        let mut written = Written::default();
        for bundle in all.chunk_by(|one, next| bundle(one) == bundle(next)) {
            let first = bundle.first().map_or(0, |leaf| leaf.index);
            let packs = cut(first, bundle.iter().map(|leaf| leaf.data.as_bytes()));
            for pack in packs.into_iter().filter(|pack| pack.end() > from) {
                let missing = self.write_one(&pack).await?;
                written.missing += u64::try_from(missing.len()).unwrap_or(u64::MAX);
                written.new_missing += count_from(&missing, from);
                written.superseded.extend(pack.closed.then(|| pack.partial_dir()));
            }
        }
        Ok(written)
    }

    /// Makes all packs of the log from an entry on up to a size; how many texts are missing.
    pub(crate) async fn write_all(&mut self, from: u64, size: u64) -> Result<u64, Problem> {
        let (mut next, mut missing) = (from, 0);
        while next < size {
            let count = u64::from(TILE_WIDTH).min(size - next);
            let leaves = self.store.leaves(self.log, next, count).await?;
            let Some(last) = leaves.last() else { break };
            next = last.index + 1;
            let written = self.write(&leaves).await?;
            self.tidy(&written);
            missing += written.missing;
        }
        Ok(missing)
    }

    /// The packs of the log's last bundle are there and whole.
    pub(crate) async fn has_edge(&self, size: u64) -> Result<bool, Problem> {
        let first = size.saturating_sub(1) / u64::from(TILE_WIDTH) * u64::from(TILE_WIDTH);
        let leaves = self.store.leaves(self.log, first, size - first).await?;
        let packs = cut(first, leaves.iter().map(|leaf| leaf.data.as_bytes()));
        let is_there = |pack: &Pack| {
            let file = read(&self.tiles, pack).ok().flatten();
            file.is_some_and(|file| decode(&file.bytes).whole)
        };
        Ok(packs.iter().all(is_there))
    }

    /// Removes what closed packs took the place of, once nobody needs it to continue.
    pub(crate) fn tidy(&self, written: &Written) {
        written.superseded.iter().for_each(|dir| self.tiles.remove_below(dir));
    }

    async fn write_one(&mut self, pack: &Pack) -> Result<Vec<u64>, Problem> {
        let Gathered { mut found, missing, .. } = self.gather(pack).await?;
        let mut bodies = Vec::with_capacity(found.len());
        bodies.extend(pack.named.iter().filter_map(|named| found.remove(&named.body.hash)));
        let path = pack.path();
        block_in_place(|| self.tiles.write_pack(&path, &encode(&bodies))).map_err(|error| {
            Problem::new(ErrorCode::Io, format!("cannot write {path}: {error}"))
                .hint("check that the disk is writable and not full")
        })?;
        Ok(missing)
    }

    /// The texts of a pack: those of rows that are sound, and of the others what an older file has. A file is never
    /// replaced by one that has less, or something else.
    async fn gather(&mut self, pack: &Pack) -> Result<Gathered, Problem> {
        let hashes = pack.named.iter().map(|named| named.body.hash).collect();
        let mut found = self.store.bodies(&hashes).await?;
        let keys = self.keys(pack).await?;
        let mut unsound = BTreeMap::new();
        for Named { body: wanted, .. } in &pack.named {
            if let Some(body) = found.remove(&wanted.hash) {
                let side = if is_sound(wanted, &body, &keys) { &mut found } else { &mut unsound };
                side.insert(wanted.hash, body);
            }
        }
        let mut gathered = Gathered { found, recovered: Vec::new(), missing: Vec::new() };
        let lost = self.lost(pack, &gathered.found).await?;
        if lost.is_empty() {
            return Ok(gathered);
        }
        let (mut kept, none) = (self.in_files(pack, &lost, &keys)?, Keys::new());
        for named in lost {
            let wanted = &named.body;
            // Named twice.
            if gathered.found.contains_key(&wanted.hash) {
                continue;
            }
            let file = match kept.remove(&wanted.hash) {
                Some(Kept { body, opens: true }) => {
                    gathered.recovered.push(body.clone());
                    gathered.found.insert(wanted.hash, body);
                    continue;
                }
                Some(Kept { body, opens: false }) => Some(body),
                None => None,
            };
            gathered.missing.push(named.index);
            error!("The text of the entry {} is in no row and no file", named.index);
            // Perhaps it is the key that is damaged: what is sealed is kept, the file's rather than the row's.
            let row = unsound.remove(&wanted.hash);
            if row.is_none() {
                gathered.recovered.extend(file.clone());
            }
            let row = row.filter(|body| is_sound(wanted, body, &none));
            gathered.found.extend(file.or(row).map(|body| (body.hash, body)));
        }
        Ok(gathered)
    }

    async fn keys(&self, pack: &Pack) -> Result<Keys, Problem> {
        let subjects = pack.named.iter().filter_map(|named| named.body.sealed.clone());
        Ok(self.store.subject_keys(subjects.collect()).await?)
    }

    /// What is in no row, and was not erased.
    async fn lost<'p>(
        &mut self,
        pack: &'p Pack,
        found: &BTreeMap<Sha256, Body>,
    ) -> Result<Vec<&'p Named>, Problem> {
        let named = pack.named.iter().filter(|named| !found.contains_key(&named.body.hash));
        let mut lost: Vec<&Named> = named.collect();
        if lost.iter().any(|named| named.body.sealed.is_some()) {
            lost.retain(|named| self.erasures.of(named).is_none());
            if lost.iter().any(|named| named.body.sealed.is_some()) {
                self.erasures = self.store.erasures(self.log).await?;
                lost.retain(|named| self.erasures.of(named).is_none());
            }
        }
        Ok(lost)
    }

    /// What the files of one pack, closed and partial, have of these texts: rather those that the keys open. Each file is
    /// read once, and none behind the one in which the last was found.
    fn in_files(
        &self,
        pack: &Pack,
        lost: &[&Named],
        keys: &Keys,
    ) -> Result<BTreeMap<Sha256, Kept>, Problem> {
        let unreadable = |error: std::io::Error| {
            Problem::new(ErrorCode::Io, format!("cannot read {}: {error}", pack.path()))
        };
        let wanted: BTreeMap<Sha256, &BodyRef> =
            lost.iter().map(|named| (named.body.hash, &named.body)).collect();
        let (mut kept, none) = (BTreeMap::<Sha256, Kept>::new(), Keys::new());
        let files = self.tiles.packs_at(&pack.closed_path(), &pack.partial_dir());
        for bytes in files.map_err(unreadable)? {
            for body in decode(&bytes.map_err(unreadable)?).lines.into_iter().flatten() {
                let Some(wanted) = wanted.get(&body.hash) else { continue };
                let opens = is_sound(wanted, &body, keys);
                let is_better = kept.get(&body.hash).is_none_or(|kept| opens && !kept.opens);
                if is_better && (opens || is_sound(wanted, &body, &none)) {
                    kept.insert(body.hash, Kept { body, opens });
                }
            }
            if kept.len() == wanted.len() && kept.values().all(|kept| kept.opens) {
                break;
            }
        }
        Ok(kept)
    }

    /// Puts the texts into their rows that only files have, also in place of damaged ones; how many.
    pub(crate) async fn put_back(&mut self, tx: &mut Tx) -> Result<u64, Problem> {
        let (mut next, mut put_back) = (0, 0);
        loop {
            let leaves = self.store.leaves(self.log, next, u64::from(TILE_WIDTH)).await?;
            let Some(last) = leaves.last() else { return Ok(put_back) };
            let packs = cut(next, leaves.iter().map(|leaf| leaf.data.as_bytes()));
            next = last.index + 1;
            for pack in &packs {
                let bodies = self.gather(pack).await?.recovered;
                tx.replace_bodies(&bodies).await?;
                put_back += u64::try_from(bodies.len()).unwrap_or(u64::MAX);
            }
        }
    }
}

fn count_from(entries: &[u64], from: u64) -> u64 {
    u64::try_from(entries.iter().filter(|index| **index >= from).count()).unwrap_or(u64::MAX)
}
