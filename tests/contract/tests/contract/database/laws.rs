//! The laws.

use mesh_contract::{Extent, attempt, extent, job, key, node, round, with_key};
use mesh_core::{Change, Snapshot};
use mesh_schemas::Timestamp;
use mesh_sim::models::Told;

use super::{Database, Extents, Lead};

/// What came of a law: answers, and how much of the rounds was there.
pub(super) type Did = (Vec<Option<Told>>, Extents);

async fn lead(database: &mut impl Database) -> Option<Lead> {
    // With faults even this may fail; whoever leads asks again.
    for _ in 0..100 {
        if let Some(lead) = database.claim().await {
            return Some(lead);
        }
    }
    None
}

/// Epochs are not compared between one database and another.
fn nameless(told: Told) -> Option<Told> {
    Some(match told {
        Told::Done(_) => Told::Done(0),
        Told::NotLeader | Told::Unavailable => told,
    })
}

/// Equal, and in the same order.
pub(super) fn assert_same(one: &Snapshot, other: &Snapshot, when: &str) {
    if format!("{one:?}") != format!("{other:?}") {
        let text = |snapshot: &Snapshot| format!("{snapshot:#?}");
        let (one, other) = (text(one), text(other));
        let differing = one.lines().zip(other.lines()).position(|(a, b)| a != b);
        let at = differing.unwrap_or_else(|| one.lines().count().min(other.lines().count()));
        let around = |text: &str| {
            text.lines().skip(at.saturating_sub(4)).take(8).collect::<Vec<_>>().join("\n")
        };
        panic!("{when}: line {at}\n{}\n--- and\n{}", around(&one), around(&other));
    }
}

pub(super) async fn leads_are_had_by_one_and_grow(database: &mut impl Database) -> Did {
    let first = database.claim().await.expect("nobody leads").leader;
    assert_eq!(database.claim().await, None, "two lead");
    assert!(database.renew(first).await);
    database.let_lease_end(first).await;
    let second = database.claim().await.expect("the lease is over").leader;
    assert!(second > first, "{second} after {first}");
    assert!(!database.renew(first).await && database.renew(second).await);
    assert_eq!(database.claim().await, None, "two lead");
    (Vec::new(), Vec::new())
}

pub(super) async fn a_round_of_an_older_leader_writes_nothing(database: &mut impl Database) -> Did {
    let first = database.claim().await.unwrap();
    database.let_lease_end(first.leader).await;
    let second = database.claim().await.unwrap();
    let old = database.commit(first, round(1)).await;
    let empty = database.commit(first, Vec::new()).await;
    let settled = database.settle(first.leader).await;
    let never = Lead { leader: second.leader + 1, ..second };
    let never = database.commit(never, round(1)).await;
    // The epoch decides by itself.
    let mixed = Lead { leader: first.leader, ..second };
    let mixed = database.commit(mixed, round(1)).await;
    assert_eq!([old, empty, settled, never, mixed], [Told::NotLeader; 5]);
    let new = database.commit(second, round(2)).await;
    assert!(matches!(new, Told::Done(_)), "{new:?}");
    let found = database.load().await;
    assert_eq!([1, 2].map(|number| extent(&found, number)), [Extent::None, Extent::Whole]);
    (vec![nameless(old), nameless(new)], vec![Extent::None, Extent::Whole])
}

pub(super) async fn a_round_of_an_older_load_writes_nothing(database: &mut impl Database) -> Did {
    let first = database.claim().await.unwrap();
    let Told::Done(load) = database.settle(first.leader).await else { panic!("it leads") };
    assert!(load > first.load);
    let old = database.commit(first, round(1)).await;
    assert_eq!(old, Told::NotLeader);
    let new = database.commit(Lead { load, ..first }, round(2)).await;
    assert!(matches!(new, Told::Done(_)), "{new:?}");
    let found = database.load().await;
    assert_eq!([1, 2].map(|number| extent(&found, number)), [Extent::None, Extent::Whole]);
    (vec![nameless(old), nameless(new)], vec![Extent::None, Extent::Whole])
}

pub(super) async fn a_round_that_is_refused_in_part_is_refused_whole(
    database: &mut impl Database,
) -> Did {
    let leader = database.claim().await.unwrap();
    database.commit(leader, round(1)).await;
    // Everything before the last row could be written.
    let mut twice = round(2);
    let at = Timestamp::from_millis(1);
    twice.push(Change::AttemptLeased { attempt: attempt(1), node: node(1), at });
    let refused = database.commit(leader, twice).await;
    assert_eq!(refused, Told::Unavailable, "an attempt is there twice");
    let before = extent(&database.load().await, 2);
    assert_eq!(before, Extent::None);
    let again = database.commit(leader, round(2)).await;
    let after = extent(&database.load().await, 2);
    assert_eq!(after, Extent::Whole, "the next round is as good as any");
    (vec![nameless(refused), nameless(again)], vec![before, after])
}

pub(super) async fn an_idempotency_key_belongs_to_one_job(database: &mut impl Database) -> Did {
    let leader = database.claim().await.unwrap();
    database.commit(leader, round(1)).await;
    let later = database.commit(leader, with_key(2, key(1))).await;
    let mut both = with_key(3, key(9));
    both.extend(with_key(4, key(9)));
    let together = database.commit(leader, both).await;
    assert_eq!([later, together], [Told::Unavailable; 2], "two jobs have one key");
    assert_eq!(database.by_key(&key(1)).await.unwrap().job, job(1));
    assert!(database.by_key(&key(9)).await.is_none());
    let found = database.load().await;
    let extents: Extents = (1..=4).map(|number| extent(&found, number)).collect();
    assert_eq!(extents, [Extent::Whole, Extent::None, Extent::None, Extent::None]);
    (vec![nameless(later), nameless(together)], extents)
}

pub(super) async fn two_loads_in_one_state_are_equal(database: &mut impl Database) -> Did {
    let leader = database.claim().await.unwrap();
    for number in [5, 3, 9, 1, 7] {
        database.commit(leader, round(number)).await;
    }
    let first = database.load().await;
    assert_same(&first, &database.load().await, "a second load");
    // Another database into which the same was written in another order.
    let mut other = database.fresh().await;
    let leader = other.claim().await.unwrap();
    for number in [1, 9, 7, 5, 3] {
        other.commit(leader, round(number)).await;
    }
    assert_same(&first, &other.load().await, "written in another order");
    (Vec::new(), vec![extent(&first, 5)])
}

pub(super) async fn a_load_amid_a_round_waits_for_nobody_and_sees_no_part(
    database: &mut impl Database,
) -> Did {
    let leader = database.claim().await.unwrap();
    database.commit(leader, round(1)).await;
    let (seen, told) = database.load_amid(leader, round(2)).await;
    let during = extent(&seen, 2);
    let after = extent(&database.load().await, 2);
    assert_eq!((during, after), (Extent::None, Extent::Whole), "{told:?}");
    (vec![nameless(told)], vec![during, after])
}

pub(super) async fn an_answered_round_is_there(database: &mut impl Database) -> Did {
    let Some(leader) = lead(database).await else { return (vec![None], Vec::new()) };
    let told = database.commit(leader, round(1)).await;
    database.run_out().await;
    let found = extent(&database.load().await, 1);
    assert_ne!(found, Extent::Part);
    if let Told::Done(_) = told {
        assert_eq!(found, Extent::Whole, "it was answered");
    }
    (vec![nameless(told)], vec![found])
}

pub(super) async fn what_is_loaded_after_a_round_was_given_up_is_final(
    database: &mut impl Database,
) -> Did {
    let Some(leader) = lead(database).await else { return (vec![None], Vec::new()) };
    let settled = database.give_up(leader, round(1)).await;
    let then = database.load().await;
    database.run_out().await;
    let at_last = database.load().await;
    let extents = vec![extent(&then, 1), extent(&at_last, 1)];
    assert!(!extents.contains(&Extent::Part));
    if let Told::Done(_) = settled {
        assert_same(&then, &at_last, "after the new load was begun");
    }
    (vec![nameless(settled)], extents)
}

pub(super) async fn a_killed_database_has_what_it_answered_and_no_part(
    database: &mut impl Database,
) -> Did {
    let answered = database.kill_amid_rounds().await;
    let found = database.load().await;
    for number in 1..=answered {
        assert_eq!(extent(&found, number), Extent::Whole, "round {number} of {answered}");
    }
    let under_way = extent(&found, answered + 1);
    assert_ne!(under_way, Extent::Part);
    assert_eq!(extent(&found, answered + 2), Extent::None, "it was never sent");
    (Vec::new(), vec![under_way])
}
