//! What belongs to an idea, page by page: a large one does not fit a message.

use mesh_ideas_core::ledger::EdgeKey;
use mesh_schemas::{
    ErrorCode, JobId, Problem,
    idea::{EdgeQuery, LedgerAnswer, PartQuery},
};

use super::{
    Answers,
    idea::edge_view,
    idea::{fitting, parsed},
    limit,
};

/// Rows of a page when nothing is said.
const PAGE: u32 = 100;

impl Answers {
    /// The entries about an idea, in the order of the log.
    pub(super) async fn about(&self, query: &PartQuery) -> Result<LedgerAnswer, Problem> {
        let PartQuery { idea, cursor, limit: wanted } = query;
        let limit = limit(*wanted, PAGE)?;
        self.must_exist(*idea).await?;
        let from: Option<u64> = cursor.as_deref().map(place).transpose()?;
        let (log, store) = (self.shared.identity.version, &self.shared.store);
        let from = from.map_or(0, |last| last.saturating_add(1));
        let mut stored = store.entries_from(log, *idea, from, limit + 1).await?;
        let more = stored.len() > rows(limit);
        stored.truncate(rows(limit));
        let fits = fitting(stored.iter());
        let more = more || fits < stored.len();
        stored.truncate(fits);
        let mut items = stored.iter().map(parsed).collect::<Result<Vec<_>, _>>()?;
        self.add_texts(&mut items, &stored, 0).await?;
        let next = items.last().filter(|_| more).map(|last| last.index.to_string());
        Ok(LedgerAnswer::About { items, next })
    }

    /// Edges, by the idea that they come from.
    pub(super) async fn edges(&self, query: &EdgeQuery) -> Result<LedgerAnswer, Problem> {
        let EdgeQuery { idea, cursor, limit: wanted } = query;
        let limit = limit(*wanted, PAGE)?;
        if let Some(idea) = idea {
            self.must_exist(*idea).await?;
        }
        let behind = cursor.as_deref().map(edge).transpose()?;
        let mut found = self.shared.store.edges(*idea, behind, limit + 1).await?;
        let more = found.len() > rows(limit);
        found.truncate(rows(limit));
        let next = found.last().filter(|_| more).map(|(key, _)| {
            let EdgeKey { from, relation, to } = key;
            format!("{from}.{relation}.{to}")
        });
        Ok(LedgerAnswer::Edges { items: found.into_iter().map(edge_view).collect(), next })
    }

    /// The jobs of an idea, newest first.
    pub(super) async fn jobs(&self, query: &PartQuery) -> Result<LedgerAnswer, Problem> {
        let PartQuery { idea, cursor, limit: wanted } = query;
        let limit = limit(*wanted, PAGE)?;
        self.must_exist(*idea).await?;
        let before: Option<JobId> = cursor.as_deref().map(place).transpose()?;
        let mut items = self.shared.store.jobs_of(*idea, before, limit + 1).await?;
        let more = items.len() > rows(limit);
        items.truncate(rows(limit));
        let next = items.last().filter(|_| more).map(|last| last.job.to_string());
        Ok(LedgerAnswer::Jobs { items, next })
    }
}

/// The place that a page ended at.
fn place<T: std::str::FromStr>(cursor: &str) -> Result<T, Problem> {
    cursor.parse().map_err(|_| strange())
}

fn edge(cursor: &str) -> Result<EdgeKey, Problem> {
    let mut parts = cursor.split('.');
    let (Some(from), Some(relation), Some(to), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(strange());
    };
    Ok(EdgeKey { from: place(from)?, relation: place(relation)?, to: place(to)? })
}

fn strange() -> Problem {
    Problem::new(ErrorCode::Cursor, "cursor is not one that a page ended with").at("cursor")
}

fn rows(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}
