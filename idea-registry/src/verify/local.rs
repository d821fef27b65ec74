//! A log with its database and its files.

use std::collections::BTreeSet;

use mesh_ideas_core::body_hash;
use mesh_schemas::{
    Problem,
    idea::{AuthorId, BodyRef, Sha256},
};
use mesh_tlog::{Audit, AuditError, Prover, TILE_WIDTH, TreeHead, leaf_hash};

use super::{Checked, Finding, Findings, Report, entry, projections::Projections};
use crate::{
    rebuild::{current, signed, trusted},
    registry::{Place, open_store},
    replay::{Beside, Parsed},
    store::{Body, Keys, Leaf, Store},
    tiles::TileDir,
};

/// Verifies everything. A registry may go on meanwhile: what it adds is not looked at.
///
/// # Errors
/// `E_STORE_DOWN`, `E_NOT_FOUND` when there is no log, `E_IO` when a file cannot be read. What is wrong with the
/// log is in the report.
pub async fn local(place: &Place) -> Result<Report, Problem> {
    let store = open_store(&place.database, &place.login).await?;
    let log = current(&store).await?;
    let tiles = TileDir::of_log(&place.data, log.version);
    let authors: Vec<AuthorId> = store.logs().await?.iter().map(|log| log.author).collect();
    let size = store.size(log.version).await?;
    let mut run = Run {
        log: log.version,
        registry: authors,
        checked: Checked::default(),
        findings: Findings::default(),
        projections: Projections::default(),
        store,
        size,
    };
    let head = match signed(&tiles, &trusted(&log)?) {
        Ok(checkpoint) => checkpoint.head(),
        Err(problem) => {
            run.findings.add(Finding::of("checkpoint", problem.detail));
            TreeHead::EMPTY
        }
    };
    run.tiles(&tiles, head).await?;
    run.checkpoints(&tiles, head).await?;
    run.rows().await?;
    run.projections().await?;
    run.store.close().await;
    let Run { checked, findings, .. } = run;
    let findings = findings.sorted();
    let (ok, root) = (findings.is_empty(), head.root.to_string());
    Ok(Report { ok, origin: log.origin, signed: head.size, root, checked, findings })
}

struct Run {
    store: Store,
    log: u32,
    size: u64,
    registry: Vec<AuthorId>,
    checked: Checked,
    findings: Findings,
    projections: Projections,
}

impl Run {
    /// Every tile and bundle under the signed root, and the rows of the leaves beside them.
    async fn tiles(&mut self, tiles: &TileDir, head: TreeHead) -> Result<(), Problem> {
        if head.size > self.size {
            let (signed, rows) = (head.size, self.size);
            let detail = format!("{signed} entries are signed, and there are {rows} rows");
            self.findings.add(Finding::at(rows, "leaf", detail));
        }
        let audit = match Audit::begin(tiles, head) {
            Ok(audit) => audit,
            Err(error) => return self.fault(&error),
        };
        for bundle in audit {
            let bundle = match bundle {
                Ok(bundle) => bundle,
                Err(error) => return self.fault(&error),
            };
            let first = bundle.entries().next().map_or(0, |(index, _)| index);
            let rows = self.store.leaves(self.log, first, u64::from(TILE_WIDTH)).await?;
            let mut rows = rows.into_iter();
            for (index, bytes) in bundle.entries() {
                self.checked.entries += 1;
                let row = rows.next().filter(|row| row.index == index);
                if row.is_none_or(|row| row.data.as_bytes() != bytes) {
                    let detail = "the row is missing or is not the entry that was signed";
                    self.findings.add(Finding::at(index, "leaf", detail));
                }
            }
        }
        Ok(())
    }

    fn fault(&mut self, error: &AuditError<std::io::Error>) -> Result<(), Problem> {
        match error {
            AuditError::Found(found) => {
                self.findings.add(Finding::at(found.index, "tile", found.to_string()));
                Ok(())
            }
            AuditError::Read { .. } => {
                Err(Problem::new(mesh_schemas::ErrorCode::Io, mesh_fabric::error::chain(error)))
            }
        }
    }

    /// Every row of a checkpoint is of this tree.
    async fn checkpoints(&mut self, tiles: &TileDir, head: TreeHead) -> Result<(), Problem> {
        let mut prover = Prover::new(tiles, head);
        for row in self.store.checkpoints(self.log).await? {
            self.checked.checkpoints += 1;
            // One that is larger was kept, and not published before this run began or the process died.
            if row.size > head.size {
                continue;
            }
            let root = prover.root_at(row.size).ok();
            if root.is_some_and(|root| root.0 != row.root.0) {
                let detail = format!("the checkpoint of {} entries has another root", row.size);
                self.findings.add(Finding::at(row.size.saturating_sub(1), "checkpoint", detail));
            }
        }
        Ok(())
    }

    /// Every row of a leaf, its entry, its signature and its text.
    async fn rows(&mut self) -> Result<(), Problem> {
        let mut next = 0;
        while next < self.size {
            let rows = self.store.leaves(self.log, next, u64::from(TILE_WIDTH)).await?;
            let (mut sound, size, first) = (Vec::new(), self.size, next);
            for row in rows.into_iter().take_while(|row| row.index < size) {
                if row.index != next {
                    self.findings.add(Finding::at(next, "leaf", "the row is missing"));
                }
                next = row.index + 1;
                sound.extend(self.row(row));
            }
            if next == first {
                self.findings.add(Finding::at(next, "leaf", "the row is missing"));
                break;
            }
            self.bodies(&sound).await?;
            let beside = Beside::load(&self.store, &sound).await?;
            self.projections.take_in(&sound, &beside, &mut self.findings);
        }
        Ok(())
    }

    fn row(&mut self, row: Leaf) -> Option<Parsed> {
        self.checked.leaves += 1;
        if leaf_hash(row.data.as_bytes()).0 != row.hash.0 {
            self.findings.add(Finding::at(
                row.index,
                "leaf",
                "the row's hash is not that of its data",
            ));
        }
        let entry = match entry::sound(row.data.as_bytes(), &mut self.registry) {
            Ok(entry) => entry,
            Err(detail) => {
                self.findings.add(Finding::at(row.index, "entry", detail));
                return None;
            }
        };
        self.checked.signatures += 1;
        if !entry::has_id(&entry, row.id) {
            self.findings.add(Finding::at(
                row.index,
                "leaf",
                "the row's id is not that of its entry",
            ));
        }
        Some(Parsed { leaf: row, entry })
    }

    /// The texts of these entries are those that they name.
    async fn bodies(&mut self, leaves: &[Parsed]) -> Result<(), Problem> {
        let named = leaves.iter().filter_map(|parsed| parsed.entry.say.body());
        let hashes: BTreeSet<Sha256> = named.clone().map(|body| body.hash).collect();
        let subjects = named.filter_map(|body| body.sealed.clone()).collect();
        let bodies = self.store.bodies(&hashes).await?;
        let keys = self.store.subject_keys(subjects).await?;
        for Parsed { leaf, entry } in leaves {
            let Some(wanted) = entry.say.body() else { continue };
            self.checked.bodies += 1;
            if let Err(detail) = check_body(wanted, bodies.get(&wanted.hash), &keys) {
                self.findings.add(Finding::at(leaf.index, "body", detail));
            }
        }
        Ok(())
    }

    async fn projections(&mut self) -> Result<(), Problem> {
        // Compared at one size: a registry that goes on has projected more.
        if self.store.size(self.log).await? != self.size {
            return Ok(());
        }
        self.checked.projections =
            self.projections.compare(&self.store, &mut self.findings).await?;
        Ok(())
    }
}

fn check_body(wanted: &BodyRef, body: Option<&Body>, keys: &Keys) -> Result<(), &'static str> {
    let Some(body) = body else {
        // Erased with its subject's key.
        return if wanted.sealed.is_some() { Ok(()) } else { Err("the text is missing") };
    };
    let differs = "the text is not the one whose hash the entry names";
    let found = match (&body.text, &body.sealed, &wanted.sealed) {
        (Some(text), _, None) => body_hash(text, None),
        (None, Some(sealed), Some(subject)) => {
            let key = keys.get(subject).ok_or("the subject's key is gone and its text is not")?;
            let opened = key.open(&wanted.hash, sealed).ok_or("the sealed text does not open")?;
            body_hash(&opened.text, Some(&opened.salt))
        }
        _ => return Err("the text is sealed and should not be, or the other way round"),
    };
    if found == wanted.hash { Ok(()) } else { Err(differs) }
}
