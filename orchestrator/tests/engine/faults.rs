//! The broker or the database goes away in mid-run.

use mesh_orchestrator::store;
use mesh_schemas::{ErrorCode, JobSpec, attempt::JobState};
use mesh_tests::wait_for;
use sqlx::{Connection as _, SqliteConnection};

use super::{
    cluster::{Cluster, SOON},
    fake_node::{FakeNode, ended, started},
};

/// Messages in the stream before its disk is wiped.
const STREAM_LEN: u64 = 300;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_stops_no_submit_and_loses_no_event() {
    let mut cluster = Cluster::start().await;
    let mut node = FakeNode::join(&cluster).await;
    let first = cluster.submit(&JobSpec::new(["true"])).await.unwrap();
    let attempt = node.take(1).await.0[0];

    cluster.nats.kill();
    let second = cluster.submit(&JobSpec::new(["true"])).await.unwrap();
    let events = node.events(vec![started(attempt), ended(attempt)]);
    node.publish(&events).await;
    cluster.nats.restart();

    node.hello().await;
    node.publish_until_recorded(&events).await;
    node.forget(&[attempt]);
    cluster.until_job_is(first, JobState::Succeeded).await;
    let attempt = node.take(1).await.0[0];
    assert_eq!(attempt.job, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_whose_disk_was_wiped_is_read_from_its_beginning() {
    let mut cluster = Cluster::start().await;
    let mut node = FakeNode::join(&cluster).await;
    let first = cluster.submit(&JobSpec::new(["true"])).await.unwrap();
    let attempt = node.take(1).await.0[0];
    let events = node.events(vec![started(attempt)]);
    node.publish_until_recorded(&events).await;
    // Far more than the node says again within the test: waiting for the old number would not help.
    for _ in 0..STREAM_LEN {
        node.publish(&events).await;
    }
    let moved = async || (cluster.position().await >= STREAM_LEN).then_some(());
    wait_for(SOON, "the position to be kept", moved).await;

    cluster.nats.kill();
    cluster.nats.wipe();
    cluster.nats.restart();
    cluster.until_connected().await;

    node.hello().await;
    let events = node.events(vec![ended(attempt)]);
    node.publish_until_recorded(&events).await;
    cluster.until_job_is(first, JobState::Succeeded).await;
}

/// Another process holds the database's lock for longer than the store waits, as a backup might.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_commit_is_told_and_the_same_key_makes_one_job() {
    let cluster = Cluster::start().await;
    let mut node = FakeNode::join(&cluster).await;
    let spec = JobSpec { idempotency_key: Some("k".into()), ..JobSpec::new(["true"]) };

    let mut lock = SqliteConnection::connect(&cluster.database()).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut lock).await.unwrap();
    let problem = cluster.submit(&spec).await.unwrap_err();
    assert_eq!(problem.code, ErrorCode::StoreDown);
    assert!(
        problem.hint.unwrap_or_default().contains("same idempotency key"),
        "{}",
        problem.detail
    );
    sqlx::query("ROLLBACK").execute(&mut lock).await.unwrap();

    let again = async || cluster.submit(&spec).await.ok();
    let job = wait_for(SOON, "the database to be back", again).await;
    assert_eq!(cluster.submit(&spec).await.unwrap(), job);
    // The core was built anew and goes on: the node is known, its work is granted and ends.
    node.hello().await;
    let attempt = node.take(1).await.0[0];
    let events = node.events(vec![ended(attempt)]);
    node.publish_until_recorded(&events).await;
    cluster.until_job_is(job, JobState::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orchestrator_that_lost_the_lead_writes_nothing_and_ends() {
    let cluster = Cluster::start().await;
    let usurper = store::open(&cluster.database(), None).await.unwrap();
    usurper.take_lead().await.unwrap();
    assert!(cluster.submit(&JobSpec::new(["true"])).await.is_err());
    let ended = tokio::time::timeout(SOON, cluster.running).await.expect("it to end").unwrap();
    assert_eq!(ended.unwrap_err().code, ErrorCode::NotLeader);
    assert!(usurper.load().await.unwrap().0.jobs.is_empty());
}
