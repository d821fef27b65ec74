//! Tells the ledger which jobs of ideas began and ended: from the event log, from where the last leader was.
//!
//! Told at least once and in order; the registry knows a repeat.

use std::{sync::Arc, time::Duration};

use mesh_schemas::{
    ErrorCode, Problem,
    idea::{LedgerAnswer, LedgerAsk},
};
use tokio::sync::watch;

use super::Ledger;
use crate::{
    lead::Lease,
    store::{IdeaNews, Store, StoreError},
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
enum TellError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Ledger(#[from] Problem),
}

/// Tells for ever; ends with the engine.
pub(crate) async fn run(mut options: Options) {
    let mut told = 0;
    loop {
        options.changes.borrow_and_update();
        match tell(&options, &mut told).await {
            // There may be more than one look takes in.
            Ok(true) => {}
            Ok(false) => {
                tokio::time::sleep(LOOK_EVERY).await;
                if options.changes.changed().await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::debug!("The ledger is told later: {error}");
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
    }
}

/// One look. True when it came further.
async fn tell(options: &Options, told: &mut u64) -> Result<bool, TellError> {
    let (news, until) = options.store.ledger_news().await?;
    let moved = !news.is_empty() || until >= told.saturating_add(QUIET_EVENTS_MAX);
    for news in news {
        tell_one(&options.ledger, news).await?;
    }
    if moved {
        options.store.ledger_told(options.lease.leader(), until).await?;
        *told = until;
    }
    Ok(moved)
}

async fn tell_one(ledger: &Ledger, news: IdeaNews) -> Result<(), Problem> {
    let IdeaNews { seq, idea, job, job_name, state } = news;
    match ledger.ask(&LedgerAsk::JobState { idea, job, state, job_name }).await {
        Ok(LedgerAnswer::Appended(_)) => Ok(()),
        Ok(_) => Err(super::ask::strange()),
        // Let in while the ledger was away, with an idea that is none.
        Err(problem)
            if problem.code == ErrorCode::NotFound || problem.code == ErrorCode::NoIdea =>
        {
            tracing::warn!(event.seq = seq, job.id = %job, "{job} names {idea}, which is not in the ledger");
            Ok(())
        }
        Err(problem) => Err(problem),
    }
}
