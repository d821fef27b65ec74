//! Every file of a log, on disk or in the object store, against its signed root.

use mesh_fabric::error::chain;
use mesh_schemas::{ErrorCode, Problem};
use mesh_tlog::{Audit, AuditError, AuditedBundle, Prover, SignedCheckpoint, TILE_WIDTH, TreeHead};
use tokio::task::block_in_place;

use super::{Finding, local::Run};
use crate::{
    pack::{self, Pack, ReadFiles, cut, is_sound},
    publish::Copy,
    store::Body,
    tiles::TileDir,
};

/// Where the files lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Disk,
    Store,
}

impl Place {
    /// A finding about a tile, a bundle or a pack.
    fn finding(self, index: u64, what: &'static str, detail: &str) -> Finding {
        match self {
            Self::Disk => Finding::at(index, what, detail),
            Self::Store => Finding::at(index, "copy", format!("in the object store: {detail}")),
        }
    }

    /// Reads. The store is waited for, the disk is not.
    fn read<T>(self, read: impl FnOnce() -> T) -> T {
        match self {
            Self::Disk => read(),
            Self::Store => block_in_place(read),
        }
    }

    fn unreadable(self, error: &(dyn std::error::Error + 'static)) -> Problem {
        match self {
            Self::Disk => Problem::new(ErrorCode::Io, chain(error)),
            Self::Store => Problem::new(ErrorCode::ObjectsDown, chain(error)),
        }
    }
}

impl Run {
    /// Every tile, bundle and pack under the signed root, and the rows of the leaves beside those on disk.
    pub(super) async fn files<R: ReadFiles + Sync>(
        &mut self,
        reader: &R,
        head: TreeHead,
        place: Place,
    ) -> Result<(), Problem> {
        let mut audit = match place.read(|| Audit::begin(reader, head)) {
            Ok(audit) => audit,
            Err(error) => return self.fault(place, &error),
        };
        while let Some(bundle) = place.read(|| audit.next()) {
            let bundle = match bundle {
                Ok(bundle) => bundle,
                Err(error) => return self.fault(place, &error),
            };
            match place {
                Place::Disk => self.leaf_rows(&bundle).await?,
                Place::Store => self.checked.copied += count(&bundle),
            }
            if self.has_packs {
                self.packs(reader, &bundle, place).await?;
            }
        }
        Ok(())
    }

    /// The copy is of this log, and whole.
    pub(super) async fn copy(
        &mut self,
        copy: &Copy,
        checkpoint: Result<Option<(Vec<u8>, SignedCheckpoint)>, Problem>,
        (tiles, ours): (&TileDir, TreeHead),
    ) -> Result<(), Problem> {
        let theirs = match checkpoint {
            Ok(Some((_, checkpoint))) => checkpoint.head(),
            Ok(None) => {
                self.findings.add(Finding::of("copy", "the object store has no checkpoint"));
                return Ok(());
            }
            Err(problem) if problem.code == ErrorCode::Integrity => {
                self.findings.add(Finding::of("copy", problem.detail));
                return Ok(());
            }
            Err(problem) => return Err(problem),
        };
        let root = Prover::new(tiles, ours).root_at(theirs.size);
        if theirs.size > ours.size || root.is_ok_and(|root| root != theirs.root) {
            let detail = format!(
                "the object store has a checkpoint of {} entries that is none of this log's",
                theirs.size
            );
            self.findings.add(Finding::of("copy", detail));
        }
        self.files(copy, theirs, Place::Store).await
    }

    fn fault<E: std::error::Error + 'static>(
        &mut self,
        place: Place,
        error: &AuditError<E>,
    ) -> Result<(), Problem> {
        match error {
            AuditError::Found(found) => {
                self.findings.add(place.finding(found.index, "tile", &found.to_string()));
                Ok(())
            }
            AuditError::Read { .. } => Err(place.unreadable(error)),
        }
    }

    async fn leaf_rows(&mut self, bundle: &AuditedBundle) -> Result<(), Problem> {
        let Some((first, _)) = bundle.entries().next() else { return Ok(()) };
        let width = u64::from(TILE_WIDTH);
        let rows = self.store.leaf_rows(self.log.version, first, width).await?;
        let mut rows = rows.into_iter();
        for (index, bytes) in bundle.entries() {
            self.checked.entries += 1;
            let row = rows.next().filter(|row| u64::try_from(row.idx) == Ok(index));
            if row.is_none_or(|row| row.data.as_bytes() != bytes) {
                let detail = "the row is missing or is not the entry that was signed";
                self.findings.add(Finding::at(index, "leaf", detail));
            }
        }
        Ok(())
    }

    async fn packs<R: ReadFiles + Sync>(
        &mut self,
        reader: &R,
        bundle: &AuditedBundle,
        place: Place,
    ) -> Result<(), Problem> {
        let first = bundle.entries().next().map_or(0, |(index, _)| index);
        for pack in cut(first, bundle.entries().map(|(_, entry)| entry)) {
            self.checked.packs += 1;
            let file = place.read(|| pack::read(reader, &pack));
            let Some(file) = file.map_err(|error| place.unreadable(&error))? else {
                let lacks = pack.named.iter().find(|named| self.erasures.of(named).is_none());
                let detail = format!("{} is missing", pack.path());
                let finding = lacks.map(|named| place.finding(named.index, "pack", &detail));
                finding.into_iter().for_each(|finding| self.findings.add(finding));
                continue;
            };
            match pack::check(&pack, &file, &self.erasures) {
                Ok(bodies) => self.sealed(&pack, &bodies, place).await?,
                Err(fault) => {
                    self.findings.add(place.finding(fault.index, "pack", &fault.to_string()));
                }
            }
        }
        Ok(())
    }

    /// A sealed text is the one that its row has, or opens by itself: more than that nobody can say of it.
    async fn sealed(&mut self, pack: &Pack, bodies: &[Body], place: Place) -> Result<(), Problem> {
        let named = pack.named.iter().filter(|named| named.body.sealed.is_some());
        let named: Vec<_> = named.filter(|named| self.erasures.of(named).is_none()).collect();
        if named.is_empty() {
            return Ok(());
        }
        let subjects = named.iter().filter_map(|named| named.body.sealed.clone()).collect();
        let keys = self.store.subject_keys(subjects).await?;
        let rows = named.iter().map(|named| named.body.hash).collect();
        let rows = self.store.bodies(&rows).await?;
        for named in named {
            let wanted = &named.body;
            let found = bodies.iter().find(|body| body.hash == wanted.hash);
            let known = wanted.sealed.as_ref().is_some_and(|subject| keys.contains_key(subject));
            let good = |body: &Body| {
                rows.get(&wanted.hash) == Some(body) || (known && is_sound(wanted, body, &keys))
            };
            if !found.is_none_or(good) {
                let detail = format!("{} has another sealed text than the row", pack.path());
                self.findings.add(place.finding(named.index, "pack", &detail));
            }
        }
        Ok(())
    }
}

fn count(bundle: &AuditedBundle) -> u64 {
    u64::try_from(bundle.entries().count()).unwrap_or(u64::MAX)
}
