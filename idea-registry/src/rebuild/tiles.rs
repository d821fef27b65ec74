//! Rows from files: those on disk, or the copy in the object store.

use mesh_schemas::{ErrorCode, Problem};
use mesh_tlog::{Audit, TreeHead};

use super::{
    Rebuilt, erased, fetch, keep_checkpoint, keep_texts, loading::Loading, projections, signed,
};
use crate::{
    config::ObjectsConfig,
    identity::Identity,
    pack::Erasures,
    publish::Copy,
    registry::{self, Place},
    store::{Store, WriterLock},
    tiles::TileDir,
};

/// From tiles, bundles and packs, which the signed checkpoint on disk speaks for: rows of leaves and texts that are
/// missing, and all projections. Rows of leaves that are there must be the same. Keys of sealed texts are in no file:
/// those that the database has stay, but for those that the log has destroyed.
///
/// # Errors
/// `E_LOCKED` while a registry runs, `E_NOT_FOUND` without the registry's key or a checkpoint, `E_INTEGRITY` naming the tile, bundle
/// or pack that is damaged; `E_STORE_DOWN`, `E_IO`.
pub async fn from_tiles(place: &Place) -> Result<Rebuilt, Problem> {
    let identity = kept(place)?;
    let tiles = TileDir::of_log(&place.data, identity.version);
    // Nothing is made for files that are not there.
    signed(&tiles, &identity.trusted()?)?;
    let (store, lock) = registry::open(place).await?;
    rows(place, &store, &lock, &tiles).await
}

/// From the copy in the object store: the files on disk anew, and from these the rows, as [`from_tiles`] makes them.
///
/// # Errors
/// As [`from_tiles`]; `E_OBJECTS_DOWN`, and `E_WRONG_STATE` when the files on disk are of a larger head than the copy.
pub async fn from_objects(place: &Place, objects: &ObjectsConfig) -> Result<Rebuilt, Problem> {
    let identity = kept(place)?;
    let log = identity.trusted()?;
    let copy = Copy::open(objects, identity.version)?;
    let (note, checkpoint) = copy.checkpoint(&log).await?.ok_or_else(|| {
        let detail = format!("the object store has no checkpoint of {}", identity.origin());
        Problem::new(ErrorCode::NotFound, detail)
    })?;
    let (store, lock) = registry::open(place).await?;
    let tiles = TileDir::of_log(&place.data, identity.version);
    check_older(&tiles, signed(&tiles, &log).ok().map(|disk| disk.head()), checkpoint.head())?;
    tokio::task::block_in_place(|| fetch::all(&copy, &note, checkpoint.head(), &tiles))?;
    rows(place, &store, &lock, &tiles).await
}

async fn rows(
    place: &Place,
    store: &Store,
    lock: &WriterLock,
    tiles: &TileDir,
) -> Result<Rebuilt, Problem> {
    // It begins the log when the database is empty.
    let identity = Identity::open(&place.data, place.origin.as_deref(), store, lock).await?;
    let version = identity.version;
    let head = signed(tiles, &identity.trusted()?)?.head();
    // All of it is gone through once before anything is written.
    let mut erasures = erasures(tiles, head)?;
    // Rows behind the signed head are of the log as well.
    erasures.merge(store.erasures(version).await?);
    let mut loading = Loading::new(store, lock, version, tiles, &erasures);
    for bundle in Audit::begin(tiles, head).map_err(|error| damaged(&error))? {
        loading.bundle(&bundle.map_err(|error| damaged(&error))?).await?;
    }
    loading.unsigned(head.size).await?;
    let packed = loading.is_packed();
    let (added, late) = loading.finish();
    erased::erase_again(store, lock, &erasures, &late).await?;
    keep_checkpoint(store, lock, version, head).await?;
    keep_texts(store, lock, version, (head.size, added.texts_missing), packed).await?;
    let entries = projections(store, lock, version).await?;
    store.close().await;
    let origin = identity.origin().to_owned();
    Ok(Rebuilt { origin, entries, signed: head.size, ..added })
}

/// The registry's own key: without it nobody can say whose files these are.
fn kept(place: &Place) -> Result<Identity, Problem> {
    Identity::of_file(&place.data, &[])?.ok_or_else(|| {
        let detail = format!("there is no key of a log in {}", place.data.display());
        Problem::new(ErrorCode::NotFound, detail)
            .at("data")
            .hint("put `identity.json` back from a backup; nothing was made")
    })
}

fn check_older(tiles: &TileDir, disk: Option<TreeHead>, copy: TreeHead) -> Result<(), Problem> {
    match disk.filter(|disk| disk.size > copy.size) {
        Some(disk) => {
            let (at, ours, theirs) = (tiles.path().display(), disk.size, copy.size);
            let detail =
                format!("{at} has a checkpoint of {ours} entries, and the copy one of {theirs}");
            Err(Problem::new(ErrorCode::WrongState, detail)
                .hint("`mesh-ideas rebuild --from tiles` takes what is on disk; move it away if it is damaged"))
        }
        None => Ok(()),
    }
}

fn erasures(tiles: &TileDir, head: TreeHead) -> Result<Erasures, Problem> {
    let mut erasures = Erasures::default();
    for bundle in Audit::begin(tiles, head).map_err(|error| damaged(&error))? {
        let bundle = bundle.map_err(|error| damaged(&error))?;
        bundle.entries().for_each(|(index, entry)| erasures.look_at(index, entry));
    }
    Ok(erasures)
}

pub(super) fn damaged<E: std::error::Error + 'static>(error: &mesh_tlog::AuditError<E>) -> Problem {
    Problem::new(ErrorCode::Integrity, mesh_fabric::error::chain(error))
}
