//! Each message has a snapshot in `tests/v1/`: what is written must not change, and what was written
//! by a released version must still be read. `UPDATE_SNAPSHOTS=1` writes new ones.

#![expect(clippy::unwrap_used, reason = "a test may panic, also in what it calls")]

use std::{collections::BTreeMap, fmt::Debug, fs, path::PathBuf};

use mesh_schemas::{
    AttemptKey, ByteSize, Cpu, EndClass, Epoch, ErrorCode, JobId, JobSpec, JournalId, NodeId,
    Problem, Span, Timestamp, TraceParent, UploadId,
    manifest::{
        ChunkRef, Codec, FileEntry, LogSegment, LogStream, Manifest, ManifestOwner, ManifestPlace,
        ManifestRef, ManifestSummary, PackRef, SegmentData, StreamName, TimeMark,
    },
    message::{
        AgentAnswer, AgentAsk, AttemptEnded, Capacity, Enforcement, HeldAttempts, Load, NodeAnswer,
        NodeAsk, NodeBeat, NodeCommand, NodeCommands, NodeEvent, NodeEvents, NodeReport, ObjectPut,
        ObjectUrl, RunSpec, StartTasks, StopAttempts, StopReason, TaskStart, Usage, Welcome,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, value: &T) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/v1/{name}.json"));
    let text = serde_json::to_string_pretty(value).unwrap() + "\n";
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&file, &text).unwrap();
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(kept, text, "{name} is written otherwise than before");
    assert_eq!(&serde_json::from_str::<T>(&kept).unwrap(), value, "{name} is read otherwise");
}

fn node() -> NodeId {
    NodeId::from_uuid(Uuid::from_u128(1))
}

fn journal() -> JournalId {
    JournalId::from_uuid(Uuid::from_u128(2))
}

fn attempt() -> AttemptKey {
    AttemptKey { job: JobId::from_uuid(Uuid::from_u128(3)), task: 7, epoch: Epoch(2) }
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + millis)
}

fn hash(digit: char) -> String {
    digit.to_string().repeat(64)
}

fn manifest_ref() -> ManifestRef {
    ManifestRef { key: "a/x/m1.json".into(), size: 321, blake3: hash('a') }
}

fn chunk() -> ChunkRef {
    ChunkRef { blake3: hash('b'), raw_len: 10, pack: 0, offset: 0, len: 8, codec: Codec::Zstd }
}

fn manifest() -> Manifest {
    let file = FileEntry {
        path: "target/app".parse().unwrap(),
        size: 10,
        blake3: hash('c'),
        executable: true,
        chunks: vec![chunk()],
    };
    let segment = |data| LogSegment {
        seq: 0,
        offset: 0,
        len: 3,
        marks: vec![TimeMark { offset: 0, at: at(5) }],
        data,
    };
    let stream = |stream, data| LogStream { stream, size: 3, segments: vec![segment(data)] };
    Manifest {
        v: 1,
        owner: ManifestOwner::Attempt(attempt()),
        version: 3,
        complete: true,
        packs: vec![PackRef { key: "a/x/p0".into(), size: 8, blake3: hash('d') }],
        files: vec![file.clone()],
        checkpoint: vec![FileEntry { executable: false, ..file }],
        logs: vec![
            stream(StreamName::Stdout, SegmentData::Chunk(chunk())),
            stream(StreamName::Stderr, SegmentData::Inline("b29v".into())),
        ],
    }
}

fn summary(place: ManifestPlace) -> ManifestSummary {
    ManifestSummary { version: 3, files: 1, bytes: 10, log_bytes: 6, checkpoint_files: 1, place }
}

#[test]
fn manifests() {
    check("manifest", &manifest());
    let upload = ManifestOwner::Upload(UploadId::from_uuid(Uuid::from_u128(9)));
    check("manifest-of-upload", &Manifest { owner: upload, logs: vec![], ..manifest() });
    check("summary-empty", &ManifestSummary::empty());
    check("summary-object", &summary(ManifestPlace::Object(manifest_ref())));
    check("summary-inline", &summary(ManifestPlace::Inline(Box::new(manifest()))));
}

#[test]
fn commands() {
    let mut spec = JobSpec::new(["sh", "-c", "echo $MESH_ITEM"]);
    spec.env = BTreeMap::from([("A".into(), "b".into())]);
    spec.workdir = Some("sub".into());
    spec.outputs = vec!["out/**".into()];
    spec.checkpoint = Some("ckpt".into());
    spec.timeouts.run = Some(Span::from_secs(90));
    spec.input = Some(manifest_ref());
    let start = StartTasks {
        job: attempt().job,
        run: RunSpec::from(&spec),
        trace: TraceParent::new(10, 11),
        journal: Some(JournalId::from_uuid(Uuid::from_u128(12))),
        tasks: vec![TaskStart {
            task: 7,
            epoch: Epoch(2),
            item: Some("line".into()),
            checkpoint: Some(manifest_ref()),
        }],
    };
    let stop =
        |reason| NodeCommand::StopAttempts(StopAttempts { attempts: vec![attempt()], reason });
    let commands = vec![
        NodeCommand::StartTasks(Box::new(start)),
        stop(StopReason::Cancelled),
        stop(StopReason::Fenced),
        stop(StopReason::Preempted),
        NodeCommand::Recorded { journal: journal(), seq: 12 },
        NodeCommand::Report,
    ];
    check("node-commands", &NodeCommands { v: 1, leader: 4, commands });
}

#[test]
fn events() {
    let ended = AttemptEnded {
        attempt: attempt(),
        started_at: Some(at(0)),
        ended_at: at(20),
        class: EndClass::UserError,
        exit_code: Some(3),
        signal: None,
        message: Some("no such file".into()),
        manifest: ManifestSummary::empty(),
        usage: Usage { wall_ms: 20, cpu_ms: 11, memory_peak: ByteSize::mib(3) },
    };
    let manifest = Box::new(summary(ManifestPlace::Object(manifest_ref())));
    let events = vec![
        NodeEvent::AttemptStarted { attempt: attempt(), at: at(0) },
        NodeEvent::ManifestCommitted { attempt: attempt(), manifest },
        NodeEvent::AttemptEnded(Box::new(ended)),
    ];
    check(
        "node-events",
        &NodeEvents { v: 1, node: node(), journal: journal(), first_seq: 5, events },
    );
}

fn held() -> Vec<HeldAttempts> {
    vec![HeldAttempts { job: attempt().job, tasks: vec![(7, Epoch(2)), (8, Epoch(1))] }]
}

#[test]
fn beats() {
    let load = Load {
        cpu_millis: 1_500,
        memory_available: ByteSize::mib(900),
        disk_available: ByteSize(12_345),
    };
    check(
        "node-beat",
        &NodeBeat { v: 1, node: node(), journal: journal(), held: held(), paused: false, load },
    );
}

#[test]
fn asks_of_nodes() {
    let report = NodeReport {
        v: 1,
        node: node(),
        journal: journal(),
        name: "desk".into(),
        version: "0.1.0".into(),
        labels: BTreeMap::from([("os".into(), "linux".into())]),
        capacity: Capacity {
            cpu: Cpu(2_000),
            memory: ByteSize::mib(2_048),
            disk: ByteSize::mib(10_000),
            gpu: 1,
            pools: BTreeMap::from([("licence".into(), 3)]),
        },
        enforces: Enforcement { cpu: true, memory: true, tree_kill: true },
        held: held(),
        paused: false,
    };
    check("ask-hello", &NodeAsk::Hello(Box::new(report)));
    let objects = vec![ObjectPut { name: "p0-aa".into(), size: 8 }];
    check("ask-put-urls", &NodeAsk::PutUrls { attempt: attempt(), objects });
    check("ask-get-urls", &NodeAsk::GetUrls { attempt: attempt(), keys: vec!["u/x/p0".into()] });
    let objects = vec![PackRef { key: "a/x/p0".into(), size: 8, blake3: hash('d') }];
    check("ask-check-objects", &NodeAsk::CheckObjects { attempt: attempt(), objects });
    check("ask-renew", &NodeAsk::Renew);
}

#[test]
fn answers_to_nodes() {
    let welcome = Welcome {
        leader: 4,
        recorded_seq: 12,
        beat_every: Span::from_secs(5),
        lease_ttl: Span::from_secs(30),
    };
    check("answer-welcome", &NodeAnswer::Welcome(welcome));
    let url = ObjectUrl {
        key: "a/x/p0".into(),
        url: "http://127.0.0.1:1/b/a/x/p0?sig".into(),
        headers: BTreeMap::from([("if-none-match".into(), "*".into())]),
    };
    check("answer-urls", &NodeAnswer::Urls { urls: vec![url] });
    check("answer-present", &NodeAnswer::Present);
    check("answer-credential", &NodeAnswer::Credential { jwt: "e.y.J".into() });
    let problem = Problem::new(ErrorCode::Fenced, "the lease is over").hint("stop it");
    check("answer-refused", &NodeAnswer::Refused(problem));
}

#[test]
fn asks_of_agents() {
    let ask = AgentAsk::ReadLog {
        attempt: attempt(),
        stream: StreamName::Stderr,
        offset: 100,
        bytes_max: 65_536,
        wait: Span::from_secs(1),
    };
    check("agent-ask-read-log", &ask);
    let answer = AgentAnswer::Log {
        data: "b29v".into(),
        marks: vec![TimeMark { offset: 100, at: at(1) }],
        end: true,
    };
    check("agent-answer-log", &answer);
}

#[test]
fn a_job_spec_with_every_field() {
    let text = include_str!("v1/job-spec.yaml");
    let spec = JobSpec::from_text(text.as_bytes()).unwrap();
    check("job-spec", &spec);
}
