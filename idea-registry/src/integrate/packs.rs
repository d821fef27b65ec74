//! At the start: whether the texts lie beside the tiles.

use mesh_schemas::Problem;
use tracing::info;

use crate::{
    pack::Packer,
    publish,
    store::{Cursor, Store, WriterLock},
};

/// The cursor that says that all texts of a log were put beside its tiles: a registry of before did not.
fn cursor_name(version: u32) -> String {
    format!("packs/v{version}")
}

/// Makes all packs of a log, when they were never made or those at its end are gone.
pub(super) async fn ensure(
    store: &Store,
    lock: &WriterLock,
    log: u32,
    packer: &mut Packer,
    size: u64,
) -> Result<(), Problem> {
    let name = cursor_name(log);
    let made = store.cursor(&name).await?.is_some();
    if made && packer.has_edge(size).await? {
        return Ok(());
    }
    let missing = packer.write_all(size).await?;
    info!(entries = size, missing, "Put the texts beside the tiles");
    if made {
        return Ok(());
    }
    let doing = "keeping that the texts are beside the tiles";
    let mut tx = store.begin(lock, doing).await?;
    tx.set_cursor(&name, &Cursor { value: 1, detail: String::new() }).await?;
    if size > 0 {
        // A copy has none of them either: everything is put again.
        let copied = Cursor { value: 0, detail: String::new() };
        tx.set_cursor(&publish::cursor_name(log), &copied).await?;
    }
    Ok(tx.commit(doing).await?)
}
