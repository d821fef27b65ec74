//! Going on where a log cannot: a new origin whose first entry names the old log's last head.
//!
//! Every entry of the old log that is still there is appended to the new one, byte for byte, so that it keeps
//! its id; what was lost comes back from the spools of who said it. The old tiles and rows stay as they are.

use mesh_fabric::{files::write_private, time};
use mesh_ideas_core::{Unsigned, entry::leaf_data, entry_id, sign};
use mesh_schemas::{
    ErrorCode, Problem,
    idea::{Say, Sha256},
};
use mesh_tlog::{Hash, TreeHead, leaf_hash};
use serde::Serialize;

use crate::{
    identity::Identity,
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
    /// The size that its last head is known to have had.
    pub old_size: u64,
    /// The entries of the new log.
    pub entries: u64,
}

/// Begins the next version of the origin.
///
/// # Errors
/// `E_LOCKED` while a registry runs, `E_NOT_FOUND` without a log, `E_IO`, `E_STORE_DOWN`.
pub async fn restart_origin(place: &Place) -> Result<Restarted, Problem> {
    let (store, lock) = registry::open(place).await?;
    let old = current(&store).await?;
    let head = last_head(&store, place, &old).await?;
    keep_old_identity(place, old.version)?;
    let logs = store.logs().await?;
    let identity = Identity::following(&place.data, &logs, place.origin.as_deref())?;
    let doing = "beginning the next log";
    let mut tx = store.begin(&lock, doing).await?;
    tx.insert_log(&identity.row(), time::now()).await?;
    let entries = carry_over(&store, &mut tx, &identity, &old, head).await?;
    tx.commit(doing).await?;
    // Should this process die here, the next start makes them.
    replay::ensure(&store, &lock, identity.version).await?;
    store.close().await;
    let LogRow { origin, key, .. } = identity.row();
    Ok(Restarted { origin, key, old_origin: old.origin, old_size: head.size, entries })
}

/// The largest head of the old log that anybody may have seen.
async fn last_head(store: &Store, place: &Place, old: &LogRow) -> Result<TreeHead, Problem> {
    let mut heads = vec![TreeHead::EMPTY];
    let row = store.last_checkpoint(old.version).await?;
    heads.extend(row.map(|row| TreeHead { size: row.size, root: Hash(row.root.0) }));
    let cosigned = store.cosigned(old.version).await?;
    heads.extend(cosigned.iter().map(|seen| TreeHead { size: seen.size, root: Hash(seen.root.0) }));
    let tiles = TileDir::of_log(&place.data, old.version);
    match signed(&tiles, &trusted(old)?) {
        Ok(checkpoint) => heads.push(checkpoint.head()),
        Err(problem) => tracing::warn!("Going on without the checkpoint on disk: {problem}"),
    }
    Ok(heads.into_iter().max_by_key(|head| head.size).unwrap_or(TreeHead::EMPTY))
}

/// The old key is of no more use, and no harm.
fn keep_old_identity(place: &Place, version: u32) -> Result<(), Problem> {
    let path = place.data.join(format!("identity-v{version}.json"));
    let io = |error: std::io::Error| {
        Problem::new(ErrorCode::Io, format!("cannot keep {}: {error}", path.display()))
    };
    match std::fs::read(place.data.join("identity.json")) {
        Ok(bytes) if !path.exists() => write_private(&path, &bytes).map_err(io),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io(error)),
    }
}

/// The new log's first entry, and behind it the entries of the old one.
async fn carry_over(
    store: &Store,
    tx: &mut Tx,
    identity: &Identity,
    old: &LogRow,
    head: TreeHead,
) -> Result<u64, Problem> {
    let say = Say::Origin {
        old_origin: old.origin.clone(),
        old_size: head.size,
        old_root: Sha256(head.root.0),
    };
    let entry = sign(Unsigned { name: None, time: time::now(), say }, &identity.author_key);
    let data = String::from_utf8_lossy(&leaf_data(&entry)).into_owned();
    let hash = Sha256(leaf_hash(data.as_bytes()).0);
    let first = Leaf { index: 0, id: entry_id(&entry), hash, data };
    tx.insert_leaves(identity.version, &[first]).await?;
    let (mut from, mut size) = (0, 1);
    loop {
        let leaves = replay::leaves(store, old.version, from).await?;
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
