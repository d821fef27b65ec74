//! The line to the orchestrator: one NATS connection, served by a thread of its own.
//!
//! Beats leave from that thread, so that a machine full of work is not mistaken for a dead one: the
//! connection, the beats and the hellos share a small runtime that does nothing else. Everything that
//! arrives is decoded here; what cannot be decoded is counted and forgotten.

use std::{sync::Arc, time::Duration};

use async_nats::connection::State;
use bytes::Bytes;
use mesh_fabric::nats::{Connect, Credential};
use mesh_node_core::{Input, Welcomed};
use mesh_schemas::{
    ErrorCode, NodeId, Problem, TraceParent,
    message::{NodeAnswer, NodeAsk, Welcome},
    subject,
};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::{board::Board, identity::LiveIdentity, report::Reporter};

mod beat;
mod listen;
mod renew;

pub(super) use listen::Question;

/// Longest wait for the answer to an ask.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);
/// Bounds of the wait before a hello is said again.
const HELLO_RETRY_MIN: Duration = Duration::from_millis(250);
const HELLO_RETRY_MAX: Duration = Duration::from_secs(5);
/// How often it is looked at whether the connection is a new one.
const CONNECTION_CHECK_EVERY: Duration = Duration::from_millis(100);

/// What the thread needs.
pub(super) struct Options {
    pub(super) identity: LiveIdentity,
    pub(super) reporter: Reporter,
    pub(super) board: Arc<Board>,
    pub(super) data_dir: std::path::PathBuf,
    /// Where commands and welcomes go.
    pub(super) inputs: mpsc::Sender<Input>,
    /// Where questions go.
    pub(super) questions: mpsc::Sender<Question>,
    pub(super) stop: CancellationToken,
}

/// The way to the orchestrator; cheap to clone.
#[derive(Clone)]
pub(super) struct Wire {
    client: async_nats::Client,
    node: NodeId,
    signals: Arc<Signals>,
}

/// What others want of the thread.
#[derive(Default)]
struct Signals {
    beat: Notify,
    hello: Notify,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Wire {
    /// Beats soon.
    pub(super) fn beat(&self) {
        self.signals.beat.notify_one();
    }

    /// Says hello soon.
    pub(super) fn hello(&self) {
        self.signals.hello.notify_one();
    }

    /// True while what is published leaves at once.
    pub(super) fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Sends a batch of events. They may be lost on the way: the journal sends them again.
    pub(super) async fn publish_events(&self, trace: Option<TraceParent>, payload: Vec<u8>) {
        // No `Nats-Msg-Id`: a repetition is sent because the first one may not have been recorded,
        // and the stream must not swallow it. The journal's numbers tell repetitions apart.
        let headers = trace.map(mesh_fabric::nats::traced_headers).unwrap_or_default();
        let subject = subject::node_event(self.node);
        let sending = self.client.publish_with_headers(subject, headers, payload.into());
        if let Ok(Err(error)) = tokio::time::timeout(ASK_TIMEOUT, sending).await {
            tracing::debug!(%error, "Events were not sent");
        }
    }

    /// Answers a question of the orchestrator.
    pub(super) async fn reply(&self, to: String, payload: Vec<u8>) {
        if let Err(error) = self.client.publish(to, payload.into()).await {
            tracing::debug!(%error, "An answer was not sent");
        }
    }

    /// Asks the orchestrator.
    ///
    /// # Errors
    /// `E_UNREACHABLE` when no answer came, otherwise the problem that it answered.
    pub(super) async fn ask(&self, ask: &NodeAsk) -> Result<NodeAnswer, Problem> {
        let unreachable = |why: String| Problem::new(ErrorCode::Unreachable, why);
        let payload = serde_json::to_vec(ask).map_err(|e| unreachable(e.to_string()))?;
        let request =
            async_nats::Request::new().payload(Bytes::from(payload)).timeout(Some(ASK_TIMEOUT));
        let answer = self.client.send_request(subject::node_ask(self.node), request).await;
        let answer = answer
            .map_err(|error| unreachable(format!("the orchestrator does not answer: {error}")))?;
        match serde_json::from_slice(&answer.payload) {
            Ok(NodeAnswer::Refused(problem)) => Err(problem),
            Ok(answer) => Ok(answer),
            Err(error) => {
                Err(Problem::new(ErrorCode::Internal, format!("the answer is none: {error}")))
            }
        }
    }
}

/// Starts the thread; returns when it can be talked to. It ends when `options.stop` is cancelled.
///
/// # Errors
/// A credential, CA or address that no waiting heals; `E_IO` when there is no thread.
pub(super) fn start(options: Options) -> Result<(Wire, std::thread::JoinHandle<()>), Problem> {
    let (ready, connected) = std::sync::mpsc::channel();
    let io = |error: std::io::Error| {
        Problem::new(ErrorCode::Io, format!("cannot start the thread of the wire: {error}"))
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(io)?;
    let thread = std::thread::Builder::new()
        .name("mesh-wire".into())
        .spawn(move || runtime.block_on(serve(options, &ready)))
        .map_err(io)?;
    let gone = |_| Problem::new(ErrorCode::Internal, "the thread of the wire ended");
    let wire = connected.recv().map_err(gone)??;
    Ok((wire, thread))
}

async fn serve(options: Options, ready: &std::sync::mpsc::Sender<Result<Wire, Problem>>) {
    let wire = match connect(&options).await {
        Ok(wire) => wire,
        Err(problem) => {
            // The receiver waits for exactly this.
            let _gone = ready.send(Err(problem));
            return;
        }
    };
    let _gone = ready.send(Ok(wire.clone()));
    let beats = beat::Beats::default();
    tokio::select! {
        () = options.stop.cancelled() => {}
        () = listen::commands(&wire, &options) => {}
        () = listen::questions(&wire, &options) => {}
        () = greet(&wire, &options, &beats) => {}
        () = beat::run(&wire, &options, &beats) => {}
        () = renew::run(&wire, &options) => {}
    }
    // What was published just before the end is still on its way to the socket.
    let flushed = tokio::time::timeout(Duration::from_secs(1), wire.client.flush()).await;
    tracing::debug!(flushed = matches!(flushed, Ok(Ok(()))), "The wire is closed");
}

async fn connect(options: &Options) -> Result<Wire, Problem> {
    let identity = &options.identity.first;
    let credential =
        Credential::NodeKey { seed: identity.seed.clone(), jwt: Arc::clone(&options.identity.jwt) };
    let client = mesh_fabric::nats::connect(Connect {
        inbox_prefix: Some(subject::node_inbox(identity.node)),
        ca_pem: identity.ca_pem.clone(),
        wait_for_server: true,
        ..Connect::new(identity.nats_urls.clone(), credential, format!("agent {}", identity.node))
    })
    .await?;
    Ok(Wire { client, node: identity.node, signals: Arc::default() })
}

/// Says hello at each new connection and whenever it is asked for, until it is welcome.
async fn greet(wire: &Wire, options: &Options, beats: &beat::Beats) {
    let mut greeted = 0;
    loop {
        let connects = wire.client.statistics().connects.load(std::sync::atomic::Ordering::Relaxed);
        if wire.is_connected() && connects != greeted {
            greeted = connects;
            say_hello(wire, options, beats).await;
        }
        tokio::select! {
            () = wire.signals.hello.notified() => say_hello(wire, options, beats).await,
            () = tokio::time::sleep(CONNECTION_CHECK_EVERY) => {}
        }
    }
}

async fn say_hello(wire: &Wire, options: &Options, beats: &beat::Beats) {
    let mut wait = HELLO_RETRY_MIN;
    loop {
        let report = options.reporter.report(&options.board);
        let journal = report.journal;
        match wire.ask(&NodeAsk::Hello(Box::new(report))).await {
            Ok(NodeAnswer::Welcome(welcome)) => {
                tracing::info!(leader = welcome.leader, "The orchestrator welcomes this node");
                on_welcome(wire, options, beats, journal, &welcome).await;
                return;
            }
            Ok(_) => tracing::warn!("The hello was answered by something else than a welcome"),
            Err(problem) => {
                tracing::warn!(code = %problem.code, "Not welcome yet: {}", problem.detail);
            }
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(HELLO_RETRY_MAX);
    }
}

async fn on_welcome(
    wire: &Wire,
    options: &Options,
    beats: &beat::Beats,
    journal: mesh_schemas::JournalId,
    welcome: &Welcome,
) {
    beats.set_every(welcome.beat_every.duration());
    let input = Input::Welcome(Welcomed {
        leader: welcome.leader,
        journal,
        recorded_seq: welcome.recorded_seq,
        spare: mesh_fabric::ids::journal_id(),
    });
    // The engine is gone only when the agent ends.
    let _ended = options.inputs.send(input).await;
    wire.beat();
}
