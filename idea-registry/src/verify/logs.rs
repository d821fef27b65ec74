//! Which logs there are: their rows, and where the current one's cannot be read, the identity that lies beside it.

use mesh_schemas::{ErrorCode, Problem, idea::AuthorId};
use mesh_tlog::TrustedLog;

use super::{Finding, Findings};
use crate::{
    identity::Identity,
    rebuild::trusted,
    registry::Place,
    store::{LogRow, Store},
};

/// The logs, as far as anything says which they are.
pub(super) struct Logs {
    /// The one that goes on; none when neither its row nor a file names it.
    pub(super) current: Option<LogRow>,
    /// What its head is believed by.
    pub(super) key: Result<TrustedLog, Problem>,
    /// Those that were left for it, oldest first.
    pub(super) former: Vec<LogRow>,
    /// Whose word is the registry's.
    pub(super) authors: Vec<AuthorId>,
    /// What is wrong with the rows.
    pub(super) findings: Findings,
}

impl Logs {
    /// Reads the table.
    ///
    /// # Errors
    /// `E_NOT_FOUND` when it has no row; `E_STORE_DOWN`, `E_CONFIG` and `E_IO` when the identity cannot be read.
    pub(super) async fn read(store: &Store, place: &Place) -> Result<Self, Problem> {
        let records = store.log_records().await?;
        if records.is_empty() {
            return Err(Problem::new(ErrorCode::NotFound, "the database has no log")
                .hint("`mesh-ideas serve` begins one"));
        }
        let (mut rows, mut findings) = (Vec::new(), Findings::default());
        for record in records {
            match LogRow::try_from(record) {
                Ok(row) => rows.push(row),
                Err(error) => findings.add(Finding::of("log", error.to_string())),
            }
        }
        let file = Identity::of_file(&place.data, &[])?.map(|identity| identity.row());
        // Of a log that was put back the file may be of a later one: only where a row is lost it stands for that.
        let is_lost = |file: &LogRow| rows.last().is_none_or(|last| last.version < file.version);
        match file {
            Some(file) if !findings.is_empty() && is_lost(&file) => rows.push(file),
            Some(file) => rows.iter_mut().for_each(|row| compare(row, &file, &mut findings)),
            None => {}
        }
        let authors = rows.iter().map(|row| row.author).collect();
        let current = rows.pop();
        let key = current.as_ref().map_or_else(|| Err(no_log()), trusted);
        if let Err(problem) = &key {
            findings.add(Finding::of("log", problem.detail.clone()));
        }
        Ok(Self { current, key, former: rows, authors, findings })
    }
}

/// The row of the log that the file is of; what it lacks to verify the log, the file has.
fn compare(row: &mut LogRow, file: &LogRow, findings: &mut Findings) {
    if row.version != file.version || row == file {
        return;
    }
    let detail = "the row of the log has another origin, key or author than identity.json";
    findings.add(Finding::of("log", detail));
    if trusted(row).is_err() {
        row.clone_from(file);
    }
}

fn no_log() -> Problem {
    Problem::new(ErrorCode::Integrity, "nothing says which log is the current one")
}
