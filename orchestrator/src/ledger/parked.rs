//! Jobs whose idea was not in the ledger when it was told of them: let in while the registry was away, with an idea that
//! waits in somebody's spool. They are told again when it is there, however late; a row of the database is each.
//!
//! Bounded: one row a job, and each look asks about so many ideas, one after the other in their order, so that many that
//! never come keep none waiting for long.

use std::time::Duration;

use mesh_schemas::idea::IdeaId;
use tokio::time::Instant;

use super::tell::{Options, Taken, TellError, tell_one};

/// Most ideas asked about in one look.
const IDEAS_MAX: u32 = 64;
/// Most jobs of one idea told in one transaction.
const JOBS_MAX: u32 = 256;
/// Between two looks, at first and after many that found nothing.
const LOOK_EVERY: Duration = Duration::from_secs(2);
const LOOK_EVERY_MAX: Duration = Duration::from_secs(60);

/// Goes round the ideas that jobs are parked for.
#[derive(Debug)]
pub(super) struct Parked {
    behind: Option<IdeaId>,
    wait: Duration,
    /// When to look; never while nothing is parked.
    due: Option<Instant>,
}

impl Parked {
    /// A new leader looks at once.
    pub(super) fn new() -> Self {
        Self { behind: None, wait: LOOK_EVERY, due: Some(Instant::now()) }
    }

    /// Something was parked, or the last look failed.
    pub(super) fn look_soon(&mut self) {
        self.wait = LOOK_EVERY;
        self.due = Some(Instant::now() + LOOK_EVERY);
    }

    /// Waits until a look is due.
    pub(super) async fn due(&self) {
        match self.due {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    /// Looks, if it is time.
    pub(super) async fn look(&mut self, options: &Options) -> Result<(), TellError> {
        if self.due.is_none_or(|due| due > Instant::now()) {
            return Ok(());
        }
        let (ideas, count) = options.store.ledger_parked(self.behind, IDEAS_MAX).await?;
        set_gauge(count);
        let mut told = 0;
        for idea in &ideas {
            // Should it fail, the next look begins with the others.
            self.behind = Some(*idea);
            if options.ledger.exists(*idea).await? {
                told += tell_jobs(options, *idea).await?;
            }
        }
        set_gauge(count.saturating_sub(told));
        self.go_on(&ideas, told < count, told > 0);
        Ok(())
    }

    /// The next look: at the ideas behind these, or at the first ones again.
    fn go_on(&mut self, ideas: &[IdeaId], more: bool, found: bool) {
        let whole = u32::try_from(ideas.len()).unwrap_or(u32::MAX) < IDEAS_MAX;
        self.behind = if whole { None } else { ideas.last().copied() };
        self.wait = if found { LOOK_EVERY } else { (self.wait * 2).min(LOOK_EVERY_MAX) };
        self.due = more.then(|| Instant::now() + self.wait);
    }
}

/// All jobs parked for an idea that is there; how many.
async fn tell_jobs(options: &Options, idea: IdeaId) -> Result<u64, TellError> {
    let mut told = 0;
    loop {
        let jobs = options.store.ledger_parked_of(idea, JOBS_MAX).await?;
        if jobs.is_empty() {
            return Ok(told);
        }
        let (mut taken, mut ended) = (Vec::new(), Ok(()));
        for news in jobs {
            match tell_one(&options.ledger, &news).await {
                Ok(Taken::Yes) => taken.push(news),
                Ok(Taken::NoIdea) => {}
                Err(problem) => {
                    ended = Err(problem);
                    break;
                }
            }
        }
        options.store.ledger_unpark(options.lease.leader(), &taken).await?;
        ended?;
        if taken.is_empty() {
            return Ok(told);
        }
        told += u64::try_from(taken.len()).unwrap_or(u64::MAX);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge; far below 2^52")]
fn set_gauge(count: u64) {
    metrics::gauge!("mesh_ledger_parked_jobs").set(count as f64);
}
