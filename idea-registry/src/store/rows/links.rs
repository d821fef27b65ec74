//! Jobs of ideas, and what authors think of ideas.

use std::collections::BTreeSet;

use mesh_ideas_core::ledger::{JobRow, Ledger};
use mesh_schemas::{JobId, idea::IdeaId};
use sqlx::FromRow;

use super::Touched;
use crate::store::{
    StoreError, Tx,
    sql::{Dialects, Query, from_rows, number, parse},
};

#[derive(FromRow)]
pub(crate) struct Row {
    idea: String,
    job: String,
    name: String,
    state: String,
    entry: String,
    idx: i64,
}

const LOAD: Dialects = from_rows!(
    "SELECT j.idea, j.job, j.name, j.state, j.entry, j.idx FROM job j \
     WHERE (j.idea, j.job) IN (SELECT r.value->>0, r.value->>1",
    ")"
);
const SAVE: Dialects = from_rows!(
    "INSERT INTO job (idea, job, name, state, entry, idx) SELECT r.value->>0, r.value->>1, \
        r.value->>2, r.value->>3, r.value->>4, CAST(r.value->>5 AS BIGINT)",
    "WHERE true ON CONFLICT (idea, job) DO UPDATE SET name = EXCLUDED.name, \
        state = EXCLUDED.state, entry = EXCLUDED.entry, idx = EXCLUDED.idx"
);
const SAVE_OPINIONS: Dialects = from_rows!(
    "INSERT INTO opinion (idea, author, impact, cost, risk, vote) \
     SELECT r.value->>0, r.value->>1, CAST(r.value->>2 AS BIGINT), CAST(r.value->>3 AS BIGINT), \
        CAST(r.value->>4 AS BIGINT), CAST(r.value->>5 AS BIGINT)",
    "WHERE true ON CONFLICT (idea, author) DO UPDATE SET impact = EXCLUDED.impact, \
        cost = EXCLUDED.cost, risk = EXCLUDED.risk, vote = EXCLUDED.vote"
);

impl Tx {
    pub(super) async fn load_jobs(
        &mut self,
        wanted: BTreeSet<(IdeaId, JobId)>,
        ledger: &mut Ledger,
    ) -> Result<(), StoreError> {
        if wanted.is_empty() {
            return Ok(());
        }
        let found: Vec<Row> = self.fetch(Query::over("loading jobs", LOAD, &wanted)?).await?;
        for row in found {
            ledger.jobs.insert(row.key()?, JobRow::try_from(row)?);
        }
        Ok(())
    }

    pub(super) async fn save_jobs(
        &mut self,
        ledger: &Ledger,
        touched: &Touched<'_>,
    ) -> Result<(), StoreError> {
        let rows = touched.jobs.iter().filter_map(|key| Some((key, ledger.jobs.get(key)?)));
        let rows = rows
            .map(|((idea, job), row)| (*idea, *job, &row.name, row.state, row.entry, row.index));
        self.insert("keeping jobs", SAVE, rows).await
    }

    pub(super) async fn save_opinions(
        &mut self,
        ledger: &Ledger,
        touched: &Touched<'_>,
    ) -> Result<(), StoreError> {
        let rows = touched.opinions.iter().filter_map(|key| Some((key, ledger.ranks.get(key)?)));
        let rows = rows.map(|((idea, author), row)| {
            (*idea, *author, row.impact, row.cost, row.risk, row.vote)
        });
        self.insert("keeping opinions", SAVE_OPINIONS, rows).await
    }
}

impl Row {
    /// Whose job, and which.
    pub(crate) fn key(&self) -> Result<(IdeaId, JobId), StoreError> {
        Ok((parse("job.idea", &self.idea)?, parse("job.job", &self.job)?))
    }
}

impl TryFrom<Row> for JobRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            state: parse("job.state", &row.state)?,
            name: row.name,
            entry: parse("job.entry", &row.entry)?,
            index: number("job.idx", row.idx)?,
        })
    }
}
