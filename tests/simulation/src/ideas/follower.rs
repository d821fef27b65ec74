//! Clients that remember heads, and ask for a proof that the next one continues theirs.

use std::{collections::BTreeMap, convert::Infallible};

use mesh_tlog::{Hash, Prover, ReadTiles, Remembered, SignedCheckpoint, Tile, Verdict};

use super::{disk::Name, env::Event, outside::Objects, stats::Kind, world::World};

/// A client that remembers heads, one of each log.
#[derive(Debug, Default)]
pub(super) struct Follower {
    remembered: BTreeMap<u32, Remembered>,
    /// The note that was seen last.
    last: Vec<u8>,
}

impl World {
    pub(super) fn on_look(&mut self, follower: usize) {
        let wait = self.env.rng.between(100, 2_500);
        self.env.after(wait, Event::Look { follower });
        let index = self.env.rng.index(self.instances.len());
        let version = self.identity;
        let disk = &self.instances[index].disk;
        let from_copy = self.env.rng.chance(400);
        let at = (version, Name::Checkpoint);
        let note = match from_copy {
            true => self.objects.peek(at).map(Vec::as_slice),
            false => disk.read(at),
        };
        let Some(note) = note.filter(|note| *note != self.followers[follower].last) else { return };
        self.followers[follower].last = note.to_vec();
        let seen = match self.keys.trusted(version).open(note) {
            Ok(seen) => seen,
            Err(error) => return self.env.broken("A2", format!("a checkpoint is no one: {error}")),
        };
        let Some(remembered) = self.followers[follower].remembered.get(&version) else {
            let new = Remembered::new(seen);
            self.followers[follower].remembered.insert(version, new);
            return;
        };
        let wanted = remembered.proof_wanted(&seen);
        let proof = match (wanted, from_copy) {
            (None, _) => Some(Vec::new()),
            (Some(old), true) => prove(ObjectsLog { objects: &self.objects, version }, &seen, old),
            (Some(old), false) => prove(disk.log(version), &seen, old),
        };
        // Tiles that do not give the root prove nothing against the log; the observer knows all heads.
        let Some(proof) = proof else { return };
        let before = remembered.checkpoint().head();
        match remembered.judge(seen.clone(), &proof) {
            Ok(Verdict::Accept(remembered)) => {
                self.env.stats.count(Kind::HeadAccepted);
                self.followers[follower].remembered.insert(version, remembered);
            }
            Ok(Verdict::Rollback(_)) if !self.observer.is_excused(version, before) => {
                self.env.stats.count(Kind::OlderHead);
            }
            Ok(Verdict::Rollback(_) | Verdict::Fork(_)) => {
                let excused = self.observer.is_excused(version, before)
                    || self.observer.is_excused(version, seen.head());
                if !excused {
                    let size = seen.head().size;
                    self.env.broken("I7", format!("a client was shown a fork at {size}"));
                }
                self.env.stats.count(Kind::ForkSeen);
                self.followers[follower].remembered.remove(&version);
            }
            Err(error) => self.env.broken("I7", error),
        }
    }
}

fn prove<R: ReadTiles>(reader: R, seen: &SignedCheckpoint, old: u64) -> Option<Vec<Hash>> {
    Prover::new(reader, seen.head()).consistency(old).ok()
}

/// The copy of a log.
struct ObjectsLog<'a> {
    objects: &'a Objects,
    version: u32,
}

impl ReadTiles for ObjectsLog<'_> {
    type Error = Infallible;

    fn read(&self, tile: &Tile) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.objects.peek((self.version, Name::Tile(*tile))).cloned())
    }
}
