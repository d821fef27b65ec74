//! A modelled user: submits with idempotency keys until answered, sometimes again; cancels, retries; the
//! first one also administers the nodes.

use std::{collections::VecDeque, sync::Arc};

use mesh_core::Reply;
use mesh_schemas::{
    ErrorCode, JobId, JobSpec, Span,
    api::NodeAction,
    quantity::Cpu,
    spec::{ArrayRange, ArraySpec},
};

use crate::{
    env::{Env, Event, Payload, Way},
    options::count,
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

/// What may be asked again as it was.
const UNAVAILABLE: [ErrorCode; 2] = [ErrorCode::NotLeader, ErrorCode::StoreDown];

/// One user.
#[derive(Debug)]
pub(crate) struct Client {
    index: usize,
    plan: VecDeque<Request>,
    jobs: Vec<JobId>,
    ask: u64,
    asked: bool,
    /// Which orchestrator it asks.
    orchestrator: usize,
    /// Keys of jobs that were accepted, one of which it may use again by mistake.
    keys: Vec<String>,
}

impl Client {
    pub(crate) fn new(env: &mut Env, index: usize) -> Self {
        let jobs = env.options.jobs;
        let plan = (0..jobs)
            .map(|number| Request::Submit { spec: Arc::new(spec(env, index, number)) })
            .collect();
        let (jobs, keys) = (Vec::new(), Vec::new());
        Self { index, plan, jobs, ask: 0, asked: false, orchestrator: 0, keys }
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
        if self.asked && env.rng.chance(300) {
            self.ask_another(env);
        }
        self.asked = true;
        self.ask += 1;
        let (client, ask) = (self.index, self.ask);
        let way = Way::Http { orchestrator: self.orchestrator };
        env.send(way, Payload::Request { client, ask, request });
    }

    fn ask_another(&mut self, env: &Env) {
        self.orchestrator = (self.orchestrator + 1) % count(env.options.orchestrators);
    }

    /// Lets the next job wait for one that some client knows of.
    fn add_dependency(&mut self, env: &mut Env) {
        let Some(Request::Submit { spec }) = self.plan.front_mut() else { return };
        if spec.after.is_empty() && !env.known_jobs.is_empty() {
            let known = env.known_jobs[env.rng.index(env.known_jobs.len())];
            let stranger = env.rng.chance(20);
            let dep = if stranger { JobId::from_uuid(uuid::Uuid::from_u128(1)) } else { known };
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
                let node = env.rng.index(count(env.options.nodes));
                let action = match env.rng.between(0, 9) {
                    0..=2 => NodeAction::Drain,
                    3..=4 => NodeAction::Pause,
                    // The first node is always there to end the work.
                    5 if node > 0 => NodeAction::Revoke,
                    _ => NodeAction::Resume,
                };
                Request::Act { node, action }
            }
            6 if !self.keys.is_empty() => {
                let mut spec = spec(env, self.index, 0);
                spec.idempotency_key = Some(self.keys[env.rng.index(self.keys.len())].clone());
                Request::Submit { spec: Arc::new(spec) }
            }
            _ => return,
        };
        self.plan.push_back(request);
    }

    /// Faults are over: what was drained or paused is wanted again.
    pub(crate) fn calm_down(&mut self, env: &Env) {
        if self.index == 0 {
            for node in 0..count(env.options.nodes) {
                self.plan.push_back(Request::Act { node, action: NodeAction::Resume });
            }
        }
    }

    pub(crate) fn answered(&mut self, env: &mut Env, ask: u64, answer: &Result<Reply, ErrorCode>) {
        if ask != self.ask || !self.asked {
            return;
        }
        if let Err(code) = answer
            && UNAVAILABLE.contains(code)
        {
            // Safe to ask again, and perhaps another one.
            if *code == ErrorCode::NotLeader {
                self.ask_another(env);
            }
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
                self.keys.push(key);
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
    let mut spec = JobSpec::new(["work"]);
    let small = |env: &mut Env, most| u16::try_from(env.rng.between(0, most)).unwrap_or(0);
    spec.idempotency_key = Some(format!("c{client}-{number}"));
    spec.resources.cpu = Cpu(if env.rng.chance(200) { 500 } else { 1_000 });
    spec.priority = i16::try_from(env.rng.between(0, 2)).unwrap_or(0);
    spec.retries.user_error = small(env, 2);
    spec.retries.out_of_memory = 1;
    spec.retries.timeout = small(env, 1);
    spec.retries.stalled = small(env, 1);
    spec.retries.lost = small(env, 10);
    let timeouts = &mut spec.timeouts;
    timeouts.kill_grace = Span::from_millis(env.rng.between(0, 5_000));
    let limit = |env: &mut Env, per_mille, low, high| {
        let seconds = env.rng.between(low, high);
        env.rng.chance(per_mille).then_some(Span::from_secs(seconds))
    };
    timeouts.queue = limit(env, 100, 5, 60);
    timeouts.run = limit(env, 150, 2, 20);
    timeouts.stall = limit(env, 150, 2, 15);
    if env.rng.chance(300) {
        spec.outputs = vec!["out".into()];
    }
    if env.rng.chance(300) {
        spec.checkpoint = Some("state".into());
    }
    spec.upload.every = Span::from_millis(env.rng.between(1_000, 12_000));
    if env.rng.chance(500) {
        let last = u32::try_from(env.rng.between(1, 9)).unwrap_or(1);
        spec.array = Some(ArraySpec::Range(ArrayRange { first: 0, last }));
    }
    spec
}
