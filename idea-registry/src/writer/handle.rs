//! The only way in.

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicU64, Ordering},
};

use mesh_fabric::time;
use mesh_ideas_core::{Checked, Unsigned, check, check::sign_own};
use mesh_schemas::{
    ErrorCode, JobId, Problem, Timestamp,
    attempt::JobState,
    idea::{Appended, IdeaId, Say, Submission},
};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::Span;

use crate::{
    halt::Halt,
    identity::Identity,
    near_index::{Found, NearIndex},
};

/// What waits for the writer.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) what: What,
    pub(crate) answer: oneshot::Sender<Result<Appended, Problem>>,
    /// Of who asks: a batch has many.
    pub(crate) span: Span,
}

/// What is wanted.
#[derive(Debug)]
pub(crate) enum What {
    /// Decide and append this.
    Append(Box<Submitted>),
    /// Keep how far a stream was read: its number there, and which stream.
    Position(u64, String),
}

/// A submission, with all that can be known of it before its turn.
#[derive(Debug)]
pub(crate) struct Submitted {
    pub(crate) checked: Checked,
    /// What its text is like.
    pub(crate) found: Found,
}

/// Appends; cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(super) queue: mpsc::Sender<Request>,
    pub(super) identity: Arc<Identity>,
    pub(super) size: watch::Receiver<u64>,
    pub(super) halt: Halt,
    pub(super) asked: Asked,
    pub(super) near: Arc<RwLock<NearIndex>>,
}

/// How many requests the writer was given, and how many of them are decided. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked(Arc<[AtomicU64; 2]>);

/// A request under way; decided, or given up, when it is dropped.
struct UnderWay<'a>(&'a Asked);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.0[1].fetch_add(1, Ordering::Relaxed);
    }
}

impl Asked {
    fn begin(&self) -> UnderWay<'_> {
        self.0[0].fetch_add(1, Ordering::Relaxed);
        UnderWay(self)
    }

    /// Both numbers; what comes between the two looks counts as decided.
    fn numbers(&self) -> (u64, u64) {
        let decided = self.0[1].load(Ordering::Relaxed);
        (self.0[0].load(Ordering::Relaxed).max(decided), decided)
    }
}

impl Handle {
    /// Appends a submission; durable when this returns.
    ///
    /// # Errors
    /// The rule that it breaks, `E_BUSY` when too many wait, `E_STORE_DOWN` when it is unknown whether it was
    /// appended: the same submission may be sent again.
    pub async fn append(&self, submission: &Submission) -> Result<Appended, Problem> {
        self.append_filed(submission, time::now()).await
    }

    /// The same with what waited since `filed`, by another clock than this machine's: what was not of the future
    /// then is not of the future now, whichever of the two clocks is wrong.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub async fn append_filed(
        &self,
        submission: &Submission,
        filed: Timestamp,
    ) -> Result<Appended, Problem> {
        self.halt.check()?;
        let checked = check(submission, time::now().max(filed), &self.identity.authors)?;
        let index = || self.near.read().unwrap_or_else(PoisonError::into_inner);
        let found = checked.near().map(|near| index().search(near)).unwrap_or_default();
        self.ask(What::Append(Box::new(Submitted { checked, found }))).await
    }

    /// Keeps how far a stream was read, once everything up to there is settled.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub(crate) async fn keep_position(&self, at: u64, stream: String) -> Result<(), Problem> {
        self.ask(What::Position(at, stream)).await.map(drop)
    }

    /// Says in the registry's name where a job of an idea is.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub async fn job_state(
        &self,
        idea: IdeaId,
        job: JobId,
        state: JobState,
        job_name: String,
    ) -> Result<Appended, Problem> {
        self.say(Say::Job { idea, job, state, job_name }).await
    }

    /// Destroys the key of a subject, with all that was sealed with it.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub async fn erase(&self, subject: String) -> Result<Appended, Problem> {
        self.say(Say::Erased { subject }).await
    }

    /// How many leaves are durable.
    pub fn size(&self) -> u64 {
        *self.size.borrow()
    }

    /// Tells of each change of the size.
    pub fn sizes(&self) -> watch::Receiver<u64> {
        self.size.clone()
    }

    /// How many requests there were in this life of the process, and how many of them are decided.
    pub(crate) fn asked(&self) -> (u64, u64) {
        self.asked.numbers()
    }

    /// The registry says something in its own name.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub(crate) async fn say(&self, say: Say) -> Result<Appended, Problem> {
        let checked = own(&self.identity, say)?;
        let found = Found::default();
        self.ask(What::Append(Box::new(Submitted { checked, found }))).await
    }

    async fn ask(&self, what: What) -> Result<Appended, Problem> {
        self.halt.check()?;
        let _under_way = self.asked.begin();
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Request { what, answer, span: Span::current() }).map_err(|error| {
            match error {
                mpsc::error::TrySendError::Full(_) => busy(),
                mpsc::error::TrySendError::Closed(_) => stopping(),
            }
        })?;
        answered.await.map_err(|_| stopping())?
    }
}

/// An entry of the registry's own.
pub(super) fn own(identity: &Identity, say: Say) -> Result<Checked, Problem> {
    let unsigned = Unsigned { name: None, time: time::now(), say };
    sign_own(unsigned, &identity.author_key, &identity.authors)
}

fn busy() -> Problem {
    Problem::new(ErrorCode::Busy, "too many entries wait to be appended")
        .hint("try again in a second")
}

fn stopping() -> Problem {
    Problem::new(ErrorCode::LedgerDown, "the registry is stopping").hint("try again")
}
