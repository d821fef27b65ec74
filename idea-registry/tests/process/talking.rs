//! NATS: questions, what waited in the stream, discovery, and rights.

use std::time::Duration;

use futures::StreamExt as _;
use mesh_fabric::nats::{Connect, Credential, connect, ensure_stream};
use mesh_ideas::verify::local;
use mesh_schemas::{
    idea::Submission,
    subject::{IDEA, IDEA_SUBMIT, LEDGER_INBOX},
};
use mesh_tests::{nats::NatsServer, wait_until};

use crate::{
    kit::{Home, idea, some_text},
    world::{SOON, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn questions_over_nats_are_answered_and_what_waited_in_the_stream_is_appended() {
    let mut world = World::new(Home::sqlite(), "").await;
    // While the registry is away, somebody else makes the stream.
    let jetstream = async_nats::jetstream::new(world.client.clone());
    ensure_stream(&jetstream, &IDEA).await.unwrap();
    let waiting: Vec<Submission> = (0..300).map(|_| idea(1, &some_text())).collect();
    jetstream.publish(IDEA_SUBMIT, "not a submission".into()).await.unwrap().await.unwrap();
    for submission in &waiting {
        let payload = serde_json::to_vec(submission).unwrap();
        jetstream.publish(IDEA_SUBMIT, payload.into()).await.unwrap().await.unwrap();
    }
    world.serve().await;
    world.until("all are appended", |stats| stats.entries == 300).await;
    let again = world.append(waiting[7].clone()).await;
    assert_eq!((again.created, again.index), (false, Some(7)));
    let stats = world.until("all are signed", |stats| stats.signed == 300).await;
    assert_eq!((stats.ideas, stats.halted), (300, None));

    // Those that come later are read as well, and none is read twice.
    let late = serde_json::to_vec(&idea(2, &some_text())).unwrap();
    jetstream.publish(IDEA_SUBMIT, late.into()).await.unwrap().await.unwrap();
    world.until("the late one is appended", |stats| stats.entries == 301).await;
    world.stop();
    world.serve().await;
    assert_eq!(world.stats().await.unwrap().entries, 301);

    let mut infos = world.client.subscribe("answers").await.unwrap();
    world.client.publish_with_reply("$SRV.INFO.mesh-ideas", "answers", "".into()).await.unwrap();
    let info = tokio::time::timeout(SOON, infos.next()).await.unwrap().unwrap();
    let info: serde_json::Value = serde_json::from_slice(&info.payload).unwrap();
    assert_eq!(info["endpoints"].as_array().unwrap().len(), 19);
    world.stop();
    assert!(local(&world.home.place, None).await.unwrap().ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_made_anew_is_read_from_its_beginning_however_far_it_has_come() {
    let mut world = World::new(Home::sqlite(), "").await;
    let jetstream = async_nats::jetstream::new(world.client.clone());
    let publish = async |count: u8| {
        ensure_stream(&jetstream, &IDEA).await.unwrap();
        for _ in 0..count {
            let payload = serde_json::to_vec(&idea(1, &some_text())).unwrap();
            jetstream.publish(IDEA_SUBMIT, payload.into()).await.unwrap().await.unwrap();
        }
    };
    publish(5).await;
    world.serve().await;
    world.until("the first stream is read", |stats| stats.entries == 5).await;
    world.stop();
    jetstream.delete_stream(IDEA.name).await.unwrap();
    publish(8).await;
    world.serve().await;
    world.until("the second stream is read", |stats| stats.entries == 13).await;
    // The same while it is being read.
    jetstream.delete_stream(IDEA.name).await.unwrap();
    publish(20).await;
    world.until("the third stream is read", |stats| stats.entries == 33).await;
    world.stop();
    world.serve().await;
    publish(1).await;
    world.until("it goes on behind what was read", |stats| stats.entries == 34).await;
    world.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registrys_credentials_open_nothing_else() {
    let nats = NatsServer::start();
    let creds = Credential::Creds(nats.keys().ledger_creds());
    let options = Connect {
        inbox_prefix: Some(LEDGER_INBOX.into()),
        ..Connect::new(vec![nats.url()], creds, "registry")
    };
    let registry = connect(options).await.unwrap();
    let service = nats.service("orchestrator").await;
    let mut all = service.subscribe(">").await.unwrap();
    for subject in [
        "mesh.v1.cmd.node_x",
        "mesh.v1.up.node_x.event",
        "mesh.v1.ideas.submit",
        "mesh.v1.ideas.ask.erase",
        "_INBOX.abc.def",
        "$JS.API.STREAM.DELETE.IDEA",
        "$JS.API.STREAM.PURGE.IDEA",
        "$JS.API.STREAM.UPDATE.IDEA",
        "$JS.API.STREAM.CREATE.NODE_EVENT",
        "$JS.API.CONSUMER.CREATE.NODE_EVENT.x",
    ] {
        registry.publish(subject, "x".into()).await.unwrap();
    }
    let mut refused = Vec::new();
    for subject in ["mesh.v1.up.*.event", "mesh.v1.cmd.>", ">", "_INBOX.>"] {
        refused.push(registry.subscribe(subject).await.unwrap());
    }
    registry.flush().await.unwrap();
    service.publish("mesh.v1.cmd.node_x", "secret".into()).await.unwrap();
    service.publish("mesh.v1.up.node_x.event", "secret".into()).await.unwrap();
    service.publish("last", "x".into()).await.unwrap();
    service.flush().await.unwrap();
    let mut seen = Vec::new();
    loop {
        let message = tokio::time::timeout(SOON, all.next()).await.unwrap().unwrap();
        if message.subject.as_str() == "last" {
            break;
        }
        seen.push((message.subject.to_string(), message.payload));
    }
    assert!(seen.iter().all(|(_, payload)| payload.as_ref() == b"secret"), "{seen:?}");
    for mut subscription in refused {
        let next = tokio::time::timeout(Duration::from_millis(50), subscription.next()).await;
        assert!(!matches!(next, Ok(Some(_))));
    }
    wait_until(SOON, "the server names the violations", async || {
        nats.log().matches(" Violation").count() >= 14
    })
    .await;
}

/// Goal: stopping needs nobody else. Method: the broker is killed, then the registry is told to stop.
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_whose_broker_is_away_stops_when_it_is_told_to() {
    let mut world = World::new(Home::sqlite(), "").await;
    world.serve().await;
    world.append(idea(1, &some_text())).await;
    world.nats.kill();
    world.stop();
}
