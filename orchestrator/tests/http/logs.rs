//! Logs: from where they are stored, then live, then of the next attempt; no byte missing or doubled.

use std::sync::{Arc, Mutex};

use data_encoding::BASE64;
use futures::StreamExt as _;
use mesh_fabric::{ids, time};
use mesh_schemas::{
    AttemptKey, ErrorCode, Problem,
    api::LogPiece,
    manifest::{StreamName, TimeMark},
    message::{AgentAnswer, AgentAsk},
    subject,
};
use mesh_tests::{
    nats::{NatsServer, NodeUser},
    wait_until,
};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::{
    events::Events,
    node::Node,
    server::{SOON, Server},
};

/// What attempts have written to stdout.
type Files = Mutex<Vec<(AttemptKey, Vec<u8>)>>;

/// Answers for the files of attempts, as a node's agent does.
struct Agent {
    files: Arc<Files>,
    grown: watch::Sender<()>,
}

impl Agent {
    async fn start(nats: &NatsServer, user: &NodeUser) -> Self {
        let client = nats.connect_node(user).await.unwrap();
        let asks = client.subscribe(subject::agent_ask(user.node)).await.unwrap();
        client.flush().await.unwrap();
        let agent = Self { files: Arc::default(), grown: watch::Sender::new(()) };
        let (files, grown) = (Arc::clone(&agent.files), agent.grown.subscribe());
        TaskTracker::new().spawn(asks.for_each_concurrent(None, move |message| {
            let (client, files, grown) = (client.clone(), Arc::clone(&files), grown.clone());
            async move {
                let ask = serde_json::from_slice(&message.payload).unwrap();
                let answer = serde_json::to_vec(&read(&files, grown, ask).await).unwrap();
                client.publish(message.reply.unwrap(), answer.into()).await.unwrap();
            }
        }));
        agent
    }

    fn write(&self, attempt: AttemptKey, bytes: &[u8]) {
        let mut files = self.files.lock().unwrap();
        match files.iter_mut().find(|(key, _)| *key == attempt) {
            Some((_, file)) => file.extend_from_slice(bytes),
            None => files.push((attempt, bytes.to_vec())),
        }
        self.grown.send_replace(());
    }
}

async fn read(files: &Files, mut grown: watch::Receiver<()>, ask: AgentAsk) -> AgentAnswer {
    let AgentAsk::ReadLog { attempt, stream, offset, bytes_max, wait } = ask;
    let look = || {
        let files = files.lock().unwrap();
        let file = files.iter().find(|(key, _)| *key == attempt)?;
        let begin = usize::try_from(offset).unwrap().min(file.1.len());
        Some(file.1[begin..].iter().copied().take(bytes_max as usize).collect::<Vec<u8>>())
    };
    let refused =
        || AgentAnswer::Refused(Problem::new(ErrorCode::NotFound, "no such attempt here"));
    grown.borrow_and_update();
    let Some(mut data) = look() else { return refused() };
    if stream == StreamName::Stderr {
        data.clear();
    }
    while data.is_empty() {
        match tokio::time::timeout(wait.duration(), grown.changed()).await {
            Ok(Ok(())) if stream == StreamName::Stdout => data = look().unwrap_or_default(),
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => break,
        }
    }
    let marks = vec![TimeMark { offset, at: time::now() }];
    AgentAnswer::Log { data: BASE64.encode(&data), marks, end: false }
}

/// Checks that pieces follow each other without a gap, attempt by attempt.
#[derive(Default)]
struct Reader {
    seq: u64,
    texts: Vec<(AttemptKey, Vec<u8>)>,
}

impl Reader {
    fn take(&mut self, data: serde_json::Value) {
        let piece: LogPiece = serde_json::from_value(data).unwrap();
        assert_eq!(piece.seq, self.seq);
        self.seq += 1;
        if self.texts.last().is_none_or(|(attempt, _)| *attempt != piece.attempt) {
            self.texts.push((piece.attempt, Vec::new()));
        }
        let text = &mut self.texts.last_mut().unwrap().1;
        assert_eq!(piece.offset, text.len() as u64, "a gap or a doubled piece");
        text.extend(BASE64.decode(piece.data.as_bytes()).unwrap());
    }

    fn text(&self) -> String {
        let last = self.texts.last().map(|(_, text)| text.clone());
        String::from_utf8(last.unwrap_or_default()).unwrap()
    }
}

async fn read_until(events: &mut Events, reader: &mut Reader, text: &str) {
    while reader.text() != text {
        let event = events.next().await.expect("the stream goes on");
        assert_eq!(event.name, "log", "{event:?}");
        reader.take(event.data);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_followed_log_goes_from_the_node_to_the_store_to_the_next_attempt() {
    let nats = NatsServer::start();
    let server = Server::start_on(&nats).await;
    wait_until(SOON, "the broker", async || server.state.bus.connected()).await;
    let user = nats.new_node();
    let agent = Agent::start(&nats, &user).await;
    let node = Node::join(&server, user.node).await;
    let job = server.submit(json!({"command": ["x"], "retries": {"user_error": 1}})).await;
    let first = node.leased(&server, &job, 1).await;

    let path = format!("/api/v1/jobs/{job}/tasks/0/logs?stream=stdout&follow=true");
    let mut events = Events::open(&server.admin(), &path, None).await;
    let mut reader = Reader::default();
    agent.write(first, b"one ");
    read_until(&mut events, &mut reader, "one ").await;
    let begin = std::time::Instant::now();
    agent.write(first, b"two ");
    read_until(&mut events, &mut reader, "one two ").await;
    assert!(begin.elapsed().as_millis() < 1_000, "a live line took {:?}", begin.elapsed());

    // The last bytes never were read from the node: they come from what was stored.
    node.end(first, 1, b"one two three").await;
    read_until(&mut events, &mut reader, "one two three").await;

    let second = node.leased(&server, &job, 2).await;
    agent.write(second, b"again");
    read_until(&mut events, &mut reader, "again").await;
    node.end(second, 0, b"again and out").await;
    read_until(&mut events, &mut reader, "again and out").await;
    assert_eq!(events.next().await.unwrap().name, "end");
    assert_eq!(events.next().await, None);
    let attempts: Vec<_> = reader.texts.iter().map(|(attempt, _)| *attempt).collect();
    assert_eq!(attempts, [first, second]);
}

#[tokio::test]
async fn a_stored_log_is_read_from_any_offset_and_of_any_attempt() {
    let server = Server::start().await;
    let node = Node::join(&server, ids::node_id()).await;
    let job = server.submit(json!({"command": ["x"], "retries": {"user_error": 1}})).await;
    let first = node.leased(&server, &job, 1).await;
    node.end(first, 1, b"first").await;
    let second = node.leased(&server, &job, 2).await;
    node.end(second, 0, b"second").await;
    let waited = format!("/api/v1/jobs/{job}?wait=20s");
    assert_eq!(server.admin().get(&waited).await.unwrap().1["state"], "succeeded");
    for (query, text) in [
        ("", "second"),
        ("?stream=stdout", "second"),
        ("?stream=stdout&offset=3", "ond"),
        ("?stream=stdout&offset=6", ""),
        ("?stream=stdout&offset=600&follow=true", ""),
        ("?stream=stderr", ""),
        ("?epoch=1", "first"),
        ("?follow=true", "second"),
    ] {
        let path = format!("/api/v1/jobs/{job}/tasks/0/logs{query}");
        let mut events = Events::open(&server.admin(), &path, None).await;
        let mut read = Vec::new();
        let end = loop {
            let event = events.next().await.unwrap();
            if event.name != "log" {
                break event.name;
            }
            let piece: LogPiece = serde_json::from_value(event.data).unwrap();
            read.extend(BASE64.decode(piece.data.as_bytes()).unwrap());
        };
        assert_eq!(
            (String::from_utf8(read).unwrap().as_str(), end.as_str()),
            (text, "end"),
            "{query}"
        );
    }
    let path = format!("/api/v1/jobs/{job}/tasks/0/artifacts");
    let (_, view) = server.admin().get(&path).await.unwrap();
    assert_eq!((&view["complete"], &view["attempt"]["epoch"]), (&json!(true), &json!(2)), "{view}");
    assert_eq!(view["manifest"]["logs"][0]["size"], 6);
}
