//! Near duplicates by an embeddings endpoint, which answers well, badly, or not at all.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse as _, Response},
    routing::post,
};
use mesh_ideas::verify::local;
use mesh_schemas::idea::{IdeaDetail, IdeaId, LedgerAnswer, LedgerAsk, Relation};
use mesh_tests::wait_for;
use serde_json::{Value, json};

use crate::{
    kit::{Home, Owner, idea, sealed_idea, some_text},
    world::{SOON, World},
};

const KEY: &str = "sk-a-key-that-nobody-may-see";

/// How the endpoint answers.
#[derive(Debug, Clone)]
enum Manner {
    Well,
    /// This, whatever is asked.
    Body(String),
    /// This, in the place of the numbers of each vector.
    Numbers(&'static str),
    Status(u16),
    /// Never.
    Silent,
    /// Without an end.
    Endless,
}

#[derive(Debug, Clone)]
struct Endpoint {
    manner: Arc<Mutex<Manner>>,
    /// Each text that it was given, and the key with it.
    asked: Arc<Mutex<Vec<(String, String)>>>,
    url: String,
}

impl Endpoint {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/embeddings", listener.local_addr().unwrap());
        let (manner, asked) = (Arc::new(Mutex::new(Manner::Well)), Arc::default());
        let endpoint = Self { manner, asked, url };
        let app = Router::new().route("/v1/embeddings", post(embed)).with_state(endpoint.clone());
        #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        drop(tokio::spawn(async move { axum::serve(listener, app).await }));
        endpoint
    }

    fn is(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    fn was_asked(&self, what: &str) -> bool {
        self.asked.lock().unwrap().iter().any(|(text, _)| text.contains(what))
    }
}

async fn embed(State(endpoint): State<Endpoint>, headers: HeaderMap, body: Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(request["model"], "test-model");
    let texts: Vec<String> = serde_json::from_value(request["input"].clone()).unwrap();
    let key = headers.get(AUTHORIZATION).unwrap().to_str().unwrap().to_owned();
    let with_key = |text: &String| (text.clone(), key.clone());
    endpoint.asked.lock().unwrap().extend(texts.iter().map(with_key));
    let list = |numbers: &dyn Fn(&str) -> Value| {
        let item =
            |(index, text): (usize, &String)| json!({ "index": index, "embedding": numbers(text) });
        let data: Vec<Value> = texts.iter().enumerate().map(item).collect();
        json!({ "object": "list", "data": data, "model": "test-model" }).to_string()
    };
    let manner = endpoint.manner.lock().unwrap().clone();
    match manner {
        Manner::Well => list(&|text| json!(meaning(text))).into_response(),
        Manner::Body(body) => body.into_response(),
        Manner::Numbers(numbers) => {
            list(&|_| json!("HERE")).replace("\"HERE\"", numbers).into_response()
        }
        Manner::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Manner::Silent => std::future::pending().await,
        Manner::Endless => {
            let pieces =
                futures::stream::repeat_with(|| Ok::<_, std::io::Error>("[0.5,".repeat(4_096)));
            Body::from_stream(pieces).into_response()
        }
    }
}

/// What a text means is its first word; the rest turns it a little.
fn meaning(text: &str) -> [f32; 4] {
    let topic = ["vehicles", "printers", "coffee"].iter().position(|topic| text.starts_with(topic));
    let mut vector = [0.0; 4];
    vector[topic.map_or(3, |topic| topic)] = 1.0;
    vector[3] += f32::from(u8::try_from(text.len() % 7).unwrap()) / 100.0;
    vector
}

fn about(topic: &str) -> String {
    format!("{topic} {}", some_text())
}

async fn show(world: &World, idea: IdeaId) -> IdeaDetail {
    match world.ask(LedgerAsk::Show { idea: idea.to_string() }).await {
        Some(LedgerAnswer::Idea(detail)) => *detail,
        other => panic!("{other:?}"),
    }
}

/// The idea that this one is proposed to duplicate, once there is one.
async fn proposed(world: &World, idea: IdeaId) -> (IdeaId, u16) {
    wait_for(SOON, "a link is proposed", async || {
        let edges = show(world, idea).await.edges;
        let edge = edges.iter().find(|edge| edge.from == idea)?;
        assert!(edge.proposed && edge.relation == Relation::Duplicates, "{edge:?}");
        Some((edge.to, edge.likeness?))
    })
    .await
}

async fn append(world: &World, text: &str) -> IdeaId {
    let appended = world.append(idea(1, text)).await;
    assert!(appended.created && appended.similar.is_empty(), "{appended:?}");
    appended.idea.unwrap()
}

fn warnings(world: &World) -> usize {
    world.said().matches("The embeddings endpoint is of no use").count()
}

async fn world(endpoint: &Endpoint) -> World {
    let home = Home::sqlite();
    let key = home.dir.path().join("embeddings.key");
    std::fs::write(&key, format!("{KEY}\n")).unwrap();
    let extra = format!(
        "[embeddings]\nurl = {:?}\nmodel = \"test-model\"\nkey_file = {key:?}\ntimeout = \"400ms\"\n",
        endpoint.url
    );
    World::new(home, &extra).await
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_that_mean_the_same_are_proposed_as_duplicates() {
    let endpoint = Endpoint::start().await;
    let mut world = world(&endpoint).await;
    world.serve().await;
    let first = append(&world, &about("vehicles")).await;
    let other = append(&world, &about("printers")).await;
    let second = append(&world, &about("vehicles")).await;
    let (older, likeness) = proposed(&world, second).await;
    assert!(older == first && likeness >= 900, "{older} {likeness}");
    assert_eq!(show(&world, other).await.edges, vec![]);

    // A sealed text goes nowhere; the key goes with every text, and into no log.
    world.append(sealed_idea(1, "vehicles, secretly", "jane")).await;
    let third = append(&world, &about("vehicles")).await;
    proposed(&world, third).await;
    assert!(!endpoint.was_asked("secretly"));
    let bearer = format!("Bearer {KEY}");
    assert!(endpoint.asked.lock().unwrap().iter().all(|(_, key)| *key == bearer));
    assert_eq!(warnings(&world), 0);
    world.stop();
    assert!(!world.said().contains(KEY), "{}", world.said());

    // Another life of the process knows the ideas of the one before, and proposes nothing twice.
    let entries = local(&world.home.place, None).await.unwrap().checked.entries;
    world.serve().await;
    let late = append(&world, &about("printers")).await;
    assert_eq!(proposed(&world, late).await.0, other);
    let stats = world.until("all is signed", |stats| stats.signed == stats.entries).await;
    assert_eq!(stats.entries, entries + 2, "the idea, and one proposal");
    world.stop();

    // The log alone says what was proposed: rebuilding and verifying ask nobody.
    endpoint.is(Manner::Status(500));
    let owner = Owner::of(&world.home.place).await;
    let before = owner.projections().await;
    let asked = endpoint.asked.lock().unwrap().len();
    let (code, _, words) = world.command(&["rebuild", "--from", "leaves"]);
    assert_eq!(code, Some(0), "{words}");
    assert_eq!(owner.projections().await, before);
    assert_eq!(local(&world.home.place, None).await.unwrap().findings, vec![]);
    assert_eq!(endpoint.asked.lock().unwrap().len(), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_answers_badly_or_not_holds_nothing_up_and_is_told_of_once() {
    let endpoint = Endpoint::start().await;
    let mut world = world(&endpoint).await;
    world.serve().await;
    let first = append(&world, &about("vehicles")).await;
    let second = append(&world, &about("vehicles")).await;
    assert_eq!(proposed(&world, second).await.0, first);
    let vector = |index: usize| json!({ "index": index, "embedding": [1.0, 0.0, 0.0, 0.0] });
    let data = |items: Vec<Value>| Manner::Body(json!({ "data": items }).to_string());
    let manners = [
        Manner::Body("<html>".into()),
        Manner::Body("{}".into()),
        data(vec![]),
        data(vec![vector(0), vector(1)]),
        data(vec![vector(7)]),
        Manner::Numbers("[]"),
        Manner::Numbers("[1.0, 0.0]"),
        Manner::Numbers("[NaN, 0.0, 0.0, 0.0]"),
        Manner::Numbers("[null, 0.0, 0.0, 0.0]"),
        Manner::Numbers("[1e999, 0.0, 0.0, 0.0]"),
        Manner::Numbers("[1e300, 0.0, 0.0, 0.0]"),
        Manner::Numbers("[0.0, 0.0, 0.0, 0.0]"),
        Manner::Endless,
        Manner::Status(401),
        Manner::Status(500),
        Manner::Silent,
    ];
    for (place, manner) in manners.into_iter().enumerate() {
        endpoint.is(manner.clone());
        // Each is acknowledged while the endpoint fails; `append` waits for a few seconds at most.
        let during =
            [append(&world, &about("coffee")).await, append(&world, &about("coffee")).await];
        mesh_tests::wait_until(SOON, "somebody is told", async || warnings(&world) > place).await;
        endpoint.is(Manner::Well);
        let probe = wait_for(SOON, "it is asked again and answers well", async || {
            let text = about("vehicles");
            let probe = append(&world, &text).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            (world.said().matches("answers well again").count() > place).then_some(probe)
        });
        let (older, _) = proposed(&world, probe.await).await;
        assert_ne!(older, during[0], "{manner:?}");
        assert_eq!(warnings(&world), place + 1, "one warning for {manner:?}:\n{}", world.said());
    }
    assert!(!world.said().contains(KEY));
    world.stop();
}
