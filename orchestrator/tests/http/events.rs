//! The stream of events: by number, without a gap, and on from where a client was.

use mesh_fabric::ids;
use mesh_schemas::ErrorCode;
use mesh_tests::http::Http;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    node::Node,
    server::{SOON, Server, assert_problem},
};

/// One server-sent event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) data: Value,
}

/// Reads server-sent events as they come.
pub(crate) struct Events {
    response: reqwest::Response,
    text: String,
}

impl Events {
    pub(crate) async fn open(http: &Http, path: &str, last_event_id: Option<&str>) -> Self {
        let mut request = http.request(Method::GET, path);
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream", "{path}");
        Self { response, text: String::new() }
    }

    /// The next event; `None` when the server has ended the stream.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let parsed = parse(event);
                self.text = rest.to_owned();
                if let Some(event) = parsed {
                    return Some(event);
                }
                continue;
            }
            let bytes = tokio::time::timeout(SOON, self.response.chunk()).await.expect("an event");
            self.text.push_str(std::str::from_utf8(&bytes.unwrap()?).unwrap());
        }
    }

    /// The next so many.
    pub(crate) async fn take(&mut self, count: usize) -> Vec<Event> {
        let mut events = Vec::new();
        while events.len() < count {
            events.push(self.next().await.expect("the stream goes on"));
        }
        events
    }
}

/// `None` for a comment.
fn parse(text: &str) -> Option<Event> {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_default().to_owned()
    };
    let data = field("data");
    let data = serde_json::from_str(&data).ok()?;
    Some(Event { name: field("event"), id: field("id"), data })
}

#[tokio::test]
async fn events_are_replayed_from_the_last_one_seen() {
    let server = Server::start().await;
    let http = server.admin();
    let job = server.submit(json!({"command": ["true"]})).await;
    let cancel = format!("/api/v1/jobs/{job}/cancel");
    http.post(&cancel, &json!({})).await.unwrap();

    let mut all = Events::open(&http, "/api/v1/events?after=0", None).await;
    let events = all.take(3).await;
    assert_eq!(events[0].name, "job_accepted");
    assert!(events.iter().all(|event| event.data["job"] == job.as_str()));
    let numbers: Vec<u64> = events.iter().map(|event| event.id.parse().unwrap()).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    assert!(events.iter().all(|event| event.data["seq"].as_u64() == event.id.parse().ok()));

    let mut rest = Events::open(&http, "/api/v1/events", Some(&events[0].id)).await;
    assert_eq!(rest.take(2).await, events[1..]);

    // Both are live: what happens now comes on both.
    let second = server.submit(json!({"command": ["true"]})).await;
    for stream in [&mut all, &mut rest] {
        let event = loop {
            let event = stream.next().await.unwrap();
            if event.data["job"] == second.as_str() {
                break event;
            }
        };
        assert_eq!(event.name, "job_accepted");
    }
}

#[tokio::test]
async fn a_stream_without_a_place_begins_now_and_can_be_of_one_job() {
    let server = Server::start().await;
    let first = server.submit(json!({"command": ["true"]})).await;
    let mut now = Events::open(&server.admin(), "/api/v1/events", None).await;
    let path = format!("/api/v1/events?job={first}&after=0");
    let mut of_first = Events::open(&server.admin(), &path, None).await;
    assert_eq!(of_first.next().await.unwrap().name, "job_accepted");
    let second = server.submit(json!({"command": ["true"]})).await;
    assert_eq!(now.next().await.unwrap().data["job"], second.as_str());

    let node = Node::join(&server, ids::node_id()).await;
    let attempt = node.leased(&server, &first, 1).await;
    node.end(attempt, 0, b"").await;
    let mut names = Vec::new();
    while names.last().is_none_or(|name| name != "job_finished") {
        let event = of_first.next().await.unwrap();
        assert_eq!(event.data["job"], first.as_str());
        names.push(event.name);
    }
    assert!(names.contains(&"attempt_leased".to_owned()), "{names:?}");
}

#[tokio::test]
async fn a_place_that_is_none_is_refused() {
    let server = Server::start().await;
    let request = server.admin().request(Method::GET, "/api/v1/events");
    let response = request.header("last-event-id", "-1").send().await.unwrap();
    let status = response.status();
    assert_problem("-1", status, &response.json().await.unwrap(), ErrorCode::Invalid);
}
