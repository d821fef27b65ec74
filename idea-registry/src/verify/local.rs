//! A log with its database, its files and their copy.

use mesh_schemas::{Problem, idea::AuthorId};
use mesh_tlog::{SignedCheckpoint, TreeHead};

use super::{
    Checked, Finding, Findings, Report, expected::Expected, files::Place as Where, former,
    texts::Texts,
};
use crate::{
    config::ObjectsConfig,
    identity::Identity,
    pack::Erasures,
    publish::Copy,
    rebuild::{current, signed, trusted},
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
/// `E_INTEGRITY` when the pages of the database are damaged, or a row of the log itself or of a key cannot be read. What is wrong with the log is in the report.
pub async fn local(place: &Place, objects: Option<&ObjectsConfig>) -> Result<Report, Problem> {
    let store = snapshot(place).await?;
    store.check_pages().await?;
    let log = current(&store).await?;
    store.close().await;
    // The copy, the files and then the rows: each has at least what those before it have, also while a registry goes on.
    let key = trusted(&log)?;
    let copy = objects.map(|objects| Copy::open(objects, log.version)).transpose()?;
    let copied = match &copy {
        Some(copy) => Some(copy.checkpoint(&key).await),
        None => None,
    };
    let tiles = TileDir::of_log(&place.data, log.version);
    let checkpoint = signed(&tiles, &key);
    let mut run = Run::begin(snapshot(place).await?, log).await?;
    let head = run.head(checkpoint);
    run.log_row(place)?;
    run.files(&tiles, head, Where::Disk).await?;
    if let Some((copy, copied)) = copy.zip(copied) {
        run.copy(&copy, copied, (&tiles, head)).await?;
    }
    run.heads(&tiles, head).await?;
    run.rows().await?;
    run.projections().await?;
    let Run { store, checked, findings, log, erasures, .. } = run;
    let mut findings = findings.sorted();
    findings.extend(former::all(place, &store, &erasures).await?);
    store.close().await;
    let (ok, root) = (findings.is_empty(), head.root.to_string());
    Ok(Report { ok, origin: log.origin, signed: head.size, root, checked, findings })
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
    pub(super) expected: Expected,
    pub(super) texts: Texts,
    /// Whether the texts were ever put beside the tiles: a registry of before did not.
    pub(super) has_packs: bool,
}

impl Run {
    pub(super) async fn begin(store: Store, log: LogRow) -> Result<Self, Problem> {
        let registry = store.logs().await?.iter().map(|log| log.author).collect();
        let size = store.size(log.version).await?;
        let erasures = store.erasures(log.version).await?;
        Ok(Self {
            store,
            log,
            size,
            erasures,
            registry,
            checked: Checked::default(),
            findings: Findings::default(),
            expected: Expected::default(),
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

    /// The row of the log names the keys that lie beside it.
    fn log_row(&mut self, place: &Place) -> Result<(), Problem> {
        let file = Identity::of_file(&place.data, &[])?;
        // Of a log that was put back the file may be of a later one: the registry does not start then.
        let other = file.filter(|file| file.version == self.log.version);
        if other.is_some_and(|file| file.row() != self.log) {
            let detail = "the row of the log has another origin, key or author than identity.json";
            self.findings.add(Finding::of("log", detail));
        }
        Ok(())
    }
}
