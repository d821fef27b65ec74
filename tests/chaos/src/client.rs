//! A client: submits, submits again, cancels, retries and looks, and writes down what it was told. It
//! gives up on a request after some seconds; what became of that is then unknown to it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mesh_schemas::{
    ErrorCode, JobId, NodeId, Problem,
    api::{Changed, JobDetail, Submitted},
    attempt::JobState,
};
use mesh_tests::http::Http;
use reqwest::{Method, RequestBuilder};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::{
    history::{Action, Answer, Outcome},
    record::Recorder,
    rng::Rng,
    workload::{self, Work},
};

/// A client's patience with one request.
pub(crate) const PATIENCE: Duration = Duration::from_secs(6);
/// Most jobs of a client that have not been seen to end: the mesh is small, and faults are to meet work.
const OPEN_MAX: usize = 5;

/// One client.
#[derive(Debug)]
pub struct Client {
    /// Its number.
    pub number: u32,
    /// The orchestrators; of several, one leads.
    http: Vec<Http>,
    asking: AtomicUsize,
    recorder: Arc<Recorder>,
    rng: Rng,
    canary: String,
    mine: Vec<Mine>,
}

/// A job that it asked for.
#[derive(Debug)]
struct Mine {
    work: Work,
    job: Option<JobId>,
    ended: Option<JobState>,
}

impl Client {
    /// A client that takes its choices from a seed.
    pub fn new(
        number: u32,
        http: Vec<Http>,
        recorder: Arc<Recorder>,
        seed: u64,
        canary: &str,
    ) -> Self {
        let rng = Rng::new(seed.wrapping_mul(1_000_003).wrapping_add(u64::from(number)));
        let (asking, canary) = (AtomicUsize::new(0), canary.to_owned());
        Self { number, http, asking, recorder, rng, canary, mine: Vec::new() }
    }

    /// Asks for this and that until told to stop.
    ///
    /// # Errors
    /// When its own history cannot be written.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<Self> {
        while !stop.is_cancelled() {
            self.step().await?;
            let wait = self.rng.millis(50, 500);
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        Ok(self)
    }

    /// Submits again, with the same key, whatever it never got an answer to.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn settle(&mut self) -> anyhow::Result<()> {
        for index in 0..self.mine.len() {
            if self.mine.get(index).is_some_and(|mine| mine.job.is_none()) {
                self.submit(index).await?;
            }
        }
        Ok(())
    }

    async fn step(&mut self) -> anyhow::Result<()> {
        let open = self.mine.iter().filter(|mine| mine.ended.is_none()).count();
        match self.rng.between(0, 99) {
            0..45 if open < OPEN_MAX => self.submit_new().await,
            45..60 => self.submit_again().await,
            60..63 => self.submit_another_body().await,
            63..70 => self.on_open(|client, job| client.cancel(job)).await,
            70..77 => self.retry_one().await,
            _ => self.look_at_one().await,
        }
    }

    async fn submit_new(&mut self) -> anyhow::Result<()> {
        let key = format!("chaos-{}-{}", self.number, self.mine.len());
        let work = workload::draw(&mut self.rng, &key, &self.canary);
        self.mine.push(Mine { work, job: None, ended: None });
        self.submit(self.mine.len() - 1).await
    }

    /// The same key and the same body: it is the same job, whatever was answered before.
    async fn submit_again(&mut self) -> anyhow::Result<()> {
        let unknown = self.mine.iter().position(|mine| mine.job.is_none());
        let all: Vec<usize> = (0..self.mine.len()).collect();
        match unknown.or_else(|| self.rng.pick(&all).copied()) {
            Some(index) => self.submit(index).await,
            None => Ok(()),
        }
    }

    /// The same key and another body: it must be refused.
    async fn submit_another_body(&mut self) -> anyhow::Result<()> {
        let known: Vec<&Mine> = self.mine.iter().filter(|mine| mine.job.is_some()).collect();
        let Some(mine) = self.rng.pick(&known) else { return Ok(()) };
        let mut work = mine.work.clone();
        work.spec.priority += 1;
        self.ask_submit(&work).await.map(drop)
    }

    async fn submit(&mut self, index: usize) -> anyhow::Result<()> {
        let Some(work) = self.mine.get(index).map(|mine| mine.work.clone()) else { return Ok(()) };
        if let Outcome::Ok(Answer::Submitted { job, .. }) = self.ask_submit(&work).await?
            && let Some(mine) = self.mine.get_mut(index)
        {
            mine.job = Some(job);
        }
        Ok(())
    }

    /// Submits a job that is not one of its own kinds.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn ask_submit(&self, work: &Work) -> anyhow::Result<Outcome> {
        let action = Action::Submit {
            key: work.key().to_owned(),
            body: work.body(),
            wanted: work.wanted.clone(),
        };
        let request = self.request(Method::POST, "/api/v1/jobs").json(&work.spec);
        self.ask(action, request, |Submitted { job, created, .. }| Answer::Submitted {
            job,
            created,
        })
        .await
    }

    /// Acts on a node.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn act_on_node(&self, node: NodeId, act: &str) -> anyhow::Result<Outcome> {
        let request = self.request(Method::POST, &format!("/api/v1/nodes/{node}/{act}"));
        let action = Action::Node(node, act.to_owned());
        self.ask(action, request, |_: serde_json::Value| Answer::Done).await
    }

    async fn on_open<'a, F: Future<Output = anyhow::Result<()>>>(
        &'a mut self,
        act: impl FnOnce(&'a Self, JobId) -> F,
    ) -> anyhow::Result<()> {
        let open = self.mine.iter().filter(|mine| mine.ended.is_none());
        let open: Vec<JobId> = open.filter_map(|mine| mine.job).collect();
        match self.rng.pick(&open).copied() {
            Some(job) => act(self, job).await,
            None => Ok(()),
        }
    }

    async fn cancel(&self, job: JobId) -> anyhow::Result<()> {
        let request = self.request(Method::POST, &format!("/api/v1/jobs/{job}/cancel"));
        let answer = |Changed { tasks, .. }| Answer::Changed(tasks);
        self.ask(Action::Cancel(job), request, answer).await.map(drop)
    }

    async fn retry_one(&mut self) -> anyhow::Result<()> {
        let bad = |mine: &&mut Mine| {
            mine.ended.is_some_and(|state| state != JobState::Succeeded) && mine.job.is_some()
        };
        let mut bad: Vec<&mut Mine> = self.mine.iter_mut().filter(bad).collect();
        let indices: Vec<usize> = (0..bad.len()).collect();
        let picked = self.rng.pick(&indices).and_then(|index| bad.get_mut(*index));
        let Some(mine) = picked else { return Ok(()) };
        // It lives again, or may.
        mine.ended = None;
        let Some(job) = mine.job else { return Ok(()) };
        let request = self.request(Method::POST, &format!("/api/v1/jobs/{job}/retry"));
        let answer = |Changed { tasks, .. }| Answer::Changed(tasks);
        self.ask(Action::Retry(job), request, answer).await.map(drop)
    }

    async fn look_at_one(&mut self) -> anyhow::Result<()> {
        let open: Vec<usize> = (0..self.mine.len())
            .filter(|index| {
                self.mine.get(*index).is_some_and(|m| m.ended.is_none() && m.job.is_some())
            })
            .collect();
        let Some(index) = self.rng.pick(&open).copied() else { return Ok(()) };
        let Some(job) = self.mine.get(index).and_then(|mine| mine.job) else { return Ok(()) };
        let request = self.request(Method::GET, &format!("/api/v1/jobs/{job}"));
        let answer = |detail: JobDetail| Answer::Seen(detail.view.state);
        let outcome = self.ask(Action::Look(job), request, answer).await?;
        if let Outcome::Ok(Answer::Seen(state)) = outcome
            && let Some(mine) = self.mine.get_mut(index)
        {
            mine.ended = state.is_terminal().then_some(state);
        }
        Ok(())
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let index = self.asking.load(Ordering::Relaxed) % self.http.len();
        self.http[index].request(method, path)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        action: Action,
        request: RequestBuilder,
        answer: impl FnOnce(T) -> Answer,
    ) -> anyhow::Result<Outcome> {
        let id = self.recorder.asked(self.number, action)?;
        let outcome = send(request.timeout(PATIENCE), answer).await;
        let outcome = outcome.map_or_else(|outcome| outcome, Outcome::Ok);
        self.recorder.done(id, outcome.clone())?;
        if wants_another(&outcome) {
            self.asking.fetch_add(1, Ordering::Relaxed);
        }
        Ok(outcome)
    }
}

/// What a yes says; or what is known without one.
pub(crate) async fn send<T: DeserializeOwned, A>(
    request: RequestBuilder,
    answer: impl FnOnce(T) -> A,
) -> Result<A, Outcome> {
    let unknown = |error: reqwest::Error| Outcome::Unknown(mesh_fabric::error::chain(&error));
    let response = request.send().await.map_err(unknown)?;
    if response.status().is_success() {
        return response.json::<T>().await.map(answer).map_err(unknown);
    }
    Err(match response.json::<Problem>().await {
        Ok(problem) if says_no(problem.code) => Outcome::Fail(problem.code.to_string()),
        Ok(problem) => Outcome::Unknown(problem.to_string()),
        Err(error) => unknown(error),
    })
}

/// The next request is better sent to another orchestrator.
pub(crate) fn wants_another(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Ok(_) => false,
        Outcome::Fail(code) => {
            [ErrorCode::Standby, ErrorCode::NotLeader].iter().any(|known| known.as_str() == code)
        }
        Outcome::Unknown(_) => true,
    }
}

/// The code promises that nothing has happened.
fn says_no(code: ErrorCode) -> bool {
    ![ErrorCode::Timeout, ErrorCode::Internal, ErrorCode::Unreachable, ErrorCode::Io]
        .contains(&code)
}
