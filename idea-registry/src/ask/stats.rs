//! Sizes and health.

use std::time::Instant;

use mesh_fabric::time;
use mesh_schemas::{Problem, idea::LedgerStats};

use super::Answers;
use crate::publish::cursor_name;

impl Answers {
    pub(super) async fn stats(&self) -> Result<LedgerStats, Problem> {
        let crate::registry::Shared {
            store, identity, halt, unheard, absent, health, writer, ..
        } = &self.shared;
        let alarms = unheard
            .alarm()
            .into_iter()
            .chain(absent.alarm())
            .chain(self.behind.alarms(time::now()));
        let cosigned = store.cosigned(identity.version).await?;
        let published = store.cursor(&cursor_name(identity.version)).await?;
        Ok(LedgerStats {
            origin: identity.origin().to_owned(),
            entries: writer.size(),
            signed: self.shared.signed(),
            published: published.filter(|_| self.publishes).map_or(0, |cursor| cursor.value),
            witnessed: cosigned.iter().map(|cosigned| cosigned.size).max(),
            ideas: store.count_ideas().await?,
            halted: halt.reason(),
            alarms: alarms.chain(health.alarms(Instant::now())).collect(),
        })
    }
}
