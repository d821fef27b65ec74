//! Texts that entries name, that were not erased, and that are in no row and no file: somebody should look for a backup.

use std::sync::{Arc, Mutex, PoisonError};

use crate::store::{Cursor, Store, StoreError, Tx, WriterLock};

/// How many there are; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Absent(Arc<Mutex<u64>>);

/// The cursor that keeps how many a log has, until somebody goes through all of it again.
fn cursor_name(log: u32) -> String {
    format!("absent/v{log}")
}

impl Absent {
    /// What was found before.
    pub(crate) async fn load(&self, store: &Store, log: u32) -> Result<(), StoreError> {
        let known = store.cursor(&cursor_name(log)).await?;
        self.set(known.map_or(0, |cursor| cursor.value));
        Ok(())
    }

    /// There are so many more.
    pub(crate) async fn add(
        &self,
        store: &Store,
        lock: &WriterLock,
        log: u32,
        more: u64,
    ) -> Result<(), StoreError> {
        let count = self.count() + more;
        self.set(count);
        let doing = "keeping how many texts are missing";
        let mut tx = store.begin(lock, doing).await?;
        keep(&mut tx, log, count).await?;
        tx.commit(doing).await
    }

    /// All of the log was gone through, and there are so many.
    pub(crate) fn set(&self, count: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = count;
        metrics::gauge!("mesh_ideas_texts_missing").set(crate::metrics::float(count));
    }

    fn count(&self) -> u64 {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What somebody should look at.
    pub(crate) fn alarm(&self) -> Option<String> {
        let count = self.count();
        (count > 0).then(|| {
            format!(
                "{count} texts are in no row and no file: `mesh-ideas verify` names the first; put a backup back, \
                 then `mesh-ideas rebuild`"
            )
        })
    }
}

/// Keeps how many there are, after all of the log was gone through.
pub(crate) async fn keep(tx: &mut Tx, log: u32, count: u64) -> Result<(), StoreError> {
    let cursor = Cursor { value: count, detail: String::new() };
    tx.set_cursor(&cursor_name(log), &cursor).await
}
