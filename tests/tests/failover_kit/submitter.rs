//! A client that keeps submitting, to whichever orchestrator takes it, and keeps its own record.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use mesh_schemas::{JobId, JobSpec, api::Submitted};
use mesh_tests::{http::Http, wait::wait_for};
use reqwest::Method;
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long one orchestrator is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two jobs, so that the submits are not the load.
const PAUSE: Duration = Duration::from_millis(20);
/// Before the other orchestrator is asked.
const TURN_PAUSE: Duration = Duration::from_millis(50);
/// Longest wait for an acknowledgement by anybody.
const LONG: Duration = Duration::from_secs(60);

type Acknowledged = Arc<Mutex<Vec<(JobId, Instant)>>>;

pub(crate) struct Submitter {
    acknowledged: Acknowledged,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Submitter {
    pub(crate) fn start(servers: [Http; 2]) -> Self {
        let (acknowledged, stop) = (Acknowledged::default(), CancellationToken::new());
        let (list, until) = (Arc::clone(&acknowledged), stop.clone());
        let running = TaskTracker::new().spawn(async move {
            let mut turn = 0;
            let mut number = 0;
            while !until.is_cancelled() {
                let job = submit(&servers, &mut turn, number).await;
                list.lock().unwrap().push((job, Instant::now()));
                number += 1;
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { acknowledged, stop, running }
    }

    /// How long after `since` the first job was acknowledged.
    pub(crate) async fn acknowledged_after(&self, since: Instant) -> Duration {
        wait_for(LONG, "a submit is acknowledged", async || {
            let list = self.acknowledged.lock().unwrap();
            list.iter().find(|(_, at)| *at > since).map(|(_, at)| at.duration_since(since))
        })
        .await
    }

    /// All jobs that were acknowledged.
    pub(crate) async fn stop(self) -> Vec<JobId> {
        self.stop.cancel();
        self.running.await.unwrap();
        let list = self.acknowledged.lock().unwrap();
        list.iter().map(|(job, _)| *job).collect()
    }
}

/// One job, with one key however often it is sent.
async fn submit(servers: &[Http; 2], turn: &mut usize, number: u32) -> JobId {
    let spec = JobSpec { idempotency_key: Some(format!("job-{number}")), ..JobSpec::new(["true"]) };
    loop {
        let request = servers[*turn].request(Method::POST, "/api/v1/jobs");
        let answer = Http::answer(request.json(&spec).timeout(PATIENCE)).await;
        if let Ok((status, body)) = answer {
            if status.is_success() {
                return serde_json::from_value::<Submitted>(body).unwrap().job;
            }
            assert_eq!(status.as_u16(), 503, "{body}");
        }
        *turn = 1 - *turn;
        tokio::time::sleep(TURN_PAUSE).await;
    }
}
