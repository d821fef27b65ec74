//! Going on where a log cannot: a new origin whose first entry names the old log's last head.
//!
//! Every entry of the old log that is still there is appended to the new one, byte for byte, so that it keeps
//! its id. An entry that was acknowledged is in no spool any more: what neither the rows nor the files have is lost, and
//! so nothing is begun while the files have more than the rows. The old tiles and rows stay as they are.

mod known;

use mesh_fabric::time;
use mesh_ideas_core::{Unsigned, entry::leaf_data, entry_id, sign};
use mesh_schemas::{
    ErrorCode, Problem,
    idea::{Say, Sha256},
};
use mesh_tlog::{Audit, TreeHead, leaf_hash};
use serde::Serialize;

pub use known::{Others, Silent};

use crate::{
    identity::Identity,
    pack::Packer,
    rebuild::{current, signed, trusted},
    registry::{self, Place},
    replay::{self, Parsed},
    store::{Leaf, LogRow, Store, Tx},
    tiles::TileDir,
};

/// What the new log begins with.
#[derive(Debug, Serialize)]
pub struct Restarted {
    /// The new log.
    pub origin: String,
    /// Its verifier key, for those who pin it.
    pub key: String,
    /// The log before.
    pub old_origin: String,
    /// The size of the largest head of it that is known here, at its witnesses and in the object store.
    pub old_size: u64,
    /// The entries of the new log.
    pub entries: u64,
    /// Texts that only the files of the old log had.
    pub texts_added: u64,
}

/// Begins a version of the origin that nobody has seen anything of, with a new key.
///
/// # Errors
/// `E_LOCKED` while a registry runs, `E_NOT_FOUND` without a log, `E_WRONG_STATE` when the files hold more of it than the
/// database, `E_IO`, `E_STORE_DOWN`; `E_LEDGER_DOWN` and
/// `E_OBJECTS_DOWN` when somebody does not answer who must.
pub async fn restart_origin(place: &Place, others: &Others) -> Result<Restarted, Problem> {
    let (store, lock) = registry::open_existing(place).await?;
    let kept = current(&store).await?;
    check_tiles(&store, place, &kept).await?;
    let (old, head) = known::last_head(&store, place, others, &kept).await?;
    let version = known::unseen_version(place, others, &kept).await?;
    let identity = Identity::following(&place.data, &kept, version)?;
    let doing = "beginning the next log";
    let mut tx = store.begin(&lock, doing).await?;
    // The files of the new log are made from the rows: what only those of the old one have comes along.
    let tiles = TileDir::of_log(&place.data, kept.version);
    let texts_added = Packer::new(&store, kept.version, &tiles).put_back(&mut tx).await?;
    tx.insert_log(&identity.row(), time::now()).await?;
    let entries = carry_over(&store, &mut tx, &identity, &kept, (&old, head)).await?;
    tx.commit(doing).await?;
    // Should this process die here, the next start makes them.
    replay::ensure(&store, &lock, identity.version).await?;
    store.close().await;
    let LogRow { origin, key, .. } = identity.row();
    let (old_origin, old_size) = (old, head.size);
    Ok(Restarted { origin, key, old_origin, old_size, entries, texts_added })
}

/// Files that hold more of the log than the database does are better than a new log without it.
async fn check_tiles(store: &Store, place: &Place, kept: &LogRow) -> Result<(), Problem> {
    let tiles = TileDir::of_log(&place.data, kept.version);
    // That there is no checkpoint, or one that cannot be used, is told by whoever looks for the last head.
    let Ok(checkpoint) = signed(&tiles, &trusted(kept)?) else { return Ok(()) };
    let (head, rows) = (checkpoint.head(), store.size(kept.version).await?);
    let whole = || Audit::begin(&tiles, head).is_ok_and(|mut audit| audit.all(|read| read.is_ok()));
    if head.size <= rows || !whole() {
        return Ok(());
    }
    let detail =
        format!("the files hold {} entries of the log, and the database {rows} of them", head.size);
    Err(Problem::new(ErrorCode::WrongState, detail)
        .hint("`mesh-ideas rebuild --from tiles` brings the rows back, and the log goes on"))
}

/// The new log's first entry, and behind it the entries of the old one.
async fn carry_over(
    store: &Store,
    tx: &mut Tx,
    identity: &Identity,
    kept: &LogRow,
    (old_origin, head): (&str, TreeHead),
) -> Result<u64, Problem> {
    let say = Say::Origin {
        old_origin: old_origin.to_owned(),
        old_size: head.size,
        old_root: Sha256(head.root.0),
        key: Some(identity.signer.verifier().to_string()),
    };
    let entry = sign(Unsigned { name: None, time: time::now(), say }, &identity.author_key);
    let data = String::from_utf8_lossy(&leaf_data(&entry)).into_owned();
    let hash = Sha256(leaf_hash(data.as_bytes()).0);
    let first = Leaf { index: 0, id: entry_id(&entry), hash, data };
    tx.insert_leaves(identity.version, &[first]).await?;
    let (mut from, mut size) = (0, 1);
    loop {
        let leaves = replay::leaves(store, kept.version, from).await?;
        if leaves.is_empty() {
            return Ok(size);
        }
        from += u64::try_from(leaves.len()).unwrap_or(u64::MAX);
        // The first entry of a log names the one before; a log has one.
        let carried =
            leaves.into_iter().filter(|p: &Parsed| !matches!(p.entry.say, Say::Origin { .. }));
        let carried: Vec<Leaf> =
            (size..).zip(carried).map(|(index, parsed)| Leaf { index, ..parsed.leaf }).collect();
        size += u64::try_from(carried.len()).unwrap_or(u64::MAX);
        tx.insert_leaves(identity.version, &carried).await?;
    }
}
