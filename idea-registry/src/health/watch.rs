//! The task that looks how far each part has come.
//!
//! It sees what everybody can see (sizes of what is durable, signed, cosigned and copied), so that a part that hangs
//! need not tell of it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use async_nats::{Client, connection::State};
use mesh_fabric::error::chain;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Health, Part};
use crate::{publish::cursor_name, registry::Shared, store::StoreError};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Longest wait for the database in one look.
const READ_MAX: Duration = Duration::from_secs(10);

/// Whom it looks at.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) shared: Shared,
    pub(crate) client: Client,
    /// The log's files are copied to an object store.
    pub(crate) publishes: bool,
    /// The witnesses that are asked, by their verifier keys.
    pub(crate) witnesses: Vec<String>,
}

/// Looks.
#[derive(Debug)]
pub(crate) struct Service {
    options: Options,
    progress: Progress,
}

/// How far a part has come, of how far.
#[derive(Debug, Clone, Copy)]
struct Step {
    done: u64,
    of: u64,
}

/// What each part had done at the last look.
#[derive(Debug, Default)]
struct Progress(BTreeMap<Part, u64>);

impl Progress {
    /// Whoever has done something since the last look gets somewhere, however far it has to go.
    fn judge(&mut self, health: &Health, part: Part, step: Step, what: &str) {
        let before = self.0.insert(part, step.done);
        if step.done >= step.of || before.is_some_and(|before| before < step.done) {
            health.well(part);
        }
        if step.done < step.of {
            let Step { done, of } = step;
            health.behind(part, format!("{done} of {of} entries {what}"), Instant::now());
        }
    }
}

impl Service {
    pub(crate) fn new(options: Options) -> Self {
        Self { options, progress: Progress::default() }
    }

    /// Looks until `shutdown`.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let looks = async {
            loop {
                self.look().await;
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let _stopped = shutdown.run_until_cancelled(looks).await;
    }

    async fn look(&mut self) {
        self.look_here();
        let health = self.options.shared.health.clone();
        let now = Instant::now();
        match timeout(READ_MAX, self.look_there()).await {
            Ok(Ok(())) => health.well(Part::Database),
            Ok(Err(error)) => health.behind(Part::Database, chain(&error), now),
            Err(_) => {
                let why = format!("no answer within {} s", READ_MAX.as_secs());
                health.behind(Part::Database, why, now);
            }
        }
    }

    /// What is known without asking anybody.
    fn look_here(&mut self) {
        let Options { shared, client, .. } = &self.options;
        let health = &shared.health;
        match client.connection_state() {
            State::Connected => health.well(Part::Broker),
            State::Pending | State::Disconnected => {
                health.behind(Part::Broker, "NATS is out of reach", Instant::now());
            }
        }
        let (of, done) = shared.writer.asked();
        self.progress.judge(health, Part::Writer, Step { done, of }, "are decided");
        let (of, done) = (shared.writer.size(), shared.signed());
        // While others are waited for, `unheard` says so.
        let done = if shared.unheard.alarm().is_some() || shared.halt.check().is_err() {
            of
        } else {
            done
        };
        self.progress.judge(health, Part::Integrator, Step { done, of }, "are signed");
    }

    /// How far copy and witnesses are, as the database knows.
    async fn look_there(&mut self) -> Result<(), StoreError> {
        let Options { shared, publishes, witnesses, .. } = &self.options;
        let (log, of) = (shared.identity.version, shared.signed());
        let copied = shared.store.cursor(&cursor_name(log)).await?;
        if *publishes {
            let done = copied.map_or(0, |cursor| cursor.value);
            self.progress.judge(&shared.health, Part::Copy, Step { done, of }, "are copied");
        }
        if !witnesses.is_empty() {
            let cosigned = shared.store.cosigned(log).await?;
            let size = |key: &String| {
                cosigned.iter().find(|row| row.witness == *key).map_or(0, |row| row.size)
            };
            let done = witnesses.iter().map(size).min().unwrap_or(of);
            let what = "are cosigned by all witnesses";
            self.progress.judge(&shared.health, Part::Witnesses, Step { done, of }, what);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::LAG_MAX;

    #[test]
    fn whoever_gets_somewhere_does_not_lag_and_whoever_hangs_does() {
        let (health, mut progress) = (Health::default(), Progress::default());
        let lags = || {
            let late = Instant::now() + LAG_MAX;
            health.alarms(late)
        };
        progress.judge(&health, Part::Copy, Step { done: 0, of: 5 }, "are copied");
        assert_eq!(lags(), ["copy lags for 30 s: 0 of 5 entries are copied"]);
        let first = health.with(|lags| lags[&Part::Copy].since);
        progress.judge(&health, Part::Copy, Step { done: 0, of: 9 }, "are copied");
        assert_eq!(health.with(|lags| lags[&Part::Copy].since), first, "it hangs since then");
        progress.judge(&health, Part::Copy, Step { done: 3, of: 9 }, "are copied");
        assert!(health.with(|lags| lags[&Part::Copy].since) > first, "it got somewhere");
        progress.judge(&health, Part::Copy, Step { done: 9, of: 9 }, "are copied");
        assert!(lags().is_empty());
    }
}
