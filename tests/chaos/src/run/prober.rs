//! Asks the API all the time whether it serves, past all proxies, to know how long it was away.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use mesh_tests::http::Http;
use reqwest::Method;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How often it asks, and how long it waits for an answer.
const EVERY: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Seen {
    /// When the orchestrator was started and has not served since.
    started: Option<Instant>,
    recoveries: Vec<Duration>,
}

/// The prober, and what it has seen.
#[derive(Debug, Clone)]
pub(super) struct Prober {
    seen: Arc<Mutex<Seen>>,
}

impl Prober {
    /// Asks until told to stop.
    pub(super) fn start(http: Vec<Http>, tasks: &TaskTracker, stop: &CancellationToken) -> Self {
        let prober = Self { seen: Arc::default() };
        let (asking, stop) = (prober.clone(), stop.clone());
        tasks.spawn(async move {
            while !stop.is_cancelled() {
                for http in &http {
                    let request = http.request(Method::GET, "/api/v1/info").timeout(PATIENCE);
                    // One that stands by says so with another status.
                    if request.send().await.is_ok_and(|answer| answer.status().is_success()) {
                        asking.serves();
                    }
                }
                tokio::time::sleep(EVERY).await;
            }
        });
        prober
    }

    fn serves(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(started) = seen.started.take() {
            seen.recoveries.push(started.elapsed());
        }
    }

    /// The orchestrator is started now, after a kill.
    pub(super) fn orchestrator_starts(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.started = Some(Instant::now());
    }

    /// How long it took after each start.
    pub(super) fn recoveries(&self) -> Vec<Duration> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).recoveries.clone()
    }
}
