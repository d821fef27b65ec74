//! Texts of recent ideas, as far as they are open.

use std::collections::BTreeSet;

use mesh_ideas_core::parse_leaf;
use mesh_schemas::idea::{IdeaId, Sha256};
use sqlx::FromRow;

use crate::store::{
    Store, StoreError,
    sql::{Query, int, number, parse},
};

#[derive(FromRow)]
struct Begin {
    idx: Option<i64>,
}

#[derive(FromRow)]
struct Row {
    idx: i64,
    id: String,
    data: String,
}

impl Store {
    /// The index of the oldest of so many newest ideas.
    pub(crate) async fn recent_begin(&self, ideas: usize) -> Result<u64, StoreError> {
        let text = "SELECT MIN(n.idx) AS idx FROM \
            (SELECT idx FROM idea ORDER BY idx DESC LIMIT $1) AS n";
        let ideas = u64::try_from(ideas).unwrap_or(u64::MAX);
        let query = Query::new("finding recent ideas", text).count(ideas);
        let rows: Vec<Begin> = self.db.fetch(query).await?;
        let begin = rows.first().and_then(|row| row.idx);
        begin.map_or(Ok(0), |idx| number("idea.idx", idx))
    }

    /// The latest texts of ideas from an index on that are neither sealed nor hidden, oldest first: index, idea, text.
    pub(crate) async fn open_texts(
        &self,
        log: u32,
        from: u64,
        count: usize,
    ) -> Result<Vec<(u64, IdeaId, String)>, StoreError> {
        let text = "SELECT i.idx, i.id, l.data FROM idea i \
            JOIN leaf l ON l.log = $1 AND l.id = i.text_entry \
            WHERE i.sealed IS NULL AND i.title <> '' AND i.idx >= $2 ORDER BY i.idx LIMIT $3";
        let query = Query::new("reading recent texts", text).int(i64::from(log));
        let query = query.int(int(from)).count(u64::try_from(count).unwrap_or(u64::MAX));
        let rows: Vec<Row> = self.db.fetch(query).await?;
        let hash = |row: &Row| {
            let entry = parse_leaf(row.data.as_bytes()).ok()?;
            entry.say.body().map(|body| body.hash)
        };
        let hashes: Vec<Option<Sha256>> = rows.iter().map(hash).collect();
        let wanted: BTreeSet<Sha256> = hashes.iter().copied().flatten().collect();
        let bodies = self.bodies(&wanted).await?;
        let read = |(row, hash): (Row, Option<Sha256>)| {
            let text = hash.and_then(|hash| bodies.get(&hash)?.text.clone()).unwrap_or_default();
            Ok((number("idea.idx", row.idx)?, parse("idea.id", &row.id)?, text))
        };
        rows.into_iter().zip(hashes).map(read).collect()
    }
}
