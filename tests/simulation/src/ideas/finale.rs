//! When faults are over: has all come to its end, and is everything as it was promised?
//!
//! I6 what was acknowledged is at its index, in every later checkpoint. I7 all heads that were ever signed
//! are heads of one log. A1 what was filed has one place; the same text is one idea. A2 tiles on disk and in
//! the object store are those that follow from the leaves. A3 no head without a row. A4 nothing is published
//! without its tiles. A5 what the witness has is the log's. A6 no log is halted without a reason. A7
//! projections are those that follow from the leaves. A8 nothing forged is in the log. A9 the stream is read
//! to its end. A11 an origin is begun once, and names the last head of the one before. A12 whoever
//! finds a bundle finds the texts of its entries. A10 when faults are over, all of this comes to pass.

use std::collections::{BTreeMap, BTreeSet};

use mesh_ideas_core::{audit::Auditor, entry_id, parse_leaf, text::content_hash};
use mesh_schemas::idea::{EntryId, Say, Sha256};

use super::{
    db::{LeafRow, Log, size},
    disk::{Name, all_tiles},
    env::Event,
    observer::tiles_of,
    packs,
    people::{Item, State},
    rebuild::rebuild,
    world::World,
};

/// How long the calm may take.
const CALM_MS_MAX: u64 = 600_000;
/// Logs with more leaves are audited in one of sixteen seeds: each signature takes its time.
const AUDITED_MAX: usize = 150;

impl World {
    /// True when the world is over.
    pub(super) fn on_check(&mut self) -> bool {
        match self.unfinished() {
            None => {
                if let Err((promise, what)) = self.check_all() {
                    self.env.broken(promise, what);
                }
                true
            }
            Some(what) if self.env.now > self.calm_at + CALM_MS_MAX => {
                self.env.broken("A10", what);
                true
            }
            Some(_) => {
                self.env.after(500, Event::Check);
                false
            }
        }
    }

    /// What is still to come.
    fn unfinished(&self) -> Option<String> {
        if let Some(item) = self.items.iter().find(|item| item.state == State::Spooled) {
            return Some(format!(
                "{} {} is still filed",
                item.submission.entry.say.kind(),
                item.id
            ));
        }
        if self.to_file.iter().any(|left| *left > 0) {
            return Some("authors are at it".to_owned());
        }
        let stream = (self.stream.born, size(self.stream.messages.len()));
        if self.db.tables.stream != stream && stream.1 > 0 {
            return Some(format!("the stream is at {:?} of {stream:?}", self.db.tables.stream));
        }
        let Some(log) = self.db.tables.logs.last() else { return Some("no log".to_owned()) };
        let writer = self.db.session.map(|(index, _)| index);
        let run = writer.and_then(|index| self.instances[index].run.as_deref());
        let Some(run) = run else { return Some("nobody writes".to_owned()) };
        let Some(signed) = run.signed.as_ref().filter(|_| !run.halted) else {
            return Some(format!("nothing is signed, halted: {}", run.halted));
        };
        if signed.head().size != log.size() {
            return Some(format!("{} of {} are signed", signed.head().size, log.size()));
        }
        let note = signed.to_string();
        if log.copied.as_ref() != Some(&(log.size(), note.clone())) {
            return Some("the copy is behind".to_owned());
        }
        let at = (log.version, Name::Checkpoint);
        if self.objects.peek(at).map(Vec::as_slice) != Some(note.as_bytes()) {
            return Some("the copy's checkpoint is another".to_owned());
        }
        if run.cosigned != Some(signed.head()) {
            return Some("the witness has not cosigned".to_owned());
        }
        None
    }

    fn check_all(&self) -> Result<(), (&'static str, String)> {
        for log in &self.db.tables.logs {
            self.check_leaves(log)?;
            self.observer.check_heads(log.version, &log.leaves).map_err(|what| ("I7", what))?;
        }
        self.check_acknowledged().map_err(|what| ("I6", what))?;
        self.check_stream().map_err(|what| ("A9", what))?;
        let Some(log) = self.db.tables.logs.last() else { return Ok(()) };
        self.check_files(log).map_err(|what| ("A2", what))?;
        let (head, _) = tiles_of(&log.leaves).ok_or_else(|| ("A2", "no tiles".to_owned()))?;
        ensure("A5", self.witness.peek(self.keys.origin(log.version)) == Some(head), || {
            "the witness has another head".to_owned()
        })?;
        let rebuilt = rebuild(&log.leaves, None);
        ensure("A7", rebuilt == log.ledger, || difference(&rebuilt, &log.ledger))?;
        log.ledger.check_invariants().map_err(|what| ("A7", what))
    }

    fn check_leaves(&self, log: &Log) -> Result<(), (&'static str, String)> {
        let version = log.version;
        let mut ids = BTreeSet::new();
        for leaf in &log.leaves {
            ensure("A1", ids.insert(leaf.id), || {
                format!("{} stands twice in v{version}", leaf.id)
            })?;
        }
        let forged = self.items.iter().find(|item| item.forged && ids.contains(&item.id));
        ensure("A8", forged.is_none(), || "a forged entry is in the log".to_owned())?;
        if log.leaves.len() <= AUDITED_MAX || self.env.options.seed.is_multiple_of(16) {
            let mut auditor = Auditor::new(self.keys.registry_authors().to_vec());
            for (index, leaf) in log.leaves.iter().enumerate() {
                auditor
                    .entry(size(index), &leaf.data)
                    .map_err(|problem| ("A8", format!("v{version} {index}: {}", problem.detail)))?;
            }
        }
        one_idea_a_text(&log.leaves).map_err(|what| ("A1", what))
    }

    fn check_acknowledged(&self) -> Result<(), String> {
        for item in &self.items {
            let State::Acknowledged { version, index, entry } = item.state else { continue };
            let log = self.db.log(version).ok_or_else(|| format!("v{version} is gone"))?;
            let leaf = usize::try_from(index).ok().and_then(|place| log.leaves.get(place));
            if leaf.is_none_or(|leaf| leaf.id != entry) {
                return Err(format!("{entry} was told {index} of v{version} and is not there"));
            }
            if !stands(log, item) {
                return Err(format!("{} was acknowledged and has no place", item.id));
            }
        }
        Ok(())
    }

    /// Every message is in a log, or was decided against.
    fn check_stream(&self) -> Result<(), String> {
        for (number, message) in (1..).zip(&self.stream.messages) {
            let item = &self.items[message.item];
            let placed = self.db.tables.logs.iter().any(|log| stands(log, item));
            if !placed && !self.observer.is_done((self.stream.born, number)) {
                return Err(format!("message {number} with {} was passed over", item.id));
            }
        }
        Ok(())
    }

    fn check_files(&self, log: &Log) -> Result<(), String> {
        let (head, tiles) = tiles_of(&log.leaves).ok_or("no tiles")?;
        let Some((writer, _)) = self.db.session else { return Ok(()) };
        let disk = &self.instances[writer].disk;
        for tile in all_tiles(head) {
            let at = (log.version, Name::Tile(tile));
            let wanted = tiles.get(&tile).map(Vec::as_slice);
            if disk.read(at) != wanted {
                return Err(format!("{tile} on disk is not what follows from the leaves"));
            }
            if self.objects.peek(at).map(Vec::as_slice) != wanted {
                return Err(format!("{tile} in the object store is not what follows"));
            }
        }
        for (name, bytes) in packs::grown(&log.leaves, 0) {
            let at = (log.version, name);
            let there = [disk.read(at), self.objects.peek(at).map(Vec::as_slice)];
            if there != [Some(bytes.as_slice()); 2] {
                return Err(format!("{name:?} is not what follows from the texts"));
            }
        }
        Ok(())
    }
}

/// The entry, or one that stands for it.
fn stands(log: &Log, item: &Item) -> bool {
    log.ledger.index_of(item.id).is_some()
}

/// A text that was hidden may be filed by somebody else, and no other.
fn one_idea_a_text(leaves: &[LeafRow]) -> Result<(), String> {
    let mut texts: BTreeMap<Sha256, EntryId> = BTreeMap::new();
    for leaf in leaves {
        let entry = parse_leaf(&leaf.data).map_err(|problem| problem.detail)?;
        if entry_id(&entry) != leaf.id {
            return Err(format!("{} is another entry", leaf.id));
        }
        match (&entry.say, leaf.text.as_deref()) {
            (Say::Idea { .. }, Some(text)) => {
                if let Some(other) = texts.insert(content_hash(text), leaf.id) {
                    return Err(format!("{} and {other} are one text", leaf.id));
                }
            }
            (Say::Tombstone { entry, .. }, _) => texts.retain(|_, of| of != entry),
            (_, _) => {}
        }
    }
    Ok(())
}

fn difference(
    rebuilt: &mesh_ideas_core::ledger::Ledger,
    kept: &mesh_ideas_core::ledger::Ledger,
) -> String {
    let what = [
        ("size", rebuilt.size == kept.size),
        ("entries", rebuilt.entries == kept.entries),
        ("seen", rebuilt.seen == kept.seen),
        ("ideas", rebuilt.ideas == kept.ideas),
        ("contents", rebuilt.contents == kept.contents),
        ("edges", rebuilt.edges == kept.edges),
        ("ranks", rebuilt.ranks == kept.ranks),
        ("near", rebuilt.near == kept.near),
    ];
    let wrong: Vec<&str> = what.iter().filter(|(_, same)| !same).map(|(name, _)| *name).collect();
    format!("projections differ from the leaves: {}", wrong.join(", "))
}

fn ensure(
    promise: &'static str,
    holds: bool,
    what: impl FnOnce() -> String,
) -> Result<(), (&'static str, String)> {
    if holds { Ok(()) } else { Err((promise, what())) }
}
