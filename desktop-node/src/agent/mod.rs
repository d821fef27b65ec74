//! The agent: talks to the mesh for this machine.
//!
//! Promises: it may be killed at any instant and its next life continues where it stood, as the
//! journal and the supervisor know everything; work neither stops nor restarts with it. Three parts
//! share no thread: the engine (core, journal, supervisor's socket), the wire (NATS, beats), and the
//! workers (uploads, downloads). It never spawns, signals or waits for a process of a job itself.

use std::{sync::Arc, time::Duration};

use mesh_fabric::{metrics as exporter, shutdown, telemetry, time::Clock};
use mesh_node_core::{Input, Life, Node, Output, Settings};
use mesh_schemas::{ErrorCode, Problem};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::config::NodeConfig;

mod board;
mod engine;
mod environment;
mod identity;
mod janitor;
pub mod journal;
mod logs;
mod outbox;
mod place;
mod port;
mod prepare;
pub mod report;
mod spares;
mod supervise;
mod uploads;
mod wire;

pub use identity::{IDENTITY_FILE, Identity};

/// Inputs that may wait for the engine; more make their senders wait.
const INPUTS_MAX: usize = 1_024;
/// Questions that may wait; more are dropped.
const QUESTIONS_MAX: usize = 256;
/// Threads for uploads and downloads.
const WORKERS: usize = 2;
/// How long what runs beside the engine may take to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// Runs the agent until it has drained. Blocks.
///
/// # Errors
/// It cannot start, the supervisor is gone, or the journal cannot be written.
pub fn run(config: NodeConfig) -> Result<(), Problem> {
    telemetry::init("mesh-node");
    let io = |error: std::io::Error| {
        Problem::new(ErrorCode::Io, format!("cannot start the agent's threads: {error}"))
    };
    let workers = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("mesh-worker")
        .enable_all()
        .build()
        .map_err(io)?;
    let engine = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(io)?;
    let done = engine.block_on(serve(Arc::new(config), workers.handle().clone()));
    workers.shutdown_timeout(STOP_TIMEOUT);
    done
}

async fn serve(config: Arc<NodeConfig>, workers: tokio::runtime::Handle) -> Result<(), Problem> {
    let shutdown = shutdown::token();
    let stop = CancellationToken::new();
    let (tracker, clock) = (TaskTracker::new(), Clock::start());
    serve_metrics(&config, &stop).await?;
    let identity = identity::LiveIdentity::load(&config.data_dir)?;
    let node_id = identity.first.node;
    let http = mesh_fabric::http::client(identity.first.ca_pem.as_deref())?;
    let supervisor = supervise::connect(&config.data_dir).await?;
    let (mut node, journal) = restore(&config, &clock)?;

    let board = Arc::new(board::Board::new(node.journal()));
    let spares = Arc::new(spares::Spares::default());
    let held = node.attempts().map(|(key, _)| *key);
    let janitor =
        janitor::Janitor::start(&config.data_dir, held, Arc::clone(&board), Arc::clone(&spares))?;
    // What the supervisor holds is known before the first hello names it.
    let mut out = Output::default();
    node.apply(clock.now(), Input::Snapshot(supervisor.held), &mut out);
    board.show(node.journal(), node.attempts().map(|(key, a)| (*key, a.is_over())));

    let (inputs, received) = mpsc::channel(INPUTS_MAX);
    let (questions, asked) = mpsc::channel(QUESTIONS_MAX);
    let (wire, thread) = wire::start(wire::Options {
        reporter: report::Reporter::new(node_id, &config, supervisor.enforces),
        identity,
        board: Arc::clone(&board),
        data_dir: config.data_dir.clone(),
        inputs: inputs.clone(),
        questions,
        stop: stop.clone(),
    })?;
    let (orders, ordered) = mpsc::unbounded_channel();
    let uploads = uploads::Uploads {
        wire: wire.clone(),
        http: http.clone(),
        inputs: inputs.clone(),
        tracker: tracker.clone(),
    };
    tracker.spawn_on(uploads.run(ordered), &workers);
    let logs = logs::run(
        asked,
        wire.clone(),
        Arc::clone(&board),
        config.data_dir.clone(),
        tracker.clone(),
    );
    tracker.spawn(logs);

    tracing::info!(node.id = %node_id, "The agent is up");
    let engine = engine::Engine {
        node,
        journal,
        clock,
        preparer: prepare::Preparer::new(wire.clone(), http, inputs, workers, spares),
        config,
        board,
        wire,
        requests: supervisor.requests,
        uploads: orders,
        ordered: std::collections::BTreeSet::new(),
        janitor,
        outbox: outbox::Outbox::new(node_id, clock.now()),
        shutdown,
        out,
    };
    let done = engine.run(received, supervisor.events).await;
    stop.cancel();
    let closed = tokio::task::spawn_blocking(move || thread.join().is_ok());
    if !matches!(tokio::time::timeout(STOP_TIMEOUT, closed).await, Ok(Ok(true))) {
        tracing::warn!("The thread of the wire did not end in time");
    }
    done
}

async fn serve_metrics(config: &NodeConfig, stop: &CancellationToken) -> Result<(), Problem> {
    let Some(listen) = config.metrics_listen else { return Ok(()) };
    let address = exporter::serve(listen, exporter::install(), stop.clone()).await;
    let address = address.map_err(|error| {
        Problem::new(ErrorCode::Config, format!("cannot listen at {listen}: {error}"))
            .at("metrics_listen")
    })?;
    tracing::info!(%address, "Serving metrics");
    Ok(())
}

/// The node as the journal knows it.
fn restore(config: &NodeConfig, clock: &Clock) -> Result<(Node, journal::Journal), Problem> {
    let io = |error: std::io::Error| {
        Problem::new(ErrorCode::Io, format!("cannot use the journal: {error}"))
    };
    let (mut journal, found) = journal::Journal::open(&config.data_dir).map_err(io)?;
    let spare = mesh_fabric::ids::journal_id();
    let mut boot = crate::linux::boot_id();
    if found.damaged {
        // Numbers of the lost lines may have been recorded: count anew.
        boot = format!("{boot} {spare}");
    }
    let settings = Settings { disconnect_grace: config.disconnect_grace.duration() };
    let life = Life { boot, spare, now: clock.now() };
    let (node, opened) = Node::restore(found.records, settings, life);
    journal.append(opened).map_err(io)?;
    Ok((node, journal))
}
