//! Edges, and which ideas confirmed ones lead to.

use std::collections::{BTreeMap, BTreeSet};

use mesh_ideas_core::ledger::{EdgeKey, EdgeRow, Ledger};
use mesh_schemas::idea::{IdeaId, Relation};
use sqlx::FromRow;

use super::Touched;
use crate::store::{
    StoreError, Tx,
    sql::{Dialects, Query, from_rows, number, parse},
};

#[derive(FromRow)]
pub(crate) struct Row {
    relation: String,
    source: String,
    target: String,
    proposed: i64,
    likeness: Option<i64>,
}

const LOAD: Dialects = from_rows!(
    "SELECT e.relation, e.source, e.target, e.proposed, e.likeness FROM edge e \
     WHERE (e.source, e.relation, e.target) IN (SELECT r.value->>0, r.value->>1, r.value->>2",
    ")"
);
/// The edges of one relation (`$2`) from each idea that confirmed ones lead to.
const LOAD_REACH: Dialects = Dialects {
    sqlite: "WITH RECURSIVE reached (idea) AS ( \
            SELECT r.value->>0 FROM jsonb_each($1) AS r \
            UNION SELECT e.target FROM edge e JOIN reached ON e.source = reached.idea \
            WHERE e.relation = $2 AND e.proposed = 0) \
        SELECT e.relation, e.source, e.target, e.proposed, e.likeness \
        FROM reached JOIN edge e ON e.source = reached.idea AND e.relation = $2",
    postgres: "WITH RECURSIVE reached (idea) AS ( \
            SELECT (r.value->>0) COLLATE \"C\" FROM jsonb_array_elements($1::jsonb) AS r(value) \
            UNION SELECT e.target FROM edge e JOIN reached ON e.source = reached.idea \
            WHERE e.relation = $2 AND e.proposed = 0) \
        SELECT e.relation, e.source, e.target, e.proposed, e.likeness \
        FROM reached JOIN edge e ON e.source = reached.idea AND e.relation = $2",
};
const SAVE: Dialects = from_rows!(
    "INSERT INTO edge (source, relation, target, proposed, likeness) \
     SELECT r.value->>0, r.value->>1, r.value->>2, CAST(r.value->>3 AS BIGINT), \
        CAST(r.value->>4 AS BIGINT)",
    "WHERE true ON CONFLICT (source, relation, target) DO UPDATE SET \
        proposed = EXCLUDED.proposed, likeness = EXCLUDED.likeness"
);

impl Tx {
    pub(super) async fn load_edges(
        &mut self,
        wanted: BTreeSet<EdgeKey>,
        ledger: &mut Ledger,
    ) -> Result<(), StoreError> {
        if wanted.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = wanted.into_iter().map(|key| (key.from, key.relation, key.to)).collect();
        let found: Vec<Row> = self.fetch(Query::over("loading edges", LOAD, &rows)?).await?;
        take(found, ledger)
    }

    pub(super) async fn load_reach(
        &mut self,
        wanted: BTreeSet<(Relation, IdeaId)>,
        ledger: &mut Ledger,
    ) -> Result<(), StoreError> {
        let mut by_relation: BTreeMap<Relation, Vec<[IdeaId; 1]>> = BTreeMap::new();
        for (relation, idea) in wanted {
            by_relation.entry(relation).or_default().push([idea]);
        }
        for (relation, ideas) in by_relation {
            let query = Query::over("following edges", LOAD_REACH, &ideas)?;
            take(self.fetch(query.text(&relation)).await?, ledger)?;
        }
        Ok(())
    }

    pub(super) async fn save_edges(
        &mut self,
        ledger: &Ledger,
        touched: &Touched<'_>,
    ) -> Result<(), StoreError> {
        let rows = touched.edges.iter().filter_map(|key| Some((key, ledger.edges.get(key)?)));
        let rows = rows.map(|(key, row)| {
            (key.from, key.relation, key.to, u8::from(row.proposed), row.likeness)
        });
        self.insert("keeping edges", SAVE, rows).await
    }
}

fn take(rows: Vec<Row>, ledger: &mut Ledger) -> Result<(), StoreError> {
    for row in rows {
        let (key, row) = row.read()?;
        ledger.edges.insert(key, row);
    }
    Ok(())
}

impl Row {
    /// The row as values.
    pub(crate) fn read(&self) -> Result<(EdgeKey, EdgeRow), StoreError> {
        let key = EdgeKey {
            relation: parse("edge.relation", &self.relation)?,
            from: parse("edge.source", &self.source)?,
            to: parse("edge.target", &self.target)?,
        };
        let likeness =
            self.likeness.map(|likeness| number("edge.likeness", likeness)).transpose()?;
        Ok((key, EdgeRow { proposed: self.proposed != 0, likeness }))
    }
}
