//! The trace that a question comes with goes on in the registry.

use mesh_fabric::{ids, nats::traced_headers};
use mesh_schemas::{
    TraceParent,
    idea::{LedgerAnswer, LedgerAsk},
    subject::ledger_ask,
};
use mesh_tests::wait_until;

use crate::{
    kit::{Home, idea, some_text},
    world::{SOON, World},
};

async fn ask(world: &World, trace: TraceParent, ask: &LedgerAsk) -> LedgerAnswer {
    let payload = serde_json::to_vec(ask).unwrap();
    let request = async_nats::Request::new().payload(payload.into()).headers(traced_headers(trace));
    let answer = world.client.send_request(ledger_ask(ask.name()), request).await.unwrap();
    serde_json::from_slice(&answer.payload).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_logged_of_a_question_names_its_trace() {
    let mut world = World::new(Home::sqlite(), "").await;
    world.log = "info,async_nats=warn,mesh_ideas=debug";
    world.serve().await;
    let (taken, refused) = (ids::trace_parent(), ids::trace_parent());
    let append = LedgerAsk::Append(Box::new(idea(1, &some_text())));
    let LedgerAnswer::Appended(appended) = ask(&world, taken, &append).await else { panic!() };
    let show = LedgerAsk::Show { idea: "idea_000000".into() };
    assert!(matches!(ask(&world, refused, &show).await, LedgerAnswer::Problem(_)));
    let line = |trace: TraceParent, wanted: &str| {
        let (said, id) = (world.said(), trace.trace_id());
        said.lines().any(|line| line.contains(&id) && line.contains(wanted))
    };
    let entry = appended.entry.to_string();
    wait_until(SOON, "the entry is told of with its trace", async || line(taken, &entry)).await;
    wait_until(SOON, "the refusal is told of with its trace", async || {
        line(refused, "E_NOT_FOUND")
    })
    .await;
    wait_until(SOON, "signing has a span", async || {
        world.said().contains("integrate{ledger.from=0}")
    })
    .await;
    world.stop();
}
