//! The order of ideas: a weighted sum of eight terms, each of which is shown.
//!
//! | term | value | from |
//! | --- | --- | --- |
//! | impact, cost, risk | 0 to 1 | mean of the authors' numbers and one neutral 50 |
//! | novelty | 0 to 1 | 1 less the likeness to the likest older idea; 0 of a confirmed duplicate |
//! | age | 0 to 1 | halves with each half-life |
//! | votes | -1 to 1 | (for - against) / (all + 2), so that few votes move little |
//! | outcome | -1 to 1 | (succeeded - failed) / (all that ended + 1), of its jobs |
//! | graph | -1 to 1 | standing among the other ideas, less what refutes it ([`standing`]) |
//!
//! Weights may be negative; cost and risk are by default. Nothing is learned and nothing is hidden.

use mesh_schemas::{
    Problem, Timestamp,
    attempt::JobState,
    idea::{IdeaId, RankTerm},
    quantity::Span,
};
use serde::{Deserialize, Serialize};

use crate::ledger::{EdgeKey, EdgeRow, RankRow};

mod inputs;
mod standing;

pub use standing::standing;

/// The names of the terms, in order.
pub const TERMS: [&str; 8] =
    ["impact", "cost", "risk", "novelty", "age", "votes", "outcome", "graph"];
/// Largest weight, either way.
pub const WEIGHT_MAX: f64 = 100.0;

/// By what each term is multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Weights {
    /// Of impact. From -100 to 100, as all; default 1.
    pub impact: f64,
    /// Of cost; default -0.5.
    pub cost: f64,
    /// Of risk; default -0.5.
    pub risk: f64,
    /// Of novelty; default 0.5.
    pub novelty: f64,
    /// Of age, which is 1 for a new idea; default 0.25.
    pub age: f64,
    /// Of votes; default 1.
    pub votes: f64,
    /// Of the outcome of jobs; default 0.5.
    pub outcome: f64,
    /// Of the standing in the graph; default 0.5.
    pub graph: f64,
    /// After which time an idea is half as new. Between 1 h and 10 years; default 30 days.
    pub half_life: Span,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            impact: 1.0,
            cost: -0.5,
            risk: -0.5,
            novelty: 0.5,
            age: 0.25,
            votes: 1.0,
            outcome: 0.5,
            graph: 0.5,
            half_life: Span::from_secs(30 * 24 * 3600),
        }
    }
}

impl Weights {
    /// The weights in the order of [`TERMS`].
    pub const fn in_order(&self) -> [f64; 8] {
        let Self { impact, cost, risk, novelty, age, votes, outcome, graph, half_life: _ } = *self;
        [impact, cost, risk, novelty, age, votes, outcome, graph]
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// `E_INVALID` naming the weight.
    pub fn validate(&self) -> Result<(), Problem> {
        for (name, weight) in TERMS.into_iter().zip(self.in_order()) {
            if !(-WEIGHT_MAX..=WEIGHT_MAX).contains(&weight) {
                let detail =
                    format!("{name} is {weight}; allowed are -{WEIGHT_MAX} to {WEIGHT_MAX}");
                return Err(Problem::invalid(name, detail));
            }
        }
        let (least, most) = (Span::from_secs(3600), Span::from_secs(10 * 365 * 24 * 3600));
        if (least..=most).contains(&self.half_life) {
            return Ok(());
        }
        let detail = format!("half_life is {}; allowed are {least} to {most}", self.half_life);
        Err(Problem::invalid("half_life", detail))
    }
}

/// What is known of an idea that its score depends on, but for its edges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RankInput {
    /// Which.
    pub idea: IdeaId,
    /// Its index in the log: the older of two equals comes first.
    pub index: u64,
    /// When it was filed.
    pub time: Timestamp,
    /// What its authors gave.
    pub opinions: Opinions,
    /// How its jobs ended.
    pub outcomes: Outcomes,
    /// How like it is to the likest older idea, in thousandths; 1,000 for a confirmed duplicate.
    pub likeness: u16,
}

/// Sums of what authors think of an idea.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Opinions {
    /// Sum and number of the impacts.
    pub impact: (u64, u64),
    /// Of the costs.
    pub cost: (u64, u64),
    /// Of the risks.
    pub risk: (u64, u64),
    /// How many voted for it.
    pub votes_for: u64,
    /// How many against it.
    pub votes_against: u64,
}

impl Opinions {
    /// Adds one author's.
    pub fn add(&mut self, row: &RankRow) {
        let count = |sum: &mut (u64, u64), number: Option<u8>| {
            sum.0 += number.map_or(0, u64::from);
            sum.1 += u64::from(number.is_some());
        };
        count(&mut self.impact, row.impact);
        count(&mut self.cost, row.cost);
        count(&mut self.risk, row.risk);
        self.votes_for += u64::from(row.vote == Some(1));
        self.votes_against += u64::from(row.vote == Some(-1));
    }
}

/// How the jobs of an idea ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcomes {
    /// How many succeeded.
    pub succeeded: u64,
    /// How many did not.
    pub failed: u64,
}

impl Outcomes {
    /// Adds one job.
    pub const fn add(&mut self, state: JobState) {
        match state {
            JobState::Succeeded => self.succeeded += 1,
            JobState::Failed | JobState::Quarantined => self.failed += 1,
            JobState::Queued | JobState::Running | JobState::Cancelled => {}
        }
    }
}

/// An idea with its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// Which.
    pub idea: IdeaId,
    /// Its index in the log.
    pub index: u64,
    /// The weighted sum.
    pub score: f64,
    /// The values in the order of [`TERMS`].
    pub values: [f64; 8],
}

impl Ranked {
    /// The terms as the API shows them.
    pub fn terms(&self, weights: &Weights) -> Vec<RankTerm> {
        let weighed = self.values.into_iter().zip(weights.in_order());
        let term = |(name, (value, weight)): (&str, (f64, f64))| RankTerm {
            name: name.into(),
            value,
            weight,
        };
        TERMS.into_iter().zip(weighed).map(term).collect()
    }
}

/// Ranks ideas, best first; the older of two equals comes first. Edges of ideas that are not among
/// `inputs` count for nothing.
pub fn rank(
    inputs: &[RankInput],
    edges: &[(EdgeKey, EdgeRow)],
    now: Timestamp,
    weights: &Weights,
) -> Vec<Ranked> {
    let ideas: Vec<IdeaId> = inputs.iter().map(|input| input.idea).collect();
    let standing = standing(&ideas, edges);
    let mut ranked: Vec<Ranked> = inputs
        .iter()
        .zip(standing)
        .map(|(input, standing)| score(input, standing, now, weights))
        .collect();
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.index.cmp(&b.index)));
    ranked
}

fn score(input: &RankInput, standing: f64, now: Timestamp, weights: &Weights) -> Ranked {
    let RankInput { idea, index, time, opinions, outcomes, likeness } = input;
    let values = [
        mean(opinions.impact),
        mean(opinions.cost),
        mean(opinions.risk),
        1.0 - f64::from((*likeness).min(1000)) / 1000.0,
        youth(*time, now, weights.half_life),
        balance(opinions.votes_for, opinions.votes_against, 2.0),
        balance(outcomes.succeeded, outcomes.failed, 1.0),
        standing,
    ];
    let score = values.iter().zip(weights.in_order()).map(|(value, weight)| value * weight).sum();
    Ranked { idea: *idea, index: *index, score, values }
}

fn mean((sum, count): (u64, u64)) -> f64 {
    (sum as f64 + 50.0) / (count as f64 + 1.0) / 100.0
}

fn balance(good: u64, bad: u64, doubt: f64) -> f64 {
    let (good, bad) = (good as f64, bad as f64);
    (good - bad) / (good + bad + doubt)
}

fn youth(time: Timestamp, now: Timestamp, half_life: Span) -> f64 {
    let age = now.since(time).as_secs_f64();
    (-age / half_life.duration().as_secs_f64().max(1.0)).exp2()
}
