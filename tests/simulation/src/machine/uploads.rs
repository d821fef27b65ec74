//! How an agent's attempts reach the object store: the real bookkeeping, in the order of the real
//! pipeline, step by step, so that the agent may die and the store may misbehave between any two.
//!
//! The order: packs, each recorded when it is stored; a look that all are there; the manifest's version,
//! into the state file; the manifest; a look that it is there; the state file again, and then the word to
//! the core.

mod look;
mod outcome;

use std::collections::VecDeque;

use mesh_artifacts_core::{
    log::Growth,
    pack::SealedPack,
    state::{Contents, Draft, UploadState, prefix},
};
use mesh_node_core::Input;
use mesh_schemas::{
    AttemptKey, ErrorCode,
    manifest::{ManifestOwner, ManifestSummary, PackRef},
};

use super::{Around, Machine, OnNode};
use crate::{
    env::{Env, Payload, Wanted, Way},
    objects::Put,
    planted::Bug,
    stats::Kind,
};

/// How long an ask waits for its answer, in milliseconds.
const ASK_TIMEOUT: u64 = 10_000;
/// How often a step is tried before its cycle is given up.
const TRIES_MAX: u32 = 6;

/// What an upload waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Got {
    /// An orchestrator's answer.
    Answer(Result<(), ErrorCode>),
    /// The store's answer.
    Put(Put),
    /// No answer came.
    Nothing,
    /// The time to try again, or to begin.
    Now,
}

/// Where an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Between two cycles.
    Idle,
    /// A pack: its URL, its upload, and a look when it was there already.
    PackUrl,
    PackPut,
    PackLook,
    /// A look at all packs.
    Packs,
    /// The manifest: its URL, its upload, and a look at it.
    ManifestUrl,
    ManifestPut,
    ManifestLook,
}

/// What the uploader keeps between cycles; the state is also on the disk.
#[derive(Debug)]
struct Books {
    state: UploadState,
    growth: Growth,
}

/// One cycle's work.
#[derive(Debug)]
struct Work {
    complete: bool,
    contents: Contents,
    packs: VecDeque<SealedPack>,
    draft: Option<Draft>,
}

/// The uploads of one attempt, in one life of the agent.
#[derive(Debug)]
pub(crate) struct Upload {
    every: u64,
    outputs: bool,
    checkpoint: bool,
    books: Option<Books>,
    work: Option<Work>,
    step: Step,
    /// What is awaited carries this number; anything else is late.
    token: u64,
    tries: u32,
    failures: u32,
    /// The last upload has begun so often.
    finals: u32,
    /// It is over; the last upload is wanted.
    finishing: bool,
    /// The cycle under way, or the next, is the last.
    last_cycle: bool,
    last: Option<ManifestSummary>,
}

impl Upload {
    fn owner(attempt: AttemptKey) -> ManifestOwner {
        ManifestOwner::Attempt(attempt)
    }
}

impl Machine {
    fn upload(&mut self, attempt: AttemptKey) -> Option<&mut Upload> {
        self.agent.as_mut()?.uploads.get_mut(&attempt)
    }

    /// A new number for what is awaited next.
    fn token(&mut self, attempt: AttemptKey) -> u64 {
        self.asks += 1;
        let token = self.asks;
        if let Some(upload) = self.upload(attempt) {
            upload.token = token;
        }
        token
    }

    fn expect(&self, env: &mut Env, wait: u64, attempt: AttemptKey, token: u64, got: Got) {
        self.after(env, wait, OnNode::Upload { agent: self.agents, attempt, token, got });
    }

    /// It runs: look after its output.
    pub(super) fn watch(&mut self, env: &mut Env, attempt: AttemptKey) {
        let Some(agent) = &mut self.agent else { return };
        if agent.uploads.contains_key(&attempt) {
            return;
        }
        let Some(held) = agent.node.attempt(attempt) else { return };
        let run = &held.job.run;
        let every = u64::try_from(run.upload.every.duration().as_millis()).unwrap_or(u64::MAX);
        let (outputs, checkpoint) = (!run.outputs.is_empty(), run.checkpoint.is_some());
        let upload = Upload {
            every,
            outputs,
            checkpoint,
            books: None,
            work: None,
            step: Step::Idle,
            token: 0,
            tries: 0,
            failures: 0,
            finals: 0,
            finishing: false,
            last_cycle: false,
            last: None,
        };
        agent.uploads.insert(attempt, upload);
        let token = self.token(attempt);
        self.expect(env, every, attempt, token, Got::Now);
    }

    /// It is over: store the rest.
    pub(super) fn store_final(&mut self, around: &mut Around<'_>, attempt: AttemptKey) {
        self.watch(around.env, attempt);
        let Some(upload) = self.upload(attempt) else { return };
        upload.finishing = true;
        // Its present upload comes back first.
        if upload.step == Step::Idle && !upload.last_cycle {
            self.begin(around, attempt);
        }
    }

    /// Something that an upload waited for.
    pub(super) fn upload_got(
        &mut self,
        around: &mut Around<'_>,
        attempt: AttemptKey,
        token: u64,
        got: Got,
    ) {
        let Some(upload) = self.upload(attempt) else { return };
        if upload.token != token {
            return;
        }
        // A second answer to the same question is late.
        upload.token = 0;
        match (upload.step, got) {
            (Step::Idle, _) => self.begin(around, attempt),
            (_, Got::Now) => self.try_step(around, attempt),
            (_, Got::Nothing) => self.failed(around, attempt, ErrorCode::Unreachable),
            (_, Got::Answer(Err(code))) => self.failed(around, attempt, code),
            (_, Got::Answer(Ok(()))) => self.answered(around, attempt),
            (Step::PackPut, Got::Put(Put::AlreadyThere)) => {
                // The name holds the hash: it is this pack of an earlier try, when it is whole.
                upload.step = Step::PackLook;
                self.try_step(around, attempt);
            }
            (Step::PackPut | Step::ManifestPut, Got::Put(Put::Failed)) => {
                // Another URL for the next try: this one may have expired.
                let manifest = upload.step == Step::ManifestPut;
                upload.step = if manifest { Step::ManifestUrl } else { Step::PackUrl };
                self.failed(around, attempt, ErrorCode::ObjectsDown);
            }
            (_, Got::Put(_)) => self.stored(around, attempt),
        }
    }

    /// Begins a cycle.
    fn begin(&mut self, around: &mut Around<'_>, attempt: AttemptKey) {
        let Some(complete) = self.upload(attempt).map(|upload| upload.finishing) else { return };
        self.open_books(around.env, attempt);
        if let Some(upload) = self.upload(attempt) {
            upload.last_cycle = complete;
            upload.tries = 0;
            upload.finals += u32::from(complete);
            if upload.finals > 1 {
                around.env.stats.count(Kind::FinalAgain);
            }
        }
        if let Some(done) = self.done_at_once(around.env, attempt, complete) {
            return self.finished(around, attempt, Some(done));
        }
        let Some(work) = self.look_around(around.env, attempt, complete) else { return };
        if let Some(upload) = self.upload(attempt) {
            upload.work = Some(work);
        }
        self.advance(around, attempt);
    }

    /// The next step of a cycle.
    fn advance(&mut self, around: &mut Around<'_>, attempt: AttemptKey) {
        let bug = around.env.options.bug;
        let Some(upload) = self.upload(attempt) else { return };
        let (Some(books), Some(work)) = (&mut upload.books, &mut upload.work) else { return };
        if bug == Some(Bug::ManifestBeforeChunks) {
            for pack in &work.packs {
                books.state.stored.record(pack_ref(attempt, pack), pack.chunks.clone());
            }
            books.state.stored.packs_checked = books.state.stored.packs.len();
        }
        upload.step = if !work.packs.is_empty() && bug != Some(Bug::ManifestBeforeChunks) {
            Step::PackUrl
        } else if !books.state.is_news(&work.contents, work.complete) {
            // Files that were read again and had not changed need not be read a third time.
            books.state.contents = std::mem::take(&mut work.contents);
            return self.finished(around, attempt, None);
        } else if bug == Some(Bug::StoreBelieved) {
            books.state.stored.packs_checked = books.state.stored.packs.len();
            Step::ManifestUrl
        } else if books.state.stored.unchecked().is_empty() {
            Step::ManifestUrl
        } else {
            Step::Packs
        };
        upload.tries = 0;
        let draft = upload.step == Step::ManifestUrl;
        if draft {
            work.draft = books.state.draft(&work.contents, work.complete);
        }
        // Its version is taken, durably, before it goes anywhere.
        if draft && bug != Some(Bug::VersionForgotten) && !self.save(around.env, attempt) {
            return self.cycle_failed(around, attempt, ErrorCode::Io);
        }
        self.try_step(around, attempt);
    }

    /// Does the step that the upload stands at, for the first time or again.
    fn try_step(&mut self, around: &mut Around<'_>, attempt: AttemptKey) {
        let token = self.token(attempt);
        let Some(upload) = self.upload(attempt) else { return };
        let (Some(books), Some(work)) = (&upload.books, &upload.work) else { return };
        let draft = work.draft.as_ref();
        let wanted = match upload.step {
            Step::Idle => return,
            Step::PackUrl | Step::ManifestUrl => Wanted::PutUrl,
            Step::PackPut => {
                let Some(pack) = work.packs.front() else { return };
                let (object, bytes) = (pack_ref(attempt, pack), pack.bytes.clone());
                return self.put(around, attempt, token, &object.key, bytes);
            }
            Step::ManifestPut => {
                let Some(draft) = draft else { return };
                let (key, bytes) = (draft.object.key.clone(), draft.bytes.clone());
                around.env.observer.versioned(attempt, draft.summary.version, &key);
                return self.put(around, attempt, token, &key, bytes);
            }
            Step::PackLook => Wanted::Check(
                work.packs.front().map(|p| pack_ref(attempt, p)).into_iter().collect(),
            ),
            Step::Packs => Wanted::Check(books.state.stored.unchecked().to_vec()),
            Step::ManifestLook => {
                Wanted::Check(draft.map(|d| d.object.clone()).into_iter().collect())
            }
        };
        let way = Way::Up { node: self.index };
        around.env.send(way, Payload::Ask { ask: token, attempt, wanted });
        self.expect(around.env, ASK_TIMEOUT, attempt, token, Got::Nothing);
    }

    fn put(
        &self,
        around: &mut Around<'_>,
        attempt: AttemptKey,
        token: u64,
        key: &str,
        bytes: Vec<u8>,
    ) {
        let (wait, put) = around.objects.put(around.env, self.index, key, bytes);
        self.expect(around.env, wait, attempt, token, Got::Put(put));
    }

    /// An orchestrator said yes.
    fn answered(&mut self, around: &mut Around<'_>, attempt: AttemptKey) {
        let Some(upload) = self.upload(attempt) else { return };
        match upload.step {
            Step::PackUrl => upload.step = Step::PackPut,
            Step::ManifestUrl => upload.step = Step::ManifestPut,
            Step::PackLook => return self.pack_stored(around, attempt),
            Step::Packs => {
                if let Some(books) = &mut upload.books {
                    books.state.stored.packs_checked = books.state.stored.packs.len();
                }
                return self.advance(around, attempt);
            }
            Step::ManifestLook => return self.manifest_stored(around, attempt),
            Step::Idle | Step::PackPut | Step::ManifestPut => return,
        }
        self.try_step(around, attempt);
    }

    /// The store said that it has it.
    fn stored(&mut self, around: &mut Around<'_>, attempt: AttemptKey) {
        let Some(upload) = self.upload(attempt) else { return };
        match upload.step {
            Step::PackPut => self.pack_stored(around, attempt),
            Step::ManifestPut => {
                upload.step = Step::ManifestLook;
                self.try_step(around, attempt);
            }
            Step::Idle
            | Step::PackUrl
            | Step::PackLook
            | Step::Packs
            | Step::ManifestUrl
            | Step::ManifestLook => {}
        }
    }

    fn pack_stored(&mut self, around: &mut Around<'_>, attempt: AttemptKey) {
        let Some(upload) = self.upload(attempt) else { return };
        let (Some(books), Some(work)) = (&mut upload.books, &mut upload.work) else { return };
        if let Some(pack) = work.packs.pop_front() {
            books.state.stored.record(pack_ref(attempt, &pack), pack.chunks);
        }
        match self.save(around.env, attempt) {
            true => self.advance(around, attempt),
            false => self.cycle_failed(around, attempt, ErrorCode::Io),
        }
    }

    fn manifest_stored(&mut self, around: &mut Around<'_>, attempt: AttemptKey) {
        let Some(upload) = self.upload(attempt) else { return };
        let (Some(books), Some(work)) = (&mut upload.books, &mut upload.work) else { return };
        let Some(draft) = work.draft.take() else { return };
        let complete = work.complete;
        books.state.commit(std::mem::take(&mut work.contents), complete, draft.summary.clone());
        let stdout = books.state.contents.stdout.size;
        books.growth.stored_up_to(stdout);
        let late = std::mem::take(&mut work.packs);
        if !self.save(around.env, attempt) {
            return self.cycle_failed(around, attempt, ErrorCode::Io);
        }
        let kind = if complete { Kind::ManifestFinal } else { Kind::ManifestRunning };
        around.env.stats.count(kind);
        self.finished(around, attempt, Some(draft.summary));
        // Only a planted bug leaves any for now.
        for pack in late {
            let key = pack_ref(attempt, &pack).key;
            around.objects.put(around.env, self.index, &key, pack.bytes);
        }
    }

    /// Writes the state file, durably; false when there is no room.
    fn save(&mut self, env: &mut Env, attempt: AttemptKey) -> bool {
        if self.disk.is_full(env) {
            env.stats.code(ErrorCode::Io);
            return false;
        }
        let books = self.upload(attempt).and_then(|upload| upload.books.as_ref());
        let state = books.map(|books| books.state.clone());
        if let Some(dir) = self.disk.dirs.get_mut(&attempt) {
            dir.state = state;
        }
        true
    }

    /// A step did not succeed.
    fn failed(&mut self, around: &mut Around<'_>, attempt: AttemptKey, code: ErrorCode) {
        around.env.stats.code(code);
        let Some(upload) = self.upload(attempt) else { return };
        if code == ErrorCode::Fenced {
            around.env.stats.count(Kind::UploadFenced);
            if let Some(agent) = &mut self.agent {
                agent.uploads.remove(&attempt);
            }
            return self.apply(around, Input::Fenced { attempt });
        }
        if heals(code) {
            upload.tries += 1;
            if upload.tries < TRIES_MAX {
                let wait = (100 << upload.tries).min(5_000);
                around.env.stats.count(Kind::UploadTriedAgain);
                let token = self.token(attempt);
                return self.expect(around.env, wait, attempt, token, Got::Now);
            }
        } else if upload.step == Step::Packs
            && let Some(books) = &mut upload.books
        {
            around.env.stats.count(Kind::PacksForgotten);
            books.state.stored.forget_unchecked();
        }
        self.cycle_failed(around, attempt, code);
    }
}

fn pack_ref(attempt: AttemptKey, pack: &SealedPack) -> PackRef {
    let key = format!("{}{}", prefix(Upload::owner(attempt)), pack.name);
    PackRef { key, size: pack.bytes.len() as u64, blake3: pack.blake3.clone() }
}

/// Somebody is out of reach who may return.
fn heals(code: ErrorCode) -> bool {
    code.exit_code() == ErrorCode::ObjectsDown.exit_code() && code != ErrorCode::Io
}
