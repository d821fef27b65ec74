//! What the log has erased goes again: a database that was put back from a backup may still have it.

use mesh_schemas::Problem;

use super::loading::Late;
use crate::{
    pack::Erasures,
    seal::SubjectKey,
    store::{Store, WriterLock},
};

/// Erases the texts of subjects whose erasure is in the log, and their keys. What was sealed behind the erasure stays,
/// and so does a key that opens it.
pub(super) async fn erase_again(
    store: &Store,
    lock: &WriterLock,
    erasures: &Erasures,
    late: &Late,
) -> Result<(), Problem> {
    let none = std::collections::BTreeSet::new();
    let mut erased = 0;
    for subject in erasures.0.keys() {
        let kept = late.get(subject).unwrap_or(&none);
        let stored = store.bodies(kept).await?;
        let keys = store.subject_keys([subject.clone()].into()).await?;
        let opens = |key: &SubjectKey| {
            let sealed = |body: &crate::store::Body| Some((body.hash, body.sealed.clone()?));
            let mut sealed = stored.values().filter_map(sealed);
            sealed.any(|(hash, sealed)| key.open(&hash, &sealed).is_some())
        };
        // Where nothing is at hand that was sealed later, the key may be the one that opens it.
        let unknown = !kept.is_empty() && stored.is_empty();
        let old = keys.get(subject).is_some_and(|key| !unknown && !opens(key));
        let doing = "erasing what the log has erased";
        let mut tx = store.begin(lock, doing).await?;
        erased += tx.erase_other_texts(subject, kept).await?;
        if old {
            erased += tx.erase_key(subject).await?;
        }
        tx.commit(doing).await?;
    }
    if erased > 0 {
        store.db.forget_deleted().await?;
    }
    Ok(())
}
