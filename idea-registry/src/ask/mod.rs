//! Questions and their answers, whatever wire they came over.

mod checkpoint;
mod erase;
mod idea;
mod links;
mod list;
mod pages;
mod ranking;
mod stats;
mod texts;

use std::sync::Arc;

use mesh_ideas_core::rank::Weights;
use mesh_schemas::{
    ErrorCode, Problem,
    idea::{LedgerAnswer, LedgerAsk},
};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{registry::Shared, witnesses::Behind};

/// What answers are made from.
#[derive(Debug)]
pub struct Options {
    /// The registry.
    pub shared: Shared,
    /// By what the terms of a score are multiplied.
    pub weights: Weights,
    /// Witnesses that do not cosign.
    pub behind: Behind,
    /// The log's files are copied to an object store.
    pub publishes: bool,
}

/// Answers questions; cheap to clone.
#[derive(Debug, Clone)]
pub struct Answers {
    shared: Shared,
    weights: Weights,
    /// Witnesses that do not cosign.
    behind: Behind,
    publishes: bool,
    /// Held by an answer that reads everything: two at a time would take the memory twice.
    whole: Arc<Semaphore>,
    rankings: ranking::Rankings,
}

impl Answers {
    /// Answers from this registry.
    pub fn new(options: Options) -> Self {
        let Options { shared, weights, behind, publishes } = options;
        let (whole, rankings) = (Arc::new(Semaphore::new(1)), ranking::Rankings::default());
        Self { shared, weights, behind, publishes, whole, rankings }
    }

    /// The answer; a problem is one as well.
    pub async fn answer(&self, ask: LedgerAsk) -> LedgerAnswer {
        self.try_answer(ask).await.unwrap_or_else(LedgerAnswer::Problem)
    }

    /// Waits for other answers that read everything.
    async fn alone(&self) -> Result<SemaphorePermit<'_>, Problem> {
        let closed = |_| Problem::new(ErrorCode::Internal, "nobody may read everything any more");
        self.whole.acquire().await.map_err(closed)
    }

    async fn try_answer(&self, ask: LedgerAsk) -> Result<LedgerAnswer, Problem> {
        let writer = &self.shared.writer;
        Ok(match ask {
            LedgerAsk::Append(submission) => {
                LedgerAnswer::Appended(writer.append(&submission).await?)
            }
            LedgerAsk::JobState { idea, job, state, job_name } => {
                let idea = self.standing(idea).await?.unwrap_or(idea);
                LedgerAnswer::Appended(writer.job_state(idea, job, state, job_name).await?)
            }
            LedgerAsk::Erase { subject } => LedgerAnswer::Appended(self.erase(subject).await?),
            LedgerAsk::Show { idea } => LedgerAnswer::Idea(Box::new(self.show(&idea).await?)),
            LedgerAsk::List(query) => self.list(&query).await?,
            LedgerAsk::Search(query) => self.search(&query).await?,
            LedgerAsk::Rank(query) => self.rank(&query).await?,
            LedgerAsk::Graph { idea, depth, direction } => {
                LedgerAnswer::Graph(self.graph(idea, depth, direction).await?)
            }
            LedgerAsk::About(query) => self.about(&query).await?,
            LedgerAsk::Edges(query) => self.edges(&query).await?,
            LedgerAsk::Jobs(query) => self.jobs(&query).await?,
            LedgerAsk::Ideas { job } => self.ideas_of(job).await?,
            LedgerAsk::Exists { idea } => self.exists(idea).await?,
            LedgerAsk::Checkpoint {} => LedgerAnswer::Checkpoint(self.checkpoint()?.1),
            LedgerAsk::Prove { entry, old_size } => {
                LedgerAnswer::Proof(self.prove(entry, old_size).await?)
            }
            LedgerAsk::Tile { path } => self.tile(&path)?,
            LedgerAsk::Entries { from, count } => self.entries(from, count).await?,
            LedgerAsk::Body { hash } => self.body(hash).await?,
            LedgerAsk::Stats {} => LedgerAnswer::Stats(self.stats().await?),
        })
    }
}

/// Every [`LedgerAsk::name`].
pub const KINDS: [&str; 19] = [
    "append",
    "show",
    "list",
    "search",
    "rank",
    "about",
    "edges",
    "graph",
    "jobs",
    "ideas",
    "exists",
    "job_state",
    "checkpoint",
    "prove",
    "tile",
    "entries",
    "body",
    "erase",
    "stats",
];

/// Most rows of one answer.
const ROWS_MAX: usize = 1_000;

/// A number of rows within its bounds.
fn limit(wanted: Option<u32>, usual: u32) -> Result<u32, Problem> {
    match wanted.unwrap_or(usual) {
        limit @ 1..=1_000 => Ok(limit),
        other => Err(Problem::invalid("limit", format!("limit is {other}; allowed are 1 to 1000"))),
    }
}
