//! A modelled user: submits with idempotency keys until answered, sometimes again; cancels, retries; the
//! first one also administers the nodes.

use std::{collections::VecDeque, sync::Arc};

use mesh_core::{Rejected, Reply};
use mesh_schemas::{
    JobId, JobSpec, Span,
    api::NodeAction,
    quantity::Cpu,
    spec::{ArrayRange, ArraySpec},
};

use crate::{
    env::{Env, Event, Payload},
    stats::Kind,
};

/// What a client asks of the orchestrator.
#[derive(Debug, Clone)]
pub(crate) enum Request {
    Submit { spec: Arc<JobSpec> },
    Cancel { job: JobId, tasks: Option<Vec<u32>> },
    Retry { job: JobId },
    Act { node: usize, action: NodeAction },
}

/// One user.
#[derive(Debug)]
pub(crate) struct Client {
    index: usize,
    plan: VecDeque<Request>,
    jobs: Vec<JobId>,
    ask: u64,
    asked: bool,
}

impl Client {
    pub(crate) fn new(env: &mut Env, index: usize) -> Self {
        let jobs = env.options.jobs;
        let plan = (0..jobs)
            .map(|number| Request::Submit { spec: Arc::new(spec(env, index, number)) })
            .collect();
        Self { index, plan, jobs: Vec::new(), ask: 0, asked: false }
    }

    /// It has nothing more to ask for.
    pub(crate) fn is_content(&self) -> bool {
        self.plan.is_empty()
    }

    /// Asks for the next thing, or again for the one that got no answer.
    pub(crate) fn act(&mut self, env: &mut Env) {
        let wait = env.rng.between(2_000, 8_000);
        env.after(wait, Event::Client { client: self.index });
        if self.plan.is_empty() && !env.calm {
            self.think(env);
        }
        if !self.asked && env.rng.chance(250) {
            self.add_dependency(env);
        }
        let Some(request) = self.plan.front().cloned() else { return };
        if self.asked && matches!(request, Request::Submit { .. }) {
            env.stats.count(Kind::Resubmitted);
        }
        self.asked = true;
        self.ask += 1;
        let (client, ask) = (self.index, self.ask);
        env.send(None, Payload::Request { client, ask, request });
    }

    /// Lets the next job wait for one that some client knows of.
    fn add_dependency(&mut self, env: &mut Env) {
        let Some(Request::Submit { spec }) = self.plan.front_mut() else { return };
        if spec.after.is_empty() && !env.known_jobs.is_empty() {
            let dep = env.known_jobs[env.rng.index(env.known_jobs.len())];
            Arc::make_mut(spec).after.push(dep);
        }
    }

    /// Something to do besides submitting.
    fn think(&mut self, env: &mut Env) {
        if self.jobs.is_empty() {
            return;
        }
        let job = self.jobs[env.rng.index(self.jobs.len())];
        let request = match env.rng.between(0, 9) {
            0 => Request::Cancel { job, tasks: None },
            1 => {
                let task = u32::try_from(env.rng.between(0, 5)).unwrap_or(0);
                Request::Cancel { job, tasks: Some(vec![task, task + 2]) }
            }
            2 | 3 => Request::Retry { job },
            4 | 5 if self.index == 0 => {
                let node = env.rng.index(env.options.nodes);
                let action = match env.rng.between(0, 9) {
                    0..=2 => NodeAction::Drain,
                    3..=4 => NodeAction::Pause,
                    // The first node is always there to end the work.
                    5 if node > 0 => NodeAction::Revoke,
                    _ => NodeAction::Resume,
                };
                Request::Act { node, action }
            }
            _ => return,
        };
        self.plan.push_back(request);
    }

    /// Faults are over: what was drained or paused is wanted again.
    pub(crate) fn calm_down(&mut self, env: &Env) {
        if self.index == 0 {
            for node in 0..env.options.nodes {
                self.plan.push_back(Request::Act { node, action: NodeAction::Resume });
            }
        }
    }

    pub(crate) fn answered(&mut self, env: &mut Env, ask: u64, answer: &Result<Reply, Rejected>) {
        if ask != self.ask || !self.asked {
            return;
        }
        self.asked = false;
        let Some(request) = self.plan.pop_front() else { return };
        match (&request, answer) {
            (Request::Submit { spec }, Ok(Reply::Submitted { job, created, .. })) => {
                let key = spec.idempotency_key.clone().unwrap_or_default();
                env.observer.answered(&key, *job);
                if !spec.after.is_empty() {
                    env.stats.count(Kind::Dependency);
                }
                if !created {
                    env.stats.count(Kind::SameJob);
                } else if env.rng.chance(100) && !env.calm {
                    self.plan.push_back(request.clone());
                }
                self.jobs.push(*job);
                env.known_jobs.push(*job);
            }
            (Request::Cancel { .. }, Ok(_)) => env.stats.count(Kind::CancelAsked),
            (Request::Act { action, .. }, Ok(_)) => env.stats.count(match action {
                NodeAction::Drain | NodeAction::Pause => Kind::Drained,
                NodeAction::Resume => Kind::Resumed,
                NodeAction::Revoke => Kind::Revoked,
            }),
            (Request::Submit { .. } | Request::Retry { .. }, Ok(_)) | (_, Err(_)) => {}
        }
        if env.rng.chance(500) {
            env.after(1, Event::Client { client: self.index });
        }
    }
}

fn spec(env: &mut Env, client: usize, number: u64) -> JobSpec {
    let mut spec = JobSpec::new(["/bin/work"]);
    spec.idempotency_key = Some(format!("c{client}-{number}"));
    spec.resources.cpu = Cpu(if env.rng.chance(200) { 500 } else { 1_000 });
    spec.priority = i16::try_from(env.rng.between(0, 2)).unwrap_or(0);
    spec.retries.user_error = u16::try_from(env.rng.between(0, 2)).unwrap_or(0);
    spec.retries.out_of_memory = 1;
    spec.retries.lost = u16::try_from(env.rng.between(0, 10)).unwrap_or(0);
    if env.rng.chance(100) {
        spec.timeouts.queue = Some(Span::from_secs(env.rng.between(5, 60)));
    }
    if env.rng.chance(500) {
        let last = u32::try_from(env.rng.between(1, 11)).unwrap_or(1);
        spec.array = Some(ArraySpec::Range(ArrayRange { first: 0, last }));
    }
    spec
}
