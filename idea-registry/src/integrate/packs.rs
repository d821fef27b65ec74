//! At the start: whether the texts lie beside the tiles.

use mesh_schemas::Problem;
use tracing::info;

use super::service::Options;
use crate::{
    absent::keep,
    pack::Packer,
    publish,
    store::{Cursor, Store, StoreError, Tx},
};

/// The cursor that says that all texts of a log were put beside its tiles: a registry of before did not.
pub(crate) fn cursor_name(version: u32) -> String {
    format!("packs/v{version}")
}

/// The cursor that says how many entries have their packs, while they are made for the first time.
fn progress_name(version: u32) -> String {
    format!("packing/v{version}")
}

/// After so many entries progress is kept.
const KEEP_EVERY: u64 = 1 << 14;
const DOING: &str = "keeping that the texts are beside the tiles";

/// Makes all packs of a log, when they were never made or those at its end are gone.
pub(super) async fn ensure(
    options: &Options,
    packer: &mut Packer,
    size: u64,
) -> Result<(), Problem> {
    let Options { store, lock, identity, absent, .. } = options;
    let log = identity.version;
    absent.load(store, log).await?;
    let made = store.cursor(&cursor_name(log)).await?.is_some();
    if made && packer.has_edge(size).await? {
        return Ok(());
    }
    let begun = store.cursor(&progress_name(log)).await?.filter(|_| !made);
    let (mut next, mut missing) = match begun {
        Some(begun) => (begun.value, begun.detail.parse().unwrap_or(0)),
        None => (0, 0),
    };
    while next < size {
        let end = size.min(next + KEEP_EVERY);
        missing += packer.write_all(next, end).await?;
        next = end;
        if !made && next < size {
            let mut tx = store.begin(lock, DOING).await?;
            let progress = Cursor { value: next, detail: missing.to_string() };
            tx.set_cursor(&progress_name(log), &progress).await?;
            tx.commit(DOING).await?;
        }
    }
    info!(entries = size, missing, "Put the texts beside the tiles");
    absent.set(missing);
    let mut tx = store.begin(lock, DOING).await?;
    keep(&mut tx, log, missing).await?;
    if !made {
        keep_made(&mut tx, log, size).await?;
    }
    Ok(tx.commit(DOING).await?)
}

/// Keeps that all texts of a log lie beside its tiles.
async fn keep_made(tx: &mut Tx, log: u32, size: u64) -> Result<(), StoreError> {
    tx.set_cursor(&cursor_name(log), &Cursor { value: 1, detail: String::new() }).await?;
    if size > 0 {
        // A copy has none of them either: everything is put again.
        let copied = Cursor { value: 0, detail: String::new() };
        tx.set_cursor(&publish::cursor_name(log), &copied).await?;
    }
    Ok(())
}

/// The same for who has gone through all of it, unless it is known.
pub(crate) async fn keep_packed(
    store: &Store,
    tx: &mut Tx,
    log: u32,
    size: u64,
) -> Result<(), StoreError> {
    match store.cursor(&cursor_name(log)).await? {
        Some(_) => Ok(()),
        None => keep_made(tx, log, size).await,
    }
}
