//! A job's way from submit to its recorded end.

use mesh_core::Reply;
use mesh_fabric::ids;
use mesh_schemas::{
    Epoch, ErrorCode, JobSpec,
    api::NodeAction,
    attempt::JobState,
    message::{NodeAnswer, NodeAsk},
};

use super::{
    cluster::Cluster,
    fake_node::{FakeNode, ended, started},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_from_submit_to_its_recorded_end() {
    let cluster = Cluster::start().await;
    let mut node = FakeNode::join(&cluster).await;
    let trace = ids::trace_parent();
    let reply = cluster.state.engine.submit(JobSpec::new(["true"]), trace).await.unwrap();
    let Reply::Submitted { job, tasks: 1, created: true, .. } = reply else {
        panic!("answered by {reply:?}")
    };

    let (taken, traced) = node.take(1).await;
    assert_eq!((taken[0].job, taken[0].epoch), (job, Epoch(1)));
    assert_eq!(traced.map(|t| t.trace_id()), Some(trace.trace_id()));
    assert!(cluster.state.engine.holds(node.node, taken[0]).await.unwrap());

    let events = node.events(vec![started(taken[0]), ended(taken[0])]);
    node.publish_until_recorded(&events).await;
    cluster.until_job_is(job, JobState::Succeeded).await;
    let record = cluster.state.store.job(job).await.unwrap().unwrap();
    let attempts = cluster.state.store.attempts(&record, 0).await.unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!((attempts[0].node, attempts[0].exit_code), (node.node, Some(0)));
    assert!(attempts[0].manifest.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_orchestrator_goes_on_with_what_runs() {
    let cluster = Cluster::start().await;
    let mut node = FakeNode::join(&cluster).await;
    let job = cluster.submit(&JobSpec::new(["true"])).await.unwrap();
    let (taken, _) = node.take(1).await;
    let leader = cluster.state.engine.leader();

    let cluster = cluster.restart().await;
    assert!(cluster.state.engine.leader() > leader);
    assert_eq!(node.hello().await.leader, cluster.state.engine.leader());
    let events = node.events(vec![ended(taken[0])]);
    node.publish_until_recorded(&events).await;
    cluster.until_job_is(job, JobState::Succeeded).await;
    let record = cluster.state.store.job(job).await.unwrap().unwrap();
    assert_eq!(cluster.state.store.attempts(&record, 0).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_is_the_same_job_and_another_spec_is_refused() {
    let cluster = Cluster::start().await;
    let spec = JobSpec { idempotency_key: Some("once".into()), ..JobSpec::new(["true"]) };
    let (one, two) = tokio::join!(cluster.submit(&spec), cluster.submit(&spec));
    assert_eq!(one.unwrap(), two.unwrap());
    let other = JobSpec { priority: 1, ..spec };
    let problem = cluster.submit(&other).await.unwrap_err();
    assert_eq!(problem.code, ErrorCode::IdempotencyMismatch);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_node_is_refused_and_cut_off() {
    let cluster = Cluster::start().await;
    let node = FakeNode::join(&cluster).await;
    cluster.state.nodes.act(node.node, NodeAction::Revoke).await.unwrap();
    let look = async || {
        let state = node.client.connection_state();
        (state != async_nats::connection::State::Connected).then_some(())
    };
    mesh_tests::wait_for(std::time::Duration::from_secs(5), "the node to be cut off", look).await;
    let renewed = cluster.state.nodes.renew(node.node).await.unwrap_err();
    assert_eq!(renewed.code, ErrorCode::NodeRevoked);
}

#[tokio::test(flavor = "multi_thread")]
async fn urls_are_given_to_whoever_holds_the_attempt_and_for_its_own_objects_alone() {
    let cluster = Cluster::start().await;
    let mut node = FakeNode::join(&cluster).await;
    let other = FakeNode::join(&cluster).await;
    cluster.submit(&JobSpec::new(["true"])).await.unwrap();
    // Only one of the two gets the task; the other one is drained so that it is known which.
    cluster.state.nodes.act(other.node, NodeAction::Drain).await.unwrap();
    let attempt = node.take(1).await.0[0];

    let put = |name: &str| NodeAsk::PutUrls {
        attempt,
        objects: vec![mesh_schemas::message::ObjectPut { name: name.into(), size: 10 }],
    };
    let NodeAnswer::Urls { urls } = node.ask(&put("p1")).await else { panic!("no URL") };
    assert!(urls[0].key.ends_with("/0/1/p1"), "{}", urls[0].key);
    assert!(urls[0].url.contains("X-Amz-Signature"));

    let code = |answer| match answer {
        NodeAnswer::Refused(problem) => problem.code,
        other => panic!("answered by {other:?}"),
    };
    assert_eq!(code(other.ask(&put("p1")).await), ErrorCode::Fenced);
    assert_eq!(code(node.ask(&put("../p1")).await), ErrorCode::Invalid);
    for key in ["a/job_00000000000000000000000000000001/0/1/x", "u/x", "secret", ""] {
        let get = NodeAsk::GetUrls { attempt, keys: vec![key.into()] };
        assert_eq!(code(node.ask(&get).await), ErrorCode::Forbidden, "{key}");
    }
    let own = NodeAsk::GetUrls { attempt, keys: vec![urls[0].key.clone()] };
    assert!(matches!(node.ask(&own).await, NodeAnswer::Urls { .. }));
}
