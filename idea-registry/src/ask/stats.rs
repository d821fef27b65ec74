//! Sizes and health.

use mesh_fabric::time;
use mesh_schemas::{Problem, idea::LedgerStats};

use super::Answers;
use crate::publish::cursor_name;

impl Answers {
    pub(super) async fn stats(&self) -> Result<LedgerStats, Problem> {
        let crate::registry::Shared { store, identity, halt, head, unheard, writer, .. } =
            &self.shared;
        let cosigned = store.cosigned(identity.version).await?;
        let published = store.cursor(&cursor_name(identity.version)).await?;
        Ok(LedgerStats {
            origin: identity.origin().to_owned(),
            entries: writer.size(),
            signed: head.latest().map_or(0, |latest| latest.head().size),
            published: published.filter(|_| self.publishes).map_or(0, |cursor| cursor.value),
            witnessed: cosigned.iter().map(|cosigned| cosigned.size).max(),
            ideas: store.count_ideas().await?,
            halted: halt.reason(),
            alarms: unheard.alarm().into_iter().chain(self.behind.alarms(time::now())).collect(),
        })
    }
}
