//! Which part lags, behind what, and since when.
//!
//! A part that ended is the business of `parts`; one that lives and gets nowhere is told of here: in the alarms of
//! the statistics, on `/readyz`, and as the metric `mesh_ideas_lag_seconds`.

mod page;
mod watch;

pub(crate) use page::routes;
pub(crate) use watch::{Options, Service};

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// So long a part may be behind before anybody is told: a slow disk and a peer's restart are shorter.
pub(crate) const LAG_MAX: Duration = Duration::from_secs(30);

/// What can lag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// Appending what is queued.
    Writer,
    /// Reading what answers are made of.
    Database,
    /// The wire over which everybody asks.
    Broker,
    /// Making tiles and signing.
    Integrator,
    /// Reading what waits on the stream IDEA.
    Stream,
    /// Copying to the object store.
    Copy,
    /// Having heads cosigned.
    Witnesses,
    /// Having texts embedded.
    Embeddings,
    /// Taking what was erased out of the database's pages.
    Forgetting,
}

impl Part {
    /// As it is called on pages and in labels.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Writer => "writer",
            Self::Database => "database",
            Self::Broker => "broker",
            Self::Integrator => "integrator",
            Self::Stream => "stream",
            Self::Copy => "copy",
            Self::Witnesses => "witnesses",
            Self::Embeddings => "embeddings",
            Self::Forgetting => "forgetting",
        }
    }

    /// Without it nobody's idea is taken or shown.
    const fn is_vital(self) -> bool {
        match self {
            Self::Writer | Self::Database | Self::Broker => true,
            Self::Integrator
            | Self::Stream
            | Self::Copy
            | Self::Witnesses
            | Self::Embeddings
            | Self::Forgetting => false,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Lag {
    since: Instant,
    why: String,
}

/// What is behind; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Health(Arc<Mutex<BTreeMap<Part, Lag>>>);

impl Health {
    /// It is behind, or got nowhere; since the first time that this is said.
    pub(crate) fn behind(&self, part: Part, why: impl Into<String>, now: Instant) {
        let why = why.into();
        let since = self.with(|lags| {
            let lag = lags.entry(part).or_insert_with(|| Lag { since: now, why: String::new() });
            lag.why = why;
            lag.since
        });
        measure(part, now.saturating_duration_since(since));
    }

    /// It has caught up, or goes on.
    pub(crate) fn well(&self, part: Part) {
        self.with(|lags| lags.remove(&part));
        measure(part, Duration::ZERO);
    }

    /// What is behind for too long, a line each.
    pub(crate) fn alarms(&self, now: Instant) -> Vec<String> {
        self.too_long(now, |_| true)
    }

    /// The lines of those without which nothing is answered.
    fn vital(&self, now: Instant) -> Vec<String> {
        self.too_long(now, Part::is_vital)
    }

    fn too_long(&self, now: Instant, wanted: impl Fn(Part) -> bool) -> Vec<String> {
        let line = |(part, lag): (&Part, &Lag)| {
            let lasts = now.saturating_duration_since(lag.since);
            let told = lasts >= LAG_MAX && wanted(*part);
            told.then(|| format!("{} lags for {} s: {}", part.name(), lasts.as_secs(), lag.why))
        };
        self.with(|lags| lags.iter().filter_map(line).collect())
    }

    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<Part, Lag>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn measure(part: Part, lasts: Duration) {
    metrics::gauge!("mesh_ideas_lag_seconds", "part" => part.name()).set(lasts.as_secs_f64());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_lags_is_named_after_a_while_and_no_more_when_it_goes_on() {
        let (health, start) = (Health::default(), Instant::now());
        health.behind(Part::Integrator, "3 of 7 entries are signed", start);
        let later = start + LAG_MAX / 2;
        health.behind(Part::Integrator, "3 of 9 entries are signed", later);
        assert!(health.alarms(later).is_empty(), "not yet");
        let late = start + LAG_MAX + Duration::from_secs(2);
        assert_eq!(health.alarms(late), ["integrator lags for 32 s: 3 of 9 entries are signed"]);
        assert!(health.vital(late).is_empty(), "entries are appended meanwhile");
        health.behind(Part::Database, "it does not answer", start);
        assert_eq!(health.vital(late), ["database lags for 32 s: it does not answer"]);
        health.well(Part::Integrator);
        health.well(Part::Database);
        assert!(health.alarms(late).is_empty());
    }
}
