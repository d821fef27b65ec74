//! The lead: held for a while, by the database's clock, by one at a time.

use std::time::{Duration, Instant};

use mesh_core::Change;
use mesh_orchestrator::{
    lead::{Lease, Lost, keep},
    store::{Claim, Store, StoreError, TokenRow},
};
use mesh_schemas::{
    TokenId,
    api::{EventKind, Scope},
};
use mesh_tests::wait_for;
use uuid::Uuid;

use super::{
    build::{at, event},
    database::{Database, Leader},
};

/// Longer than a test takes.
const LONG: Duration = Duration::from_secs(100);
/// Renewed in time also on a busy machine.
const BRIEF: Duration = Duration::from_secs(3);
/// Shorter than a test waits.
const SHORT: Duration = Duration::from_millis(300);
const SOON: Duration = Duration::from_secs(20);

fn by(holder: &str, ttl: Duration) -> Claim<'_> {
    Claim { holder, url: "http://mesh:7700", ttl, follows_itself: false }
}

async fn claim(store: &dyn Store, claim: Claim<'_>) -> Option<u64> {
    store.claim_lead(&claim).await.unwrap()
}

fn token(number: u8) -> TokenRow {
    TokenRow {
        id: TokenId::from_uuid(Uuid::from_u128(u128::from(number))),
        name: "token".into(),
        scope: Scope::Read,
        secret_hash: [number; 32],
        created_at: at(1),
        expires_at: at(2),
    }
}

pub(crate) async fn a_lead_is_had_by_one_until_its_lease_ends(database: Database) {
    let (one, other) = (database.open().await, database.open().await);
    assert_eq!(one.lead().await.unwrap().left, Duration::ZERO, "nobody leads a new database");
    let first = claim(&*one, by("one", SHORT)).await.expect("nobody leads");
    assert_eq!(claim(&*other, by("other", LONG)).await, None);
    let seen = other.lead().await.unwrap();
    assert_eq!((seen.leader, &*seen.holder, &*seen.url), (first, "one", "http://mesh:7700"));
    assert!(seen.left > Duration::ZERO && seen.left <= SHORT, "{:?}", seen.left);

    let elect = async || claim(&*other, by("other", LONG)).await;
    let second = wait_for(SOON, "the lease to end", elect).await;
    assert!(second > first, "{second} after {first}");
    assert_eq!(claim(&*one, by("one", LONG)).await, None);
    let left = one.lead().await.unwrap().left;
    assert!(left > LONG / 2 && left <= LONG, "{left:?}");
}

pub(crate) async fn a_lease_of_before_the_clock_was_set_back_is_over(database: Database) {
    let (one, other) = (database.open().await, database.open().await);
    let first = claim(&*one, by("one", LONG)).await.unwrap();
    // An hour ahead is what a lease looks like once the clock is an hour back.
    database.tamper("UPDATE meta SET lead_until = lead_until + 3600000").await;
    assert_eq!(other.lead().await.unwrap().left, Duration::ZERO);
    let second = claim(&*other, by("other", LONG)).await.expect("it would last for an hour");
    assert!(second > first);
    assert_eq!(claim(&*one, by("one", LONG)).await, None);
}

pub(crate) async fn of_many_that_claim_at_once_one_leads(database: Database) {
    for round in 0..5 {
        let mut stores = Vec::new();
        for _ in 0..4 {
            stores.push(database.open().await);
        }
        let claims = stores.iter().enumerate().map(async |(number, store)| {
            let holder = format!("{round} {number}");
            claim(&**store, by(&holder, LONG)).await
        });
        let won: Vec<u64> = futures::future::join_all(claims).await.into_iter().flatten().collect();
        assert_eq!(won.len(), 1, "round {round}: {won:?}");
        stores[0].release_lead(won[0]).await.unwrap();
    }
}

pub(crate) async fn a_lead_that_is_renewed_does_not_end(database: Database) {
    let (one, other) = (database.open().await, database.open().await);
    let leader = claim(&*one, by("one", SHORT)).await.unwrap();
    one.renew_lead(leader, LONG).await.unwrap();
    assert!(other.lead().await.unwrap().left > LONG / 2);
    assert_eq!(claim(&*other, by("other", LONG)).await, None);
    // A lease that is over and that nobody has taken is still its holder's.
    one.renew_lead(leader, Duration::ZERO).await.unwrap();
    one.renew_lead(leader, LONG).await.unwrap();
    assert_eq!(claim(&*other, by("other", LONG)).await, None);
}

pub(crate) async fn a_leader_that_cannot_renew_knows_before_anybody_else_leads(database: Database) {
    let (one, other) = (database.open().await, database.open().await);
    let asked = Instant::now();
    let leader = claim(&*one, by("one", BRIEF)).await.unwrap();
    let lease = Lease::new(leader, asked, BRIEF);
    let held = database.hold().await;
    let lost = tokio::time::timeout(SOON, keep(&*one, &lease, BRIEF)).await;
    assert_eq!(lost, Ok(Lost::Expired));
    assert!(!lease.holds());
    assert!(asked.elapsed() < BRIEF + SOON / 2, "{:?}", asked.elapsed());
    drop(held);

    let elect = async || claim(&*other, by("other", LONG)).await;
    wait_for(SOON, "the lease to end", elect).await;
    let lease = Lease::new(leader, Instant::now(), LONG);
    let lost = tokio::time::timeout(SOON, keep(&*one, &lease, LONG)).await;
    assert_eq!(lost, Ok(Lost::Taken));
}

pub(crate) async fn a_leader_that_renews_leads_on(database: Database) {
    let (one, other) = (database.open().await, database.open().await);
    let asked = Instant::now();
    let leader = claim(&*one, by("one", BRIEF)).await.unwrap();
    let lease = Lease::new(leader, asked, BRIEF);
    let kept = tokio::time::timeout(2 * BRIEF, keep(&*one, &lease, BRIEF)).await;
    assert!(kept.is_err() && lease.holds(), "{kept:?}");
    assert_eq!(claim(&*other, by("other", LONG)).await, None);
}

pub(crate) async fn a_released_lead_is_free_at_once(database: Database) {
    let (one, other) = (database.open().await, database.open().await);
    let first = claim(&*one, by("one", LONG)).await.unwrap();
    one.release_lead(first).await.unwrap();
    let second = claim(&*other, by("other", LONG)).await.expect("it was released");
    one.release_lead(first).await.unwrap();
    let seen = one.lead().await.unwrap();
    assert_eq!((seen.leader, seen.left > LONG / 2), (second, true), "another's lead was released");
}

pub(crate) async fn only_who_knows_its_process_gone_follows_itself(database: Database) {
    let store = database.open().await;
    let follows = |claim: Claim<'static>| Claim { follows_itself: true, ..claim };
    let first = claim(&*store, by("one", LONG)).await.unwrap();
    assert_eq!(claim(&*store, by("one", LONG)).await, None, "it may be another of that name");
    assert_eq!(claim(&*store, follows(by("other", LONG))).await, None);
    let second = claim(&*store, follows(by("one", LONG))).await.expect("its own");
    assert!(second > first, "{second} after {first}");
}

pub(crate) async fn a_leader_that_was_replaced_writes_nothing_at_all(database: Database) {
    let store = database.open().await;
    let old = claim(&*store, by("old", Duration::ZERO)).await.unwrap();
    store.insert_token(old, &token(1)).await.unwrap();
    store.insert_join_code(old, [1; 32], at(9)).await.unwrap();
    let leader = Leader::load(store.clone(), old).await;
    let new = claim(&*store, by("new", LONG)).await.unwrap();

    let changes: [Change; 1] = [event(None, EventKind::NodeJoined)];
    let refused: Vec<Result<(), StoreError>> = vec![
        leader.try_commit(&changes).await.map(drop),
        store.settle(old).await.map(drop),
        store.renew_lead(old, LONG).await,
        store.insert_token(old, &token(2)).await,
        store.delete_token(old, token(1).id).await.map(drop),
        store.insert_join_code(old, [2; 32], at(9)).await,
        store.use_join_code(old, [1; 32], at(1)).await.map(drop),
    ];
    for (number, result) in refused.iter().enumerate() {
        let fenced = matches!(result, Err(StoreError::NotLeader { mine }) if *mine == old);
        assert!(fenced, "write {number}: {result:?}");
    }
    assert_eq!(store.tokens().await.unwrap(), [token(1)]);
    assert!(!store.use_join_code(new, [2; 32], at(1)).await.unwrap());
    assert!(store.use_join_code(new, [1; 32], at(1)).await.unwrap());
    let leader = Leader::load(store, new).await;
    assert_eq!(leader.commit(&changes).await.event_seq, 1);
}
