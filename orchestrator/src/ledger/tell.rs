//! Tells the ledger which jobs of ideas began and ended: from the event log, from where the last leader was.
//!
//! Told at least once and in order; the registry knows a repeat. What names an idea that is not there yet is parked.

use std::{sync::Arc, time::Duration};

use mesh_schemas::{
    ErrorCode, Problem,
    idea::{LedgerAnswer, LedgerAsk},
};
use tokio::sync::watch;

use super::{Ledger, parked::Parked};
use crate::{
    lead::Lease,
    store::{IdeaNews, Store, StoreError, Told},
};

/// Between two looks at the event log.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// After a look that failed.
const AGAIN_AFTER: Duration = Duration::from_secs(2);
/// How far the log may go on without news before that is kept.
const QUIET_EVENTS_MAX: u64 = 10_000;

/// What telling needs.
#[derive(Debug)]
pub struct Options {
    /// Who is told.
    pub ledger: Ledger,
    /// Where the event log is.
    pub store: Arc<dyn Store>,
    /// The right to keep how far it came.
    pub lease: Lease,
    /// The number of the last event.
    pub changes: watch::Receiver<u64>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum TellError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Ledger(#[from] Problem),
}

/// What became of a piece of news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is in the log.
    Yes,
    /// The idea is not there.
    NoIdea,
}

/// Tells for ever; ends with the engine.
pub(crate) async fn run(mut options: Options) {
    let (mut told, mut parked) = (0, Parked::new());
    loop {
        options.changes.borrow_and_update();
        match look(&options, &mut told, &mut parked).await {
            // There may be more than one look takes in.
            Ok(true) => {}
            Ok(false) => {
                tokio::time::sleep(LOOK_EVERY).await;
                tokio::select! {
                    changed = options.changes.changed() => if changed.is_err() { return },
                    () = parked.due() => {}
                }
            }
            Err(error) => {
                tracing::debug!("The ledger is told later: {error}");
                parked.look_soon();
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
    }
}

/// The news first: what is parked is older, and of a job the last word counts. True when it came further.
async fn look(options: &Options, told: &mut u64, parked: &mut Parked) -> Result<bool, TellError> {
    let moved = tell(options, told, parked).await?;
    if !moved {
        parked.look(options).await?;
    }
    Ok(moved)
}

async fn tell(options: &Options, told: &mut u64, parked: &mut Parked) -> Result<bool, TellError> {
    let (all, until) = options.store.ledger_news().await?;
    let moved = !all.is_empty() || until >= told.saturating_add(QUIET_EVENTS_MAX);
    let mut now = Told { until, ..Told::default() };
    for news in all {
        match tell_one(&options.ledger, &news).await? {
            Taken::Yes => {
                // Its idea came between two news of the job: the later one is the last word.
                now.parked.retain(|parked| parked.job != news.job);
                now.taken.push(news);
            }
            Taken::NoIdea => now.parked.push(news),
        }
    }
    if moved {
        options.store.ledger_told(options.lease.leader(), &now).await?;
        *told = until;
    }
    if !now.parked.is_empty() {
        metrics::counter!("mesh_ledger_parked_total").increment(count(&now.parked));
        parked.look_soon();
    }
    Ok(moved)
}

fn count(news: &[IdeaNews]) -> u64 {
    u64::try_from(news.len()).unwrap_or(u64::MAX)
}

pub(super) async fn tell_one(ledger: &Ledger, news: &IdeaNews) -> Result<Taken, Problem> {
    let IdeaNews { seq, idea, job, job_name, state } = news.clone();
    match ledger.ask(&LedgerAsk::JobState { idea, job, state, job_name }).await {
        Ok(LedgerAnswer::Appended(_)) => Ok(Taken::Yes),
        Ok(_) => Err(super::ask::strange()),
        // Let in while the ledger was away; its idea may yet come.
        Err(problem)
            if problem.code == ErrorCode::NotFound || problem.code == ErrorCode::NoIdea =>
        {
            tracing::info!(event.seq = seq, job.id = %job, "{job} names {idea}, which is not in the ledger yet");
            Ok(Taken::NoIdea)
        }
        Err(problem) => Err(problem),
    }
}
