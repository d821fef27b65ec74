//! Going through a whole log, trusting nothing: tiles and root, entries and signatures, and with a data
//! directory also rows, texts and projections. Names the first entry that is bad.

mod entry;
mod local;
mod projections;
mod remote;

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
    /// Rows of leaves.
    pub leaves: u64,
    /// Signatures of authors.
    pub signatures: u64,
    /// Texts beside the log.
    pub bodies: u64,
    /// Rows of checkpoints.
    pub checkpoints: u64,
    /// Rows of projections.
    pub projections: u64,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The first bad entry; absent where no entry is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// `checkpoint`, `tile`, `entry`, `leaf`, `body` or `projection`.
    pub what: &'static str,
    /// In words.
    pub detail: String,
}

impl Finding {
    pub(crate) fn at(index: u64, what: &'static str, detail: impl Into<String>) -> Self {
        Self { index: Some(index), what, detail: detail.into() }
    }

    pub(crate) fn of(what: &'static str, detail: impl Into<String>) -> Self {
        Self { index: None, what, detail: detail.into() }
    }
}

/// Findings, of each kind the first.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    pub(crate) fn add(&mut self, finding: Finding) {
        if !self.0.iter().any(|known| known.what == finding.what) {
            self.0.push(finding);
        }
    }

    pub(crate) fn sorted(mut self) -> Vec<Finding> {
        self.0.sort_by_key(|finding| finding.index.unwrap_or(u64::MAX));
        self.0
    }
}
