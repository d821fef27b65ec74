//! What the log has erased goes again: a database that was put back from a backup may still have it.

use std::collections::BTreeSet;

use mesh_fabric::error::chain;
use mesh_schemas::{Problem, idea::Sha256};
use tracing::warn;

use super::loading::Late;
use crate::{
    pack::Erasures,
    seal::SubjectKey,
    store::{Body, Store, WriterLock},
};

/// Erases the texts of subjects whose erasure is in the log, and their keys. What was sealed behind the erasure stays,
/// and so does a key that may open it.
pub(super) async fn erase_again(
    store: &Store,
    lock: &WriterLock,
    erasures: &Erasures,
    late: &Late,
) -> Result<(), Problem> {
    let none = BTreeSet::new();
    for subject in erasures.0.keys() {
        let kept = late.get(subject).unwrap_or(&none);
        let key = store.subject_keys([subject.clone()].into()).await?.remove(subject);
        let is_old = match &key {
            Some(key) => is_old(key, &store.bodies_of(subject).await?, kept),
            None => false,
        };
        let doing = "erasing what the log has erased";
        let mut tx = store.begin(lock, doing).await?;
        tx.erase_other_texts(subject, kept).await?;
        if is_old {
            tx.erase_key(subject).await?;
        }
        tx.commit(doing).await?;
    }
    // Also when a former run has erased it, and ended before this.
    if !erasures.0.is_empty()
        && let Err(error) = store.db.forget_deleted().await
    {
        warn!("The registry's next start does it: {}", chain(&error));
    }
    Ok(())
}

/// A key goes on proof: nothing that it may open stays, or it opens what was erased. That it opens nothing of what stays is
/// none, as that may be damaged.
fn is_old(key: &SubjectKey, bodies: &[Body], kept: &BTreeSet<Sha256>) -> bool {
    let opens = |body: &&Body| {
        body.sealed.as_ref().is_some_and(|sealed| key.open(&body.hash, sealed).is_some())
    };
    let (kept_ones, others): (Vec<&Body>, Vec<&Body>) =
        bodies.iter().partition(|body| kept.contains(&body.hash));
    let opens_any = |bodies: Vec<&Body>| bodies.iter().any(opens);
    kept.is_empty() || (!opens_any(kept_ones) && opens_any(others))
}
