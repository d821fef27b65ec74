//! Tells the ledger which jobs of ideas began and ended: from the event log, from where the last leader was.
//!
//! Told at least once and in order; the registry knows a repeat. What names an idea that is not there yet is parked, and
//! what the registry will never take is dropped: it would keep all that comes behind it from being told.

use std::{sync::Arc, time::Duration};

use mesh_fabric::ids;
use mesh_schemas::{
    ErrorCode, Problem,
    idea::{LedgerAnswer, LedgerAsk, NOTE_BYTES_MAX},
    text::is_unsafe_char,
};
use tokio::sync::watch;

use super::{Ledger, parked::Parked, within};
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
    /// It is in the log, or never will be.
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
    // Whether or not there is more news, which there may be all the time.
    parked.look(options).await?;
    Ok(moved)
}

async fn tell(options: &Options, told: &mut u64, parked: &mut Parked) -> Result<bool, TellError> {
    let (all, until) = options.store.ledger_news().await?;
    let mut moved = !all.is_empty() || until >= told.saturating_add(QUIET_EVENTS_MAX);
    let (now, ended) = tell_all(&options.ledger, all, until).await;
    if ended.is_err() {
        // What was told before stays told: it would be appended once more each time.
        moved = !now.taken.is_empty() || !now.parked.is_empty();
    }
    if moved {
        options.store.ledger_told(options.lease.leader(), &now).await?;
        *told = now.until;
    }
    if !now.parked.is_empty() {
        metrics::counter!("mesh_ledger_parked_total").increment(count(&now.parked));
        parked.look_soon();
    }
    ended?;
    Ok(moved)
}

/// Tells one after the other, up to the end or to the first that cannot be told now.
async fn tell_all(ledger: &Ledger, all: Vec<IdeaNews>, until: u64) -> (Told, Result<(), Problem>) {
    let mut now = Told::default();
    for news in all {
        let seq = news.seq;
        match tell_one(ledger, &news).await {
            Ok(Taken::Yes) => {
                // Its idea came between two news of the job: the later one is the last word.
                now.parked.retain(|parked| parked.job != news.job);
                now.taken.push(news);
            }
            Ok(Taken::NoIdea) => now.parked.push(news),
            Err(problem) => return (now, Err(problem)),
        }
        now.until = seq;
    }
    (Told { until, ..now }, Ok(()))
}

fn count(news: &[IdeaNews]) -> u64 {
    u64::try_from(news.len()).unwrap_or(u64::MAX)
}

pub(super) async fn tell_one(ledger: &Ledger, news: &IdeaNews) -> Result<Taken, Problem> {
    let IdeaNews { seq, idea, job, job_name, state, trace } = news.clone();
    let job_name = ledger_name(&job_name);
    let ask = LedgerAsk::JobState { idea, job, state, job_name };
    let trace = trace.unwrap_or_else(ids::trace_parent);
    match within(trace, ledger.ask(&ask)).await {
        Ok(LedgerAnswer::Appended(_)) => Ok(Taken::Yes),
        Ok(_) => Err(super::ask::strange()),
        // Let in while the ledger was away; its idea may yet come.
        Err(problem)
            if problem.code == ErrorCode::NotFound || problem.code == ErrorCode::NoIdea =>
        {
            tracing::info!(event.seq = seq, job.id = %job, "{job} names {idea}, which is not in the ledger yet");
            Ok(Taken::NoIdea)
        }
        Err(problem) if is_final(&problem) => {
            metrics::counter!("mesh_ledger_dropped_total").increment(1);
            tracing::warn!(event.seq = seq, job.id = %job, "The ledger will never take that {job} of {idea} is {state}: {problem}");
            Ok(Taken::Yes)
        }
        Err(problem) => Err(problem),
    }
}

/// It would be refused again each time.
fn is_final(problem: &Problem) -> bool {
    matches!(problem.code, ErrorCode::Invalid | ErrorCode::TooLarge | ErrorCode::TooDeep)
}

/// A job's name as the ledger takes it: one line of some length, without what a terminal would act upon. A job that was
/// given none has a part of its command for one, which may be anything.
fn ledger_name(name: &str) -> String {
    let mut clean: String =
        name.chars().filter(|c| !is_unsafe_char(*c) && !matches!(c, '\n' | '\t')).collect();
    clean.truncate(clean.floor_char_boundary(NOTE_BYTES_MAX));
    let clean = clean.trim();
    // Characters without ink that Unicode does not count as white space.
    let unseen = |c: char| {
        c.is_whitespace()
            || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
    };
    if clean.chars().all(unseen) { "job".to_owned() } else { clean.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_program_is_called_the_ledger_takes_its_name() {
        for (name, taken) in [
            ("train-7", "train-7"),
            ("", "job"),
            (" \t\n", "job"),
            ("\u{202e}\u{1b}", "job"),
            ("\u{200b}\u{feff}", "job"),
            ("a\u{202e}b\nc", "abc"),
        ] {
            assert_eq!(ledger_name(name), taken, "{name:?}");
        }
        let long = ledger_name(&"ä".repeat(NOTE_BYTES_MAX));
        assert_eq!(long, "ä".repeat(NOTE_BYTES_MAX / 2));
    }
}
