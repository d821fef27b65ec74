//! Going through a whole log, trusting nothing: tiles and root, entries and signatures, and with a data
//! directory also texts, keys, rows and projections, and the copy in the object store. Names the first entry that is bad.

mod digest;
mod entry;
mod files;
mod follow;
mod former;
mod heads;
mod last;
mod local;
mod logs;
mod named;
mod remote;
mod rows;
mod says;
mod tables;
mod texts;

use serde::Serialize;

pub use local::local;
pub use remote::{Remote, remote};

/// What was found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Nothing is wrong.
    pub ok: bool,
    /// The log.
    pub origin: String,
    /// Size of the signed checkpoint.
    pub signed: u64,
    /// Its root, base64.
    pub root: String,
    /// What was looked at.
    pub checked: Checked,
    /// What is wrong, by index; of each kind the first.
    pub findings: Vec<Finding>,
}

/// How much was looked at.
#[derive(Debug, Default, Serialize)]
pub struct Checked {
    /// Entries in bundles.
    pub entries: u64,
    /// Packs of texts beside the bundles.
    pub packs: u64,
    /// Entries in the bundles of the copy in the object store.
    pub copied: u64,
    /// Rows of leaves.
    pub leaves: u64,
    /// Signatures of authors.
    pub signatures: u64,
    /// Texts in rows.
    pub bodies: u64,
    /// Rows of checkpoints.
    pub checkpoints: u64,
    /// Rows of cosignatures.
    pub cosignatures: u64,
    /// Rows of projections.
    pub projections: u64,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The first bad entry; absent where no entry is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// `log`, `checkpoint`, `cosignature`, `tile`, `pack`, `copy`, `entry`, `leaf`, `body`, `key` or `projection`.
    pub what: &'static str,
    /// Of a projection, its table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<&'static str>,
    /// In words.
    pub detail: String,
}

impl Finding {
    pub(crate) fn at(index: u64, what: &'static str, detail: impl Into<String>) -> Self {
        Self { index: Some(index), ..Self::of(what, detail) }
    }

    pub(crate) fn of(what: &'static str, detail: impl Into<String>) -> Self {
        Self { index: None, what, table: None, detail: detail.into() }
    }
}

/// Findings, of each kind the first in the log.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    pub(crate) fn add(&mut self, finding: Finding) {
        let place = |finding: &Finding| finding.index.unwrap_or(u64::MAX);
        let same =
            |known: &&mut Finding| known.what == finding.what && known.table == finding.table;
        match self.0.iter_mut().find(same) {
            Some(known) if place(&finding) < place(known) => *known = finding,
            Some(_) => {}
            None => self.0.push(finding),
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn sorted(mut self) -> Vec<Finding> {
        self.0.sort_by_key(|finding| finding.index.unwrap_or(u64::MAX));
        self.0
    }
}
