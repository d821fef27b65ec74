//! Fills a history from what a mesh left: its database, its object store, its nodes' journals and its
//! logs. Nothing here asks the mesh; it may be stopped, broken, or still running.
//!
//! Works on any directory of `mesh up`. The only thing it starts is `mesh-store`, on the directory of the
//! embedded store, when that is not being served; the store removes half-written uploads when it starts.

mod audit;
mod follow;
mod journal;
mod ledger;
mod objects;
mod secrets;
mod sql;

use std::path::{Path, PathBuf};

use anyhow::Context as _;

pub use objects::{ObjectStore, connect};
pub use secrets::Secret;

use crate::history::History;

/// Where to read.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// The data directory.
    pub data: PathBuf,
    /// The database's URL, when it is not the directory's SQLite.
    pub database: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// Secrets beyond those that lie in the directory.
    pub secrets: Vec<Secret>,
}

/// Reads everything.
///
/// # Errors
/// When something that must be there cannot be read at all. What can be read and is wrong is in the
/// history, for the checker to name.
pub async fn read(source: &Source) -> anyhow::Result<History> {
    let data = &source.data;
    let mut history = History::default();
    let summaries = sql::read(source, &mut history).await.context("reading the database")?;
    let store = ObjectStore::of(data).await.context("opening the object store")?;
    history.manifests = follow::follow(&store, &summaries).await.context("reading the store")?;
    for dir in node_dirs(data)? {
        history.journals.extend(journal::read(&dir).with_context(|| dir.display().to_string())?);
    }
    history.audit = audit::read(data)?;
    history.ledger = ledger::read(data).await.context("reading the ledger")?;
    history.scan = Some(secrets::scan(source, &store, &history).await?);
    Ok(history)
}

/// The directories of nodes that have joined.
fn node_dirs(data: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut dirs = Vec::new();
    for entry in std::fs::read_dir(data).with_context(|| data.display().to_string())? {
        let path = entry?.path();
        if journal::is_node(&path) {
            dirs.push(path);
        }
    }
    dirs.sort();
    Ok(dirs)
}
