//! What comes doubled, late, forged or as garbage.

use mesh_schemas::{JobSpec, attempt::JobState, subject};
use mesh_tests::wait_for;

use super::{
    cluster::{Cluster, SOON},
    fake_node::{FakeNode, ended, started},
};

#[tokio::test(flavor = "multi_thread")]
async fn doubled_events_and_garbage_change_nothing_and_are_passed_over() {
    let cluster = Cluster::start().await;
    let mut node = FakeNode::join(&cluster).await;
    let job = cluster.submit(&JobSpec::new(["true"])).await.unwrap();
    let attempt = node.take(1).await.0[0];
    let event_subject = subject::node_event(node.node);
    // What is said before there is a stream is not kept.
    let jetstream = async_nats::jetstream::new(cluster.nats.service("test").await);
    let made = async || jetstream.get_stream(subject::NODE_EVENT.name).await.ok();
    let stream = wait_for(SOON, "the stream to be made", made).await;

    let events = node.events(vec![started(attempt), ended(attempt)]);
    let good = serde_json::to_vec(&events).unwrap();
    let mut newer = serde_json::to_value(&events).unwrap();
    newer["v"] = 2.into();
    let mut forged = serde_json::to_value(&events).unwrap();
    forged["node"] = mesh_fabric::ids::node_id().to_string().into();
    let mut far = serde_json::to_value(&events).unwrap();
    far["first_seq"] = u64::MAX.into();
    let mut gap = serde_json::to_value(&events).unwrap();
    gap["first_seq"] = 40.into();
    let garbage = [Vec::new(), vec![0xff; 300], b"{}".to_vec(), good[..good.len() / 2].to_vec()];
    let values = [newer, forged, far, gap].map(|value| serde_json::to_vec(&value).unwrap());
    for payload in garbage.into_iter().chain(values) {
        node.raw(event_subject.clone(), payload).await;
    }
    for subject in [subject::node_beat(node.node), subject::node_ask(node.node)] {
        node.raw(subject, vec![b'['; 1_000]).await;
    }
    node.publish_until_recorded(&events).await;
    for _ in 0..5 {
        node.publish(&events).await;
    }
    cluster.until_job_is(job, JobState::Succeeded).await;
    node.forget(&[attempt]);

    // Everything that lies in the stream has been passed, and the database says so.
    node.client.flush().await.unwrap();
    let passed = async || {
        let last = stream.get_info().await.unwrap().state.last_sequence;
        (last >= 14 && cluster.position().await == last).then_some(())
    };
    wait_for(SOON, "the position to pass everything", passed).await;
    let record = cluster.state.store.job(job).await.unwrap().unwrap();
    assert_eq!(record.progress.counts.succeeded, 1);
    assert_eq!(cluster.state.store.attempts(&record, 0).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_a_node_that_does_not_hold_the_task_ends_nothing() {
    let cluster = Cluster::start().await;
    let mut holder = FakeNode::join(&cluster).await;
    let job = cluster.submit(&JobSpec::new(["true"])).await.unwrap();
    let attempt = holder.take(1).await.0[0];
    let mut stranger = FakeNode::join(&cluster).await;

    let forged = stranger.events(vec![ended(attempt)]);
    stranger.publish_until_recorded(&forged).await;
    assert_ne!(cluster.job_state(job).await, JobState::Succeeded);
    let events = holder.events(vec![ended(attempt)]);
    holder.publish_until_recorded(&events).await;
    cluster.until_job_is(job, JobState::Succeeded).await;
}
