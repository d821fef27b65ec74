//! Lists of ideas, and finding them by their words or by what they are like.

use std::{cmp::Reverse, collections::BTreeMap, sync::PoisonError};

use mesh_ideas_core::{check::check_tag, near, text::query_words};
use mesh_schemas::{
    ErrorCode, Problem,
    idea::{IdeaId, IdeaQuery, IdeaView, LedgerAnswer, SearchQuery},
};

use super::{Answers, limit};
use crate::store::read::Listing;

/// Rows of a page when nothing is said.
const PAGE: u32 = 100;
/// Rows of a search when nothing is said.
const FOUND: u32 = 20;

impl Answers {
    pub(super) async fn list(&self, query: &IdeaQuery) -> Result<LedgerAnswer, Problem> {
        let limit = limit(query.limit, PAGE)?;
        query.tag.as_deref().map_or(Ok(()), |tag| check_tag("tag", tag))?;
        let before = query.cursor.as_deref().map(cursor).transpose()?;
        let listing = Listing { query, before, limit: limit + 1 };
        let mut items = self.shared.store.list_ideas(&listing).await?;
        let rows = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > rows;
        items.truncate(rows);
        let next = items.last().filter(|_| more).map(|last| last.index.to_string());
        Ok(LedgerAnswer::Ideas { items, next })
    }

    pub(super) async fn search(&self, query: &SearchQuery) -> Result<LedgerAnswer, Problem> {
        let limit = limit(query.limit, FOUND)?;
        let ids = if query.similar {
            self.similar(&query.text, limit)?
        } else {
            let words: Vec<String> = query_words(&query.text).into_iter().collect();
            if words.is_empty() {
                return Err(Problem::invalid("text", "text has no word to look for"));
            }
            self.shared.store.ideas_with(&words, limit).await?
        };
        let items = self.in_order(ids).await?;
        Ok(LedgerAnswer::Ideas { items, next: None })
    }

    /// The ideas in the order of the ids.
    pub(super) async fn in_order(&self, ids: Vec<IdeaId>) -> Result<Vec<IdeaView>, Problem> {
        let views = self.shared.store.ideas(ids.clone()).await?;
        let mut views: BTreeMap<IdeaId, IdeaView> =
            views.into_iter().map(|view| (view.id, view)).collect();
        Ok(ids.iter().filter_map(|id| views.remove(id)).collect())
    }

    /// What is like a text, likest first.
    fn similar(&self, text: &str, limit: u32) -> Result<Vec<IdeaId>, Problem> {
        let wanted = near::near(text);
        if wanted.signature.is_empty() {
            return Err(Problem::invalid("text", "text has no letter or digit to compare by"));
        }
        let index = self.shared.near.read().unwrap_or_else(PoisonError::into_inner);
        let candidates = index.candidates(&wanted);
        let mut found: Vec<(Reverse<u16>, IdeaId)> = candidates
            .map(|(idea, other)| (Reverse(near::likeness(&wanted.signature, other)), idea))
            .collect();
        found.sort_unstable();
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(found.into_iter().map(|(_, idea)| idea).collect())
    }
}

fn cursor(text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_| {
        Problem::new(ErrorCode::Cursor, "cursor is not one that a page ended with").at("cursor")
    })
}
