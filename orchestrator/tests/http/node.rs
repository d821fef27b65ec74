//! A node as the engine sees it, without a process behind it: it joins, and tells what came to pass.

use std::sync::atomic::{AtomicU64, Ordering};

use data_encoding::BASE64;
use mesh_fabric::{ids, time};
use mesh_orchestrator::{app::AppState, engine::FromBus};
use mesh_schemas::{
    AttemptKey, EndClass, JournalId, NodeId,
    manifest::{
        LogSegment, LogStream, Manifest, ManifestOwner, ManifestPlace, ManifestSummary,
        SegmentData, StreamName, TimeMark,
    },
    message::{
        AttemptEnded, Capacity, Enforcement, MESSAGE_VERSION, NodeEvent, NodeEvents, NodeReport,
        Usage,
    },
    quantity::{ByteSize, Cpu},
};
use mesh_tests::wait_for;

use crate::server::{SOON, Server};

pub(crate) struct Node {
    pub(crate) id: NodeId,
    state: AppState,
    journal: JournalId,
    seq: AtomicU64,
}

impl Node {
    /// Joins and says hello, with room for four tasks.
    pub(crate) async fn join(server: &Server, id: NodeId) -> Self {
        let (state, journal) = (server.state.clone(), ids::journal_id());
        let key = nkeys::KeyPair::new_user().public_key();
        state.engine.node_joined(id, "desk".into(), key).await.unwrap();
        let capacity = Capacity {
            cpu: Cpu(4_000),
            memory: ByteSize(8 << 30),
            disk: ByteSize(8 << 30),
            ..Capacity::default()
        };
        let report = NodeReport {
            v: MESSAGE_VERSION,
            node: id,
            journal,
            name: "desk".into(),
            version: "0.1.0".into(),
            labels: Default::default(),
            capacity,
            enforces: Enforcement::default(),
            held: Vec::new(),
            paused: false,
        };
        state.engine.node_hello(Box::new(report)).await.unwrap();
        Self { id, state, journal, seq: AtomicU64::new(0) }
    }

    /// Waits until the job's task 0 is leased with this epoch.
    pub(crate) async fn leased(&self, server: &Server, job: &str, epoch: u32) -> AttemptKey {
        let (http, path) = (server.admin(), format!("/api/v1/jobs/{job}/tasks/0/attempts"));
        wait_for(SOON, "a lease", async || {
            let (_, attempts) = http.get(&path).await.unwrap();
            let last = attempts.as_array().unwrap().last()?.clone();
            let key: AttemptKey = serde_json::from_value(last["attempt"].clone()).unwrap();
            (key.epoch.0 == epoch).then_some(key)
        })
        .await
    }

    /// The attempt ended, leaving this on stdout.
    pub(crate) async fn end(&self, attempt: AttemptKey, exit_code: i32, stdout: &[u8]) {
        let class = if exit_code == 0 { EndClass::Success } else { EndClass::UserError };
        self.tell(NodeEvent::AttemptEnded(Box::new(AttemptEnded {
            attempt,
            started_at: Some(time::now()),
            ended_at: time::now(),
            class,
            exit_code: Some(exit_code),
            signal: None,
            message: None,
            manifest: summary(attempt, stdout),
            usage: Usage::default(),
        })))
        .await;
    }

    async fn tell(&self, event: NodeEvent) {
        let seq = self.seq.fetch_add(1, Ordering::SeqCst) + 1;
        let (node, journal) = (self.id, self.journal);
        let events =
            NodeEvents { v: MESSAGE_VERSION, node, journal, first_seq: seq, events: vec![event] };
        let message = FromBus { position: seq, events: Some(Box::new(events)) };
        assert!(self.state.engine.from_stream(message).await);
    }
}

fn summary(attempt: AttemptKey, stdout: &[u8]) -> ManifestSummary {
    if stdout.is_empty() {
        return ManifestSummary::empty();
    }
    let size = stdout.len() as u64;
    let segment = LogSegment {
        seq: 0,
        offset: 0,
        len: u32::try_from(size).unwrap(),
        marks: vec![TimeMark { offset: 0, at: time::now() }],
        data: SegmentData::Inline(BASE64.encode(stdout)),
    };
    let log = LogStream { stream: StreamName::Stdout, size, segments: vec![segment] };
    let manifest = Manifest {
        v: 1,
        owner: ManifestOwner::Attempt(attempt),
        version: 1,
        complete: true,
        packs: Vec::new(),
        files: Vec::new(),
        checkpoint: Vec::new(),
        logs: vec![log],
    };
    ManifestSummary {
        log_bytes: size,
        place: ManifestPlace::Inline(Box::new(manifest)),
        ..ManifestSummary::empty()
    }
}
