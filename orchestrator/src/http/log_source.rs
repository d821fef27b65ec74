//! One stream of one task's log: what is stored first, then live from the node, then the next attempt.
//!
//! Everything goes by offset within the attempt, so that nothing is missed and nothing comes twice
//! wherever a byte lies when it is asked for. The store says which attempt there is and whether it has
//! ended; the node is only asked about attempts that have not.

use std::{pin::pin, sync::Arc, time::Duration};

use data_encoding::BASE64;
use mesh_schemas::{
    AttemptKey, NodeId, Problem, Span,
    api::AttemptView,
    manifest::{Manifest, StreamName, TimeMark},
    message::{AgentAnswer, AgentAsk},
};

use super::{
    Api, jobs,
    params::TaskPath,
    problem::{ApiError, ApiResult},
    stored_log::stored_size,
    tasks,
};
use crate::engine::JobWatch;

/// Most bytes of one piece.
const PIECE_BYTES: u32 = 64 << 10;
/// How long a node may hold an ask when there is nothing new.
const LIVE_WAIT: Span = Span::from_secs(10);
/// How long its answer may be under way beyond that.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// How long to leave a node alone that has no answer, and to wait for an end to be recorded, when no
/// commit says anything earlier.
const RETRY_EVERY: Duration = Duration::from_millis(500);
/// Between looks at the store while a node is being asked.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Where to begin, and whether to go on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    pub(super) path: TaskPath,
    pub(super) stream: StreamName,
    /// The attempt to begin with; the last one when absent.
    pub(super) epoch: Option<u32>,
    pub(super) offset: u64,
    /// Wait for more, and go on with later attempts, until the task has ended.
    pub(super) follow: bool,
}

/// Some bytes of the stream.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) attempt: AttemptKey,
    pub(super) stream: StreamName,
    pub(super) offset: u64,
    pub(super) marks: Vec<TimeMark>,
    pub(super) data: Vec<u8>,
}

/// Reads one stream from its start to its end.
#[derive(Debug)]
pub(super) struct LogSource {
    api: Api,
    start: Start,
    watch: JobWatch,
    /// The attempt being read.
    current: Option<Current>,
    /// What the store last said is old.
    stale: bool,
}

#[derive(Debug)]
struct Current {
    view: AttemptView,
    offset: u64,
    /// Of the version that it was read at.
    manifest: Option<(u32, Arc<Manifest>)>,
}

/// What came of asking a node.
enum Live {
    Piece(Piece),
    /// Nothing new for now.
    Quiet,
    /// It does not answer, or has not got the attempt, or says that it has ended.
    Nothing,
    /// The store says that the attempt has ended.
    Ended,
}

impl LogSource {
    pub(super) fn new(api: Api, start: Start) -> Self {
        // Subscribed before the first look, so that no commit is missed.
        let watch = api.app.engine.watch_job(start.path.job);
        Self { api, start, watch, current: None, stale: true }
    }

    /// The next piece; `None` at the end.
    pub(super) async fn next(&mut self) -> ApiResult<Option<Piece>> {
        loop {
            if self.stale {
                self.look().await?;
            }
            let Some(current) = &self.current else {
                if self.is_over().await? {
                    return Ok(None);
                }
                self.pause().await;
                continue;
            };
            let has_ended = current.view.ended_at.is_some();
            if let Some(piece) = self.stored().await? {
                return Ok(Some(piece));
            }
            if has_ended {
                if self.next_attempt().await? {
                    continue;
                }
                if self.is_over().await? {
                    return Ok(None);
                }
                self.pause().await;
                continue;
            }
            match self.live().await? {
                Live::Piece(piece) => return Ok(Some(piece)),
                Live::Quiet | Live::Nothing if !self.start.follow => return Ok(None),
                Live::Quiet => {}
                Live::Ended => self.stale = true,
                Live::Nothing => self.pause().await,
            }
        }
    }

    /// Looks up the attempt being read, or the one to begin with.
    async fn look(&mut self) -> ApiResult<()> {
        self.stale = false;
        let wanted = self.current.as_ref().map(|current| current.view.attempt.epoch.0);
        let mut attempts = self.attempts().await?;
        let found = match wanted.or(self.start.epoch) {
            Some(epoch) => attempts.into_iter().find(|view| view.attempt.epoch.0 == epoch),
            None => attempts.pop(),
        };
        match (found, &mut self.current) {
            (Some(view), Some(current)) => current.view = view,
            (Some(view), None) => {
                self.current = Some(Current { view, offset: self.start.offset, manifest: None });
            }
            (None, _) if self.start.epoch.is_some() => {
                return Err(ApiError::not_found("such attempt of the task"));
            }
            (None, _) => {}
        }
        Ok(())
    }

    async fn attempts(&self) -> ApiResult<Vec<AttemptView>> {
        let record = jobs::find(&self.api, self.start.path.job).await?;
        Ok(self.api.app.store.attempts(&record, self.start.path.task).await?)
    }

    /// Nothing will follow what was read so far.
    async fn is_over(&self) -> ApiResult<bool> {
        if !self.start.follow {
            return Ok(true);
        }
        let record = tasks::find(&self.api, self.start.path).await?;
        let task = tasks::one(&self.api, &record, self.start.path.task).await?;
        let last_epoch = task.last.map(|view| view.attempt.epoch);
        let read_epoch = self.current.as_ref().map(|current| current.view.attempt.epoch);
        Ok(task.state.is_terminal() && last_epoch <= read_epoch)
    }

    /// Goes on with the attempt after the one that was read; false when there is none yet.
    async fn next_attempt(&mut self) -> ApiResult<bool> {
        let Some(epoch) = self.current.as_ref().map(|current| current.view.attempt.epoch) else {
            return Ok(false);
        };
        if !self.start.follow {
            return Ok(false);
        }
        let next = self.attempts().await?.into_iter().find(|view| view.attempt.epoch > epoch);
        let found = next.is_some();
        if let Some(view) = next {
            self.current = Some(Current { view, offset: 0, manifest: None });
        }
        Ok(found)
    }

    /// Waits until something about the job has changed, a short while at most.
    async fn pause(&mut self) {
        let _ = tokio::time::timeout(RETRY_EVERY, self.watch.changed()).await;
        self.stale = true;
    }

    /// The next piece of what is stored.
    async fn stored(&mut self) -> Result<Option<Piece>, Problem> {
        let (logs, stream) = (&self.api.stored_logs, self.start.stream);
        let Some(current) = &mut self.current else { return Ok(None) };
        let Some(summary) = &current.view.manifest else { return Ok(None) };
        if current.manifest.as_ref().is_none_or(|(version, _)| *version != summary.version) {
            let manifest = logs.manifest(summary).await?;
            current.manifest = manifest.map(|manifest| (summary.version, manifest));
        }
        let Some((_, manifest)) = &current.manifest else { return Ok(None) };
        if current.offset >= stored_size(manifest, stream) {
            return Ok(None);
        }
        let read = logs.read(manifest, stream, current.offset, PIECE_BYTES as usize).await?;
        Ok(current.take(stream, read.data, read.marks))
    }

    /// Asks the node that holds the attempt. The ask goes on while commits come in; it is given up only
    /// when one of them ended the attempt.
    async fn live(&mut self) -> ApiResult<Live> {
        let Some(current) = &self.current else { return Ok(Live::Nothing) };
        let (attempt, node) = (current.view.attempt, current.view.node);
        let ask = self.ask(attempt, current.offset);
        let bus = self.api.app.bus.clone();
        let mut asking = pin!(ask_node(bus, node, ask));
        loop {
            let looking = async {
                self.watch.changed().await;
                tokio::time::sleep(LOOK_EVERY).await;
            };
            tokio::select! {
                answer = &mut asking => return Ok(self.answered(answer)),
                () = looking => {}
            }
            if self.has_ended(attempt).await? {
                return Ok(Live::Ended);
            }
        }
    }

    const fn ask(&self, attempt: AttemptKey, offset: u64) -> AgentAsk {
        let wait = if self.start.follow { LIVE_WAIT } else { Span::from_secs(0) };
        let stream = self.start.stream;
        AgentAsk::ReadLog { attempt, stream, offset, bytes_max: PIECE_BYTES, wait }
    }

    async fn has_ended(&self, attempt: AttemptKey) -> ApiResult<bool> {
        let attempts = self.attempts().await?;
        let view = attempts.iter().find(|view| view.attempt == attempt);
        Ok(view.is_none_or(|view| view.ended_at.is_some()))
    }

    fn answered(&mut self, answer: Result<AgentAnswer, Problem>) -> Live {
        let Ok(AgentAnswer::Log { data, marks, end }) = answer else { return Live::Nothing };
        let Ok(data) = BASE64.decode(data.as_bytes()) else { return Live::Nothing };
        let Some(current) = &mut self.current else { return Live::Nothing };
        match current.take(self.start.stream, data, marks) {
            Some(piece) => Live::Piece(piece),
            None if end => Live::Nothing,
            None => Live::Quiet,
        }
    }
}

async fn ask_node(
    bus: crate::bus::Handle,
    node: NodeId,
    ask: AgentAsk,
) -> Result<AgentAnswer, Problem> {
    let AgentAsk::ReadLog { wait, .. } = &ask;
    let timeout = wait.duration() + ANSWER_WAIT;
    bus.ask_agent(node, ask, timeout).await
}

impl Current {
    /// Makes a piece of bytes that begin at the offset, and moves on behind them.
    fn take(&mut self, stream: StreamName, data: Vec<u8>, marks: Vec<TimeMark>) -> Option<Piece> {
        let length = u64::try_from(data.len()).ok().filter(|length| *length > 0)?;
        let offset = self.offset;
        self.offset += length;
        Some(Piece { attempt: self.view.attempt, stream, offset, marks, data })
    }
}
