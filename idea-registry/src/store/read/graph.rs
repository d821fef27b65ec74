//! Edges, jobs and opinions.

use std::collections::{BTreeMap, BTreeSet};

use mesh_ideas_core::ledger::{EdgeKey, EdgeRow, IdeaRow, JobRow, Ledger, RankRow};
use mesh_schemas::{
    JobId,
    idea::{IdeaId, IdeaJob, Relation},
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
    "ORDER BY e.source, e.relation, e.target LIMIT $2"
);
const EDGES_TO: Dialects = among!(
    "SELECT e.relation, e.source, e.target, e.proposed, e.likeness FROM edge e WHERE e.target",
    "r.value->>0",
    "ORDER BY e.target, e.relation, e.source LIMIT $2"
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
    /// Some edges, from and to an idea or of all, by the idea that they come from, behind one of them.
    pub(crate) async fn edges(
        &self,
        of: Option<IdeaId>,
        behind: Option<EdgeKey>,
        limit: u32,
    ) -> Result<Vec<(EdgeKey, EdgeRow)>, StoreError> {
        let mine = if of.is_some() { "(e.source = $5 OR e.target = $5) AND" } else { "" };
        let text = format!(
            "{EDGES} WHERE {mine} (e.source, e.relation, e.target) > ($1, $2, $3) \
             ORDER BY e.source, e.relation, e.target LIMIT $4"
        );
        let [source, relation, target] = behind.map_or_else(Default::default, |key| {
            [key.from.to_string(), key.relation.to_string(), key.to.to_string()]
        });
        let query = Query::new("reading edges", text).text(&source).text(&relation).text(&target);
        let query = query.int(i64::from(limit));
        let query = of.iter().fold(query, |query, idea| query.text(idea));
        let rows: Vec<EdgeRecord> = self.db.fetch(query).await?;
        rows.iter().map(EdgeRecord::read).collect()
    }

    /// Whether a link of this relation leads from one of two ideas to the other, either way.
    pub(crate) async fn are_linked(
        &self,
        relation: Relation,
        one: IdeaId,
        other: IdeaId,
    ) -> Result<bool, StoreError> {
        let text = format!(
            "{EDGES} WHERE e.relation = $1 AND \
             ((e.source = $2 AND e.target = $3) OR (e.source = $3 AND e.target = $2)) LIMIT 1"
        );
        let query = Query::new("reading a link", text).text(&relation).text(&one).text(&other);
        Ok(!self.db.fetch::<EdgeRecord>(query).await?.is_empty())
    }

    /// All edges.
    async fn all_edges(&self) -> Result<Vec<(EdgeKey, EdgeRow)>, StoreError> {
        let rows: Vec<EdgeRecord> = self.db.fetch(Query::new("reading edges", EDGES)).await?;
        rows.iter().map(EdgeRecord::read).collect()
    }

    /// The edges from any of these ideas, and those to any of them, so many of each.
    pub(crate) async fn edges_at(
        &self,
        ideas: &BTreeSet<IdeaId>,
        limit: u32,
    ) -> Result<BTreeMap<EdgeKey, EdgeRow>, StoreError> {
        let ideas: Vec<[IdeaId; 1]> = ideas.iter().map(|idea| [*idea]).collect();
        let mut edges = BTreeMap::new();
        for text in [EDGES_FROM, EDGES_TO] {
            let query = Query::over("reading edges of ideas", text, &ideas)?.int(i64::from(limit));
            for row in self.db.fetch::<EdgeRecord>(query).await? {
                edges.extend([row.read()?]);
            }
        }
        Ok(edges)
    }

    /// The jobs of an idea before one of them, newest first.
    pub(crate) async fn jobs_of(
        &self,
        idea: IdeaId,
        before: Option<JobId>,
        limit: u32,
    ) -> Result<Vec<IdeaJob>, StoreError> {
        // Ids begin with the time at which they were made.
        let earlier = if before.is_some() { "AND j.job < $3" } else { "" };
        let text = format!("{JOBS} WHERE j.idea = $1 {earlier} ORDER BY j.job DESC LIMIT $2");
        let query = Query::new("reading jobs", text).text(&idea).int(i64::from(limit));
        self.jobs(before.iter().fold(query, |query, job| query.text(job))).await
    }

    /// The ideas of a job, oldest first.
    pub(crate) async fn ideas_of(
        &self,
        job: JobId,
        limit: u32,
    ) -> Result<Vec<IdeaJob>, StoreError> {
        let text = format!("{JOBS} WHERE j.job = $1 ORDER BY j.idx, j.idea LIMIT $2");
        self.jobs(Query::new("reading jobs", text).text(&job).int(i64::from(limit))).await
    }

    async fn jobs(&self, query: Query) -> Result<Vec<IdeaJob>, StoreError> {
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
        ledger.edges.extend(self.all_edges().await?);
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
