//! A log with its database, its files and their copy.

use mesh_schemas::{Problem, idea::AuthorId};
use mesh_tlog::{SignedCheckpoint, TreeHead};

use super::{
    Checked, Finding, Findings, Report, files::Place as Where, former, last::Last, logs::Logs,
    texts::Texts,
};
use crate::{
    config::ObjectsConfig,
    pack::Erasures,
    publish::Copy,
    rebuild::signed,
    registry::{Place, snapshot},
    store::{LogRow, Store},
    tiles::TileDir,
};

/// Verifies everything, and changes nothing. A registry may go on meanwhile: what it adds is not looked at.
///
/// Call it on a runtime of several threads.
///
/// # Errors
/// `E_NOT_FOUND` when there is no ledger, `E_STORE_DOWN`, `E_OBJECTS_DOWN`, `E_IO` when a file cannot be read,
/// `E_INTEGRITY` when the pages of the database are damaged, or a row of a key cannot be read. What is wrong with the
/// log is in the report.
pub async fn local(place: &Place, objects: Option<&ObjectsConfig>) -> Result<Report, Problem> {
    let store = snapshot(place).await?;
    store.check_pages().await?;
    let logs = Logs::read(&store, place).await?;
    store.close().await;
    let Logs { current, key, former, authors, findings } = logs;
    let Some(log) = current else { return Ok(unknown(findings)) };
    // The copy, the files and then the rows: each has at least what those before it have, also while a registry goes on.
    let copy = objects.map(|objects| Copy::open(objects, log.version)).transpose()?;
    let copied = match copy.as_ref().zip(key.as_ref().ok()) {
        Some((copy, key)) => Some(copy.checkpoint(key).await),
        None => None,
    };
    let tiles = TileDir::of_log(&place.data, log.version);
    let checkpoint = key.and_then(|key| signed(&tiles, &key));
    let mut run = Run::begin(snapshot(place).await?, log, &authors).await?;
    run.findings = findings;
    let head = run.head(checkpoint);
    run.files(&tiles, head, Where::Disk).await?;
    if let Some((copy, copied)) = copy.zip(copied) {
        run.copy(&copy, copied, (&tiles, head)).await?;
    }
    run.heads(&tiles, head).await?;
    run.rows().await?;
    run.projections().await?;
    let Run { store, checked, findings, log, erasures, .. } = run;
    let mut findings = findings.sorted();
    findings.extend(former::all(place, &store, former, &authors, &erasures).await?);
    store.close().await;
    let (ok, root) = (findings.is_empty(), head.root.to_string());
    Ok(Report { ok, origin: log.origin, signed: head.size, root, checked, findings })
}

/// Of a log that nothing names there is nothing else to say.
fn unknown(findings: Findings) -> Report {
    let (origin, root, checked) = (String::new(), String::new(), Checked::default());
    Report { ok: false, origin, signed: 0, root, checked, findings: findings.sorted() }
}

/// A run through one log.
pub(super) struct Run {
    pub(super) store: Store,
    pub(super) log: LogRow,
    /// Rows of leaves.
    pub(super) size: u64,
    pub(super) erasures: Erasures,
    /// Whose word is the registry's.
    pub(super) registry: Vec<AuthorId>,
    pub(super) checked: Checked,
    pub(super) findings: Findings,
    pub(super) last: Last,
    pub(super) texts: Texts,
    /// Whether the texts were ever put beside the tiles: a registry of before did not.
    pub(super) has_packs: bool,
}

impl Run {
    pub(super) async fn begin(
        store: Store,
        log: LogRow,
        authors: &[AuthorId],
    ) -> Result<Self, Problem> {
        let size = store.size(log.version).await?;
        let erasures = store.erasures(log.version).await?;
        Ok(Self {
            store,
            log,
            size,
            erasures,
            registry: authors.to_vec(),
            checked: Checked::default(),
            findings: Findings::default(),
            last: Last::new(),
            texts: Texts::default(),
            has_packs: true,
        })
    }

    pub(super) fn head(&mut self, checkpoint: Result<SignedCheckpoint, Problem>) -> TreeHead {
        let head = match checkpoint {
            Ok(checkpoint) => checkpoint.head(),
            Err(problem) => {
                self.findings.add(Finding::of("checkpoint", problem.detail));
                TreeHead::EMPTY
            }
        };
        if head.size > self.size {
            let (signed, rows) = (head.size, self.size);
            let detail = format!("{signed} entries are signed, and there are {rows} rows");
            self.findings.add(Finding::at(rows, "leaf", detail));
        }
        head
    }
}
