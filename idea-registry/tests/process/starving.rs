//! Questions of one class, however many and however slow, hold up no other.

use futures::{StreamExt as _, stream::FuturesUnordered};
use mesh_schemas::{
    ErrorCode,
    idea::{LedgerAnswer, LedgerAsk, PartQuery},
};
use mesh_tests::wait_until;
use sqlx::PgPool;
use tokio::time::timeout;

use crate::{
    kit::{Home, Owner, idea, some_text},
    world::{SOON, World, ask_over},
};

/// More than are let in.
const ASKED: usize = 2_200;

async fn waiting_for_a_lock(pool: &PgPool) -> i64 {
    let text = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
        AND datname = current_database()";
    sqlx::query_scalar(text).fetch_one(pool).await.unwrap()
}

/// Goal: appends go on while reads hang. Method: the database's owner locks the table that jobs are read from, and
/// more questions for jobs come than are let in; what is beyond is refused at once, and an idea is taken.
#[tokio::test(flavor = "multi_thread")]
async fn reads_that_hang_hold_up_no_append() {
    let mut world = World::new(Home::postgres().await, "").await;
    world.serve().await;
    let first = world.append(idea(1, &some_text())).await.idea.unwrap();
    let Owner::Postgres(pool) = Owner::of(&world.home.place).await else { panic!() };
    let mut lock = pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE job IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    let asker = world.nats.service("many").await;
    let ask = LedgerAsk::Jobs(PartQuery { idea: first, cursor: None, limit: None });
    let mut answers: FuturesUnordered<_> = (0..ASKED).map(|_| ask_over(&asker, &ask)).collect();
    let refused = timeout(SOON, answers.next()).await.unwrap().unwrap().unwrap();
    wait_until(SOON, "reads wait for the table", async || waiting_for_a_lock(&pool).await >= 2)
        .await;
    assert!(
        matches!(&refused, LedgerAnswer::Problem(problem) if problem.code == ErrorCode::Busy),
        "{refused:?}"
    );
    assert!(world.append(idea(1, &some_text())).await.created);
    assert!(waiting_for_a_lock(&pool).await >= 2, "the reads still hang");
    lock.rollback().await.unwrap();
    // Questions of the same class come behind those that hung.
    wait_until(SOON, "reads are answered again, and all is signed", async || {
        let stats = world.ask(LedgerAsk::Stats {}).await;
        matches!(stats, Some(LedgerAnswer::Stats(stats)) if stats.signed == 2)
    })
    .await;
    world.stop();
}
