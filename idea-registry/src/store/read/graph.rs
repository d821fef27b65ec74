//! Edges, jobs and opinions.

use std::collections::{BTreeMap, BTreeSet};

use mesh_ideas_core::ledger::{EdgeKey, EdgeRow, IdeaRow, JobRow, Ledger, RankRow};
use mesh_schemas::{
    JobId,
    idea::{IdeaId, IdeaJob},
};
use sqlx::FromRow;

use crate::store::{
    Store, StoreError,
    rows::{EdgeRecord, IdeaRecord, JobRecord},
    sql::{Dialects, Query, among, number, parse},
};

const EDGES: &str = "SELECT e.relation, e.source, e.target, e.proposed, e.likeness FROM edge e";
const EDGES_FROM: Dialects = among!(
    "SELECT e.relation, e.source, e.target, e.proposed, e.likeness FROM edge e WHERE e.source",
    "r.value->>0",
    ""
);
const EDGES_TO: Dialects = among!(
    "SELECT e.relation, e.source, e.target, e.proposed, e.likeness FROM edge e WHERE e.target",
    "r.value->>0",
    ""
);
const JOBS: &str = "SELECT j.idea, j.job, j.name, j.state, j.entry, j.idx FROM job j";
const IDEAS: &str = "SELECT i.id, i.idx, i.author, i.author_name, i.time, i.tags, i.source, \
    i.text_entry, i.sealed, i.title, i.holder, i.head, i.status, i.seen_again FROM idea i";

#[derive(FromRow)]
struct Opinion {
    idea: String,
    author: String,
    impact: Option<i64>,
    cost: Option<i64>,
    risk: Option<i64>,
    vote: Option<i64>,
}

impl Store {
    /// The edges from and to an idea, or all.
    pub(crate) async fn edges(
        &self,
        of: Option<IdeaId>,
    ) -> Result<Vec<(EdgeKey, EdgeRow)>, StoreError> {
        let doing = "reading edges";
        let query = match of {
            Some(idea) => {
                Query::new(doing, format!("{EDGES} WHERE e.source = $1 OR e.target = $1"))
                    .text(&idea)
            }
            None => Query::new(doing, EDGES),
        };
        let rows: Vec<EdgeRecord> = self.db.fetch(query).await?;
        rows.iter().map(EdgeRecord::read).collect()
    }

    /// The edges from and to any of these ideas.
    pub(crate) async fn edges_at(
        &self,
        ideas: &BTreeSet<IdeaId>,
    ) -> Result<BTreeMap<EdgeKey, EdgeRow>, StoreError> {
        let ideas: Vec<[IdeaId; 1]> = ideas.iter().map(|idea| [*idea]).collect();
        let mut edges = BTreeMap::new();
        for text in [EDGES_FROM, EDGES_TO] {
            let query = Query::over("reading edges of ideas", text, &ideas)?;
            for row in self.db.fetch::<EdgeRecord>(query).await? {
                edges.extend([row.read()?]);
            }
        }
        Ok(edges)
    }

    /// The jobs of an idea, oldest first.
    pub(crate) async fn jobs_of(&self, idea: IdeaId) -> Result<Vec<IdeaJob>, StoreError> {
        self.jobs(format!("{JOBS} WHERE j.idea = $1 ORDER BY j.idx, j.job"), &idea).await
    }

    /// The ideas of a job, oldest first.
    pub(crate) async fn ideas_of(&self, job: JobId) -> Result<Vec<IdeaJob>, StoreError> {
        self.jobs(format!("{JOBS} WHERE j.job = $1 ORDER BY j.idx, j.idea"), &job).await
    }

    async fn jobs(&self, text: String, of: &impl ToString) -> Result<Vec<IdeaJob>, StoreError> {
        let query = Query::new("reading jobs", text).text(of);
        let rows: Vec<JobRecord> = self.db.fetch(query).await?;
        let job = |row: JobRecord| {
            let (idea, job) = row.key()?;
            let JobRow { state, name, entry, .. } = JobRow::try_from(row)?;
            Ok(IdeaJob { idea, job, job_name: name, state, entry })
        };
        rows.into_iter().map(job).collect()
    }

    /// As much of the ledger as ranking needs, whole.
    pub(crate) async fn for_ranking(&self) -> Result<Ledger, StoreError> {
        let mut ledger = Ledger::default();
        let ideas: Vec<IdeaRecord> = self.db.fetch(Query::new("reading ideas", IDEAS)).await?;
        for row in ideas {
            let row = IdeaRow::try_from(row)?;
            ledger.ideas.insert(row.id, row);
        }
        ledger.edges.extend(self.edges(None).await?);
        for row in self.db.fetch::<JobRecord>(Query::new("reading jobs", JOBS)).await? {
            ledger.jobs.insert(row.key()?, JobRow::try_from(row)?);
        }
        let text = "SELECT idea, author, impact, cost, risk, vote FROM opinion";
        for row in self.db.fetch::<Opinion>(Query::new("reading opinions", text)).await? {
            let key = (parse("opinion.idea", &row.idea)?, parse("opinion.author", &row.author)?);
            ledger.ranks.insert(key, opinion(&row)?);
        }
        Ok(ledger)
    }
}

fn opinion(row: &Opinion) -> Result<RankRow, StoreError> {
    let percent =
        |value: Option<i64>| value.map(|value| number("a number of opinion", value)).transpose();
    Ok(RankRow {
        impact: percent(row.impact)?,
        cost: percent(row.cost)?,
        risk: percent(row.risk)?,
        vote: row.vote.map(|vote| number("opinion.vote", vote)).transpose()?,
    })
}
