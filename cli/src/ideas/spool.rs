//! Submissions that are not yet known to be in the log: one file each, durable before it is sent, removed
//! once an index is known. A mesh that is out of reach costs no idea, and neither does one that refuses it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use mesh_schemas::{
    Problem,
    idea::{EntryId, Say, Submission},
};
use serde::{Deserialize, Serialize};

use super::{private_dir, state_dir};
use crate::context::io;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Waiting {
    /// The cluster it is for, as the user names it.
    server: String,
    submission: Submission,
}

/// The spool of one cluster.
#[derive(Debug)]
pub(crate) struct Spool {
    dir: PathBuf,
    refused: PathBuf,
    server: String,
}

impl Spool {
    pub(crate) fn open(server: &str) -> Result<Self, Problem> {
        let state = state_dir()?;
        let (dir, refused) =
            (private_dir(state.join("spool"))?, private_dir(state.join("refused"))?);
        Ok(Self { dir, refused, server: server.to_owned() })
    }

    /// Keeps a submission; durable when this returns.
    pub(crate) fn keep(&self, entry: EntryId, submission: &Submission) -> Result<(), Problem> {
        let waiting = Waiting { server: self.server.clone(), submission: submission.clone() };
        let text = serde_json::to_vec(&waiting)
            .map_err(|error| Problem::new(mesh_schemas::ErrorCode::Internal, error.to_string()))?;
        let file = self.file(entry);
        mesh_fabric::files::write_private(&file, &text).map_err(|error| io("write", &file, &error))
    }

    /// It is in the log.
    pub(crate) fn forget(&self, entry: EntryId) -> Result<(), Problem> {
        let file = self.file(entry);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(io("remove", &file, &error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// It will never be in the log: it is kept beside the spool, as nobody else may have it. Where.
    pub(crate) fn put_aside(&self, entry: EntryId) -> Result<PathBuf, Problem> {
        let (file, aside) = (self.file(entry), self.refused.join(format!("{entry}.json")));
        match std::fs::rename(&file, &aside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(io("move", &file, &error))
            }
            // Another command was quicker.
            Ok(()) | Err(_) => Ok(aside),
        }
    }

    /// Where they are kept that were put aside.
    pub(crate) fn refused(&self) -> &Path {
        &self.refused
    }

    /// What waits for this cluster, what is named before what names it and else the oldest first; all of it, or so
    /// many.
    pub(crate) fn waiting(
        &self,
        most: Option<usize>,
    ) -> Result<Vec<(EntryId, Submission)>, Problem> {
        let read = |error| io("read", &self.dir, &error);
        let mut waiting = Vec::new();
        for item in std::fs::read_dir(&self.dir).map_err(read)? {
            let name = item.map_err(read)?.file_name();
            let Some(entry) = name.to_str().and_then(|name| name.strip_suffix(".json")) else {
                continue;
            };
            let Ok(entry) = entry.parse::<EntryId>() else { continue };
            if let Some(submission) = self.read(entry)? {
                waiting.push((entry, submission));
            }
        }
        waiting.sort_by_key(|(entry, submission)| (submission.entry.time, *entry));
        let mut waiting = named_first(waiting);
        waiting.truncate(most.unwrap_or(usize::MAX));
        Ok(waiting)
    }

    fn read(&self, entry: EntryId) -> Result<Option<Submission>, Problem> {
        let file = self.file(entry);
        let bytes = match std::fs::read(&file) {
            Ok(bytes) => bytes,
            // Another command was quicker.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io("read", &file, &error)),
        };
        let waiting: Result<Waiting, _> = serde_json::from_slice(&bytes);
        match waiting {
            Ok(waiting) if waiting.server == self.server => Ok(Some(waiting.submission)),
            Ok(_) => Ok(None),
            Err(error) => {
                crate::output::note(format!("{} cannot be read: {error}", file.display()));
                Ok(None)
            }
        }
    }

    /// Where an entry waits.
    pub(crate) fn file(&self, entry: EntryId) -> PathBuf {
        self.dir.join(format!("{entry}.json"))
    }
}

/// Entries of one instant, and those of a clock that was set back, stand in any order: those that are named go first.
fn named_first(mut waiting: Vec<(EntryId, Submission)>) -> Vec<(EntryId, Submission)> {
    let mut left: BTreeSet<EntryId> = waiting.iter().map(|(entry, _)| *entry).collect();
    let mut ordered = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let before = ordered.len();
        let mut later = Vec::new();
        for (entry, submission) in waiting {
            if names(&submission.entry.say).iter().any(|named| left.contains(named)) {
                later.push((entry, submission));
            } else {
                left.remove(&entry);
                ordered.push((entry, submission));
            }
        }
        waiting = later;
        if ordered.len() == before {
            // A circle, which ids that are hashes cannot make.
            ordered.append(&mut waiting);
        }
    }
    ordered
}

/// The entries that must be there before this one.
fn names(say: &Say) -> Vec<EntryId> {
    match say {
        Say::Idea { parents, .. } => parents.iter().map(|parent| (*parent).into()).collect(),
        Say::Link { from, to, .. } => vec![(*from).into(), (*to).into()],
        Say::Claim { idea, follows }
        | Say::Transfer { idea, follows, .. }
        | Say::Release { idea, follows } => {
            vec![(*idea).into(), *follows]
        }
        Say::Revision { idea, .. }
        | Say::Comment { idea, .. }
        | Say::Status { idea, .. }
        | Say::Rank { idea, .. }
        | Say::Job { idea, .. } => vec![(*idea).into()],
        Say::SeenAgain { idea, entry, .. } => vec![(*idea).into(), *entry],
        Say::Tombstone { entry, .. } => vec![*entry],
        Say::Erased { .. } | Say::Origin { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use mesh_ideas_core::{SigningKey, Unsigned, body_hash, entry_id, sign};
    use mesh_schemas::{
        Timestamp,
        idea::{BodyRef, IdeaId},
    };

    use super::*;

    fn spool() -> (tempfile::TempDir, Spool) {
        let dir = tempfile::tempdir().unwrap();
        let place = |name| private_dir(dir.path().join(name)).unwrap();
        let (spool, refused) = (place("spool"), place("refused"));
        (dir, Spool { dir: spool, refused, server: "here".into() })
    }

    /// An idea of a time, kept.
    fn keep(spool: &Spool, text: &str, parents: &[EntryId], time: i64) -> EntryId {
        let body = BodyRef { hash: body_hash(text, None), bytes: 1, sealed: None };
        let parents = parents.iter().map(|parent| IdeaId::from(*parent)).collect();
        let say = Say::Idea { body, parents, tags: vec![], source: None };
        let time = Timestamp::from_millis(time);
        let entry = sign(Unsigned { name: None, time, say }, &SigningKey::from_bytes(&[1; 32]));
        let id = entry_id(&entry);
        spool.keep(id, &Submission { entry, body: Some(text.into()), salt: None }).unwrap();
        id
    }

    fn ids(waiting: Vec<(EntryId, Submission)>) -> Vec<EntryId> {
        waiting.into_iter().map(|(entry, _)| entry).collect()
    }

    #[test]
    fn parents_go_first_though_their_clock_is_ahead() {
        let (_dir, spool) = spool();
        let first = keep(&spool, "a", &[], 9_000);
        let second = keep(&spool, "b", &[first], 8_000);
        let third = keep(&spool, "c", &[second, first], 8_000);
        let other = keep(&spool, "d", &[], 8_500);
        let order = ids(spool.waiting(None).unwrap());
        assert_eq!(order, [other, first, second, third]);
    }

    #[test]
    fn the_oldest_of_all_are_taken_along() {
        let (_dir, spool) = spool();
        let kept: Vec<_> = (0..60).rev().map(|n| keep(&spool, &n.to_string(), &[], n)).collect();
        let oldest: Vec<_> = kept.iter().rev().take(10).copied().collect();
        assert_eq!(ids(spool.waiting(Some(10)).unwrap()), oldest);
    }

    #[test]
    fn what_is_put_aside_is_whole_and_waits_no_more() {
        let (_dir, spool) = spool();
        let entry = keep(&spool, "a", &[], 1);
        let text = std::fs::read(spool.file(entry)).unwrap();
        let aside = spool.put_aside(entry).unwrap();
        assert_eq!(std::fs::read(&aside).unwrap(), text);
        assert!(aside.starts_with(spool.refused()));
        assert!(spool.waiting(None).unwrap().is_empty());
        assert_eq!(spool.put_aside(entry).unwrap(), aside, "twice is no fault");
    }
}
