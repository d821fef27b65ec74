//! Keeps attempts' output flowing to the store: now and then while they run, and once at the end.
//!
//! One task looks after all attempts, so that hundreds of tiny ones cost neither a task nor a timer
//! each; only what may take long is spawned. Failures while an attempt runs are tried again later and
//! disturb nobody; at the end they are tried again for as long as somebody is out of reach, unless the
//! attempt is fenced. What no try can heal ends the attempt with what is stored by then.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use mesh_artifacts::upload::{AttemptUploader, Limits, Options, Stage, UploadError};
use mesh_node_core::{Attempt, Input};
use mesh_schemas::{
    AttemptKey,
    manifest::{ManifestOwner, ManifestSummary, StreamName},
    spec::UploadPolicy,
};
use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};
use tokio_util::task::TaskTracker;

use super::{place::Place, port::NatsPort, wire::Wire};

mod item;
mod transfer;

use item::{Item, Slot};
use transfer::Failure;

/// How often running attempts' logs are looked at.
const OBSERVE_EVERY: Duration = Duration::from_millis(200);
/// Most uploads side by side.
const UPLOADS_MAX: usize = 4;
/// Most orders taken at once.
const ORDERS_MAX: usize = 256;
/// Logs up to this size, with no files, are finished on the spot: they travel inside the event.
const TINY_LOG_BYTES: u64 = 4 << 10;

/// What the uploads need to know of an attempt.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    attempt: AttemptKey,
    place: Place,
    outputs: Vec<String>,
    checkpoint: Option<String>,
    policy: UploadPolicy,
    /// Somebody waits to see whether it still writes.
    stall: bool,
}

impl Subject {
    pub(super) fn new(data_dir: &Path, attempt: &Attempt) -> Self {
        let (key, run) = (attempt.key(), &attempt.job.run);
        Self {
            attempt: key,
            place: Place::new(data_dir, key),
            outputs: run.outputs.clone(),
            checkpoint: run.checkpoint.clone(),
            policy: run.upload.clone(),
            stall: run.timeouts.stall.is_some(),
        }
    }

    /// Has nothing to keep but its logs.
    fn logs_only(&self) -> bool {
        self.outputs.is_empty() && self.checkpoint.is_none()
    }

    /// Neither wrote nor was to leave anything.
    pub(super) fn is_empty(&self) -> bool {
        self.logs_only() && self.log_bytes() == 0
    }

    /// Bytes in both logs; a file that is not there has none.
    fn log_bytes(&self) -> u64 {
        let size = |stream| std::fs::metadata(self.place.log(stream)).map_or(0, |meta| meta.len());
        size(StreamName::Stdout) + size(StreamName::Stderr)
    }

    fn open(&self) -> Result<AttemptUploader, UploadError> {
        let previous = std::fs::read(self.place.previous()).ok();
        AttemptUploader::open(Options {
            owner: ManifestOwner::Attempt(self.attempt),
            root: self.place.work(),
            outputs: self.outputs.clone(),
            checkpoint: self.checkpoint.clone(),
            stdout: self.place.log(StreamName::Stdout),
            stderr: self.place.log(StreamName::Stderr),
            state_file: self.place.upload_state(),
            // Unreadable, it only saves less.
            previous: previous.and_then(|text| serde_json::from_slice(&text).ok()),
            limits: Limits::default(),
        })
    }
}

/// What the engine wants of the uploads.
#[derive(Debug)]
pub(super) enum Order {
    /// It runs: look after its output.
    Watch(Subject),
    /// It is over: store the rest, then say so.
    Final(Subject),
    /// It is forgotten: stop trying.
    Drop(AttemptKey),
}

/// What is needed to look after uploads.
pub(super) struct Uploads {
    pub(super) wire: Wire,
    pub(super) http: reqwest::Client,
    pub(super) inputs: mpsc::Sender<Input>,
    pub(super) tracker: TaskTracker,
}

/// The state of the one task.
struct Service {
    shared: Arc<Uploads>,
    slots: Arc<Semaphore>,
    items: BTreeMap<AttemptKey, Item>,
    done: mpsc::UnboundedSender<transfer::Done>,
    /// What is to be said to the engine next.
    inputs: Vec<Input>,
}

impl Uploads {
    /// Looks after uploads until the orders' sender is gone.
    pub(super) async fn run(self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let (done, mut finished) = mpsc::unbounded_channel();
        let mut service = Service {
            shared: Arc::new(self),
            slots: Arc::new(Semaphore::new(UPLOADS_MAX)),
            items: BTreeMap::new(),
            done,
            inputs: Vec::new(),
        };
        let mut look = tokio::time::interval(OBSERVE_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(ORDERS_MAX);
        loop {
            tokio::select! {
                count = orders.recv_many(&mut batch, ORDERS_MAX) => {
                    if count == 0 {
                        return;
                    }
                    for order in batch.drain(..) {
                        service.on_order(order).await;
                    }
                }
                Some(done) = finished.recv() => service.on_done(done).await,
                _ = look.tick(), if !service.items.is_empty() => service.observe(),
            }
            for input in std::mem::take(&mut service.inputs) {
                // The engine is gone only when the agent ends.
                let _ended = service.shared.inputs.send(input).await;
            }
        }
    }
}

impl Service {
    async fn on_order(&mut self, order: Order) {
        match order {
            Order::Watch(subject) => {
                let item = || Item::new(subject.clone());
                self.items.entry(subject.attempt).or_insert_with(item);
            }
            Order::Final(subject) => {
                let attempt = subject.attempt;
                let item = self.items.remove(&attempt).unwrap_or_else(|| Item::new(subject));
                self.finish(item).await;
            }
            Order::Drop(attempt) => {
                if let Some(item) = self.items.remove(&attempt) {
                    item.stop.cancel();
                }
            }
        }
    }

    /// Stores the rest of an attempt that is over.
    async fn finish(&mut self, mut item: Item) {
        item.finishing = true;
        match std::mem::replace(&mut item.slot, Slot::Busy) {
            // Its present upload comes back first.
            Slot::Busy => {
                self.items.insert(item.subject.attempt, item);
            }
            Slot::Closed => match self.finish_at_once(&item.subject).await {
                Some(manifest) => self.stored(item.subject.attempt, manifest, None),
                None => self.upload(item, None, Stage::Final),
            },
            Slot::Idle(uploader) => self.upload(item, Some(uploader), Stage::Final),
        }
    }

    /// The manifest of an attempt whose output is nothing or next to nothing.
    async fn finish_at_once(&self, subject: &Subject) -> Option<ManifestSummary> {
        let bytes = subject.log_bytes();
        if !subject.logs_only() || bytes > TINY_LOG_BYTES {
            return None;
        }
        let mut uploader = subject.open().ok()?;
        let port = NatsPort { wire: self.shared.wire.clone(), attempt: subject.attempt };
        uploader.store(&port, &self.shared.http, Stage::Final).await.ok()?
    }

    fn stored(&mut self, attempt: AttemptKey, manifest: ManifestSummary, missing: Option<String>) {
        self.inputs.push(Input::Stored { attempt, manifest: Box::new(manifest), missing });
    }

    fn upload(&mut self, mut item: Item, uploader: Option<Box<AttemptUploader>>, stage: Stage) {
        item.slot = Slot::Busy;
        item.stored_at = Instant::now();
        let transfer = transfer::Transfer {
            subject: item.subject.clone(),
            stage,
            stop: item.stop.clone(),
            last: item.last.clone(),
            shared: Arc::clone(&self.shared),
            slots: Arc::clone(&self.slots),
        };
        self.items.insert(item.subject.attempt, item);
        let done = self.done.clone();
        self.shared.tracker.spawn(async move {
            // The service is gone only when the agent ends.
            let _ended = done.send(transfer.run(uploader).await);
        });
    }

    async fn on_done(&mut self, done: transfer::Done) {
        let transfer::Done { attempt, stage, uploader, result } = done;
        let Some(mut item) = self.items.remove(&attempt) else { return };
        match (stage, result) {
            (Stage::Final, Ok(manifest)) => {
                let manifest = manifest.unwrap_or_else(ManifestSummary::empty);
                return self.stored(attempt, manifest, None);
            }
            (Stage::Final, Err(Failure::GivenUp(why))) => {
                // What an earlier life of the agent stored, only the uploader knows.
                let before = || uploader.as_ref().and_then(|uploader| uploader.last().cloned());
                let manifest = item.last.or_else(before).unwrap_or_else(ManifestSummary::empty);
                return self.stored(attempt, manifest, Some(why));
            }
            (_, Err(Failure::Fenced)) => return self.inputs.push(Input::Fenced { attempt }),
            (Stage::Final, Err(Failure::Dropped | Failure::Later)) => return,
            (Stage::Running, Ok(Some(manifest))) => {
                item.last = Some(manifest.clone());
                if !item.finishing {
                    let manifest = Box::new(manifest);
                    self.inputs.push(Input::Committed { attempt, manifest });
                }
            }
            (
                Stage::Running,
                Ok(None) | Err(Failure::Dropped | Failure::Later | Failure::GivenUp(_)),
            ) => {}
        }
        item.slot = uploader.map_or(Slot::Closed, Slot::Idle);
        if item.finishing {
            self.finish(item).await;
        } else {
            self.items.insert(attempt, item);
        }
    }

    /// Looks at each running attempt's logs, and starts the uploads that are due.
    fn observe(&mut self) {
        let now = mesh_fabric::time::now();
        let mut due = Vec::new();
        for (attempt, item) in &mut self.items {
            if item.finishing {
                continue;
            }
            if item.grew() {
                self.inputs.push(Input::Output { attempt: *attempt });
            }
            if item.is_due(now) {
                due.push(*attempt);
            }
        }
        for attempt in due {
            let Some(mut item) = self.items.remove(&attempt) else { continue };
            match std::mem::replace(&mut item.slot, Slot::Closed) {
                Slot::Idle(uploader) => self.upload(item, Some(uploader), Stage::Running),
                slot @ (Slot::Closed | Slot::Busy) => {
                    item.slot = slot;
                    self.items.insert(attempt, item);
                }
            }
        }
    }
}
