//! Reading the stream IDEA from the stored position, without acknowledgements.
//!
//! The position moves once everything up to it is settled: appended, or refused for good. What was read and not
//! settled is read again; an entry that is in the log already is known by its id.
//!
//! The position is of one stream, which is known by the time it was made at. Another stream of the name is read
//! from its beginning, however far it has come.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use async_nats::{
    Client, Message,
    connection::State,
    jetstream::{
        self,
        consumer::{
            DeliverPolicy,
            pull::{Ordered, OrderedConfig},
        },
        stream::Stream,
    },
};
use futures::{StreamExt as _, future::join_all};
use mesh_fabric::{backoff::Policy, error::chain, nats::open_stream};
use mesh_schemas::{ErrorCode, Problem, Timestamp, idea::Submission, subject::IDEA};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{health::Part, registry::Shared, store::Cursor, writer};

/// After so long without a message the stream is looked at: it may have been wiped meanwhile.
const QUIET_MAX: Duration = Duration::from_secs(5);
/// How often it is looked whether the connection is the one that the consumer was made on.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Messages that are settled together.
const CHUNK_MAX: usize = 128;
/// How long the next message of a chunk is waited for.
const CHUNK_WAIT: Duration = Duration::from_millis(5);

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Reads the stream.
#[derive(Debug)]
pub(crate) struct Submissions {
    client: Client,
    jetstream: jetstream::Context,
    shared: Shared,
}

/// A message with its place in the stream.
struct Waiting {
    sequence: u64,
    /// When the broker took it.
    filed: Timestamp,
    submission: Option<Submission>,
}

/// Which stream it is, and how far it has come.
struct Made {
    at: String,
    last: u64,
}

impl Made {
    /// Whether a position in the stream that was made at `at` is none in this one.
    fn is_another(&self, at: &str, position: u64) -> bool {
        self.at != at || self.last < position
    }
}

impl Submissions {
    pub(crate) fn new(client: Client, shared: Shared) -> Self {
        Self { jetstream: jetstream::new(client.clone()), client, shared }
    }

    /// Appends what waits until `shutdown`.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        // What is cut off is read again.
        let _stopped = shutdown.run_until_cancelled(self.follow()).await;
    }

    async fn follow(&self) {
        let mut waits = Policy::forever().waits();
        loop {
            self.until_connected().await;
            let begun = Instant::now();
            match self.read().await {
                Ok(()) => debug!("Reading the stream IDEA anew"),
                Err(error) => {
                    let why = chain(&*error);
                    warn!("Reading the stream IDEA failed: {why}");
                    self.shared.health.behind(Part::Stream, why, Instant::now());
                }
            }
            if begun.elapsed() > QUIET_MAX {
                waits = Policy::forever().waits();
            }
            tokio::time::sleep(waits.next().unwrap_or(QUIET_MAX)).await;
        }
    }

    async fn until_connected(&self) {
        while self.client.connection_state() != State::Connected {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Grows with each connection.
    fn connects(&self) -> u64 {
        self.client.statistics().connects.load(Ordering::Relaxed)
    }

    /// Reads until the stream or the connection is another.
    async fn read(&self) -> Result<(), Error> {
        let connects = self.connects();
        let stream = open_stream(&self.jetstream, &IDEA).await?;
        let made = made(&stream).await?;
        let mut position = self.position(&made).await?;
        let mut messages = stream.create_consumer(from(position)).await?.messages().await?;
        debug!(position, "Reading the stream IDEA");
        self.shared.health.well(Part::Stream);
        let mut looked_at = Instant::now();
        loop {
            match timeout(LOOK_EVERY, messages.next()).await {
                Ok(Some(message)) => {
                    let chunk = self.chunk(message?, &mut messages).await?;
                    if self::made(&stream).await?.is_another(&made.at, position) {
                        // Nobody knows of which of the two streams the chunk is.
                        return Ok(());
                    }
                    position = self.settle(chunk, &made).await?;
                }
                Ok(None) => return Err("the consumer ended".into()),
                Err(_) if self.connects() != connects => return Ok(()),
                Err(_) if looked_at.elapsed() < QUIET_MAX => {}
                Err(_) if self::made(&stream).await?.is_another(&made.at, position) => {
                    return Ok(());
                }
                Err(_) => looked_at = Instant::now(),
            }
        }
    }

    /// How far this stream was read.
    async fn position(&self, made: &Made) -> Result<u64, Error> {
        let cursor = self.shared.store.cursor(writer::STREAM_CURSOR).await?;
        let Some(Cursor { value, detail }) = cursor else { return Ok(0) };
        if !made.is_another(&detail, value) {
            return Ok(value);
        }
        info!(position = value, "The stream IDEA is another than was read: reading all of it");
        Ok(0)
    }

    /// This message and those right behind it.
    async fn chunk(
        &self,
        first: jetstream::Message,
        messages: &mut Ordered,
    ) -> Result<Vec<Waiting>, Error> {
        let mut chunk = vec![waiting(&first)?];
        while chunk.len() < CHUNK_MAX {
            match timeout(CHUNK_WAIT, messages.next()).await {
                Ok(Some(message)) => chunk.push(waiting(&message?)?),
                Ok(None) | Err(_) => break,
            }
        }
        Ok(chunk)
    }

    /// Appends all of it, and moves the position behind it.
    async fn settle(&self, chunk: Vec<Waiting>, made: &Made) -> Result<u64, Error> {
        let appends = chunk.iter().map(|waiting| async {
            match &waiting.submission {
                Some(submission) => {
                    self.shared.writer.append_filed(submission, waiting.filed).await.map(drop)
                }
                None => Ok(()),
            }
        });
        for (outcome, waiting) in join_all(appends).await.into_iter().zip(&chunk) {
            match outcome {
                Ok(()) => {}
                Err(problem) if is_final(&problem) => {
                    let sequence = waiting.sequence;
                    warn!(sequence, "A submission from the stream IDEA is refused: {problem}");
                }
                Err(problem) => return Err(problem.into()),
            }
        }
        let last = chunk.last().map_or(0, |waiting| waiting.sequence);
        self.shared.writer.keep_position(last, made.at.clone()).await?;
        Ok(last)
    }
}

/// It will be refused whenever it is tried.
const fn is_final(problem: &Problem) -> bool {
    !matches!(
        problem.code,
        ErrorCode::StoreDown
            | ErrorCode::Busy
            | ErrorCode::Locked
            | ErrorCode::LedgerDown
            | ErrorCode::LedgerRollback
            | ErrorCode::LedgerFork
            | ErrorCode::Integrity
            | ErrorCode::Internal
            | ErrorCode::Io
    )
}

/// What cannot be understood is passed over: no waiting makes it better.
fn waiting(message: &jetstream::Message) -> Result<Waiting, Error> {
    let info = message.info()?;
    let (sequence, filed) = (info.stream_sequence, Timestamp::from(info.published));
    let Message { payload, .. } = &message.message;
    let submission = serde_json::from_slice(payload)
        .inspect_err(|error| {
            warn!(sequence, "A message of the stream IDEA cannot be understood: {error}");
        })
        .ok();
    Ok(Waiting { sequence, filed, submission })
}

async fn made(stream: &Stream) -> Result<Made, Error> {
    let info = stream.get_info().await?;
    Ok(Made { at: info.created.to_rfc3339(), last: info.state.last_sequence })
}

fn from(position: u64) -> OrderedConfig {
    let deliver_policy = match position {
        0 => DeliverPolicy::All,
        position => DeliverPolicy::ByStartSequence { start_sequence: position + 1 },
    };
    OrderedConfig { deliver_policy, ..OrderedConfig::default() }
}
