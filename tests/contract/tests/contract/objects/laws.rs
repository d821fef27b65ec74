//! The laws.

use mesh_schemas::ErrorCode;
use mesh_sim::models::Put;

use super::{Did, Objects, Trouble};

/// Long enough to be cut within.
const LEN: usize = 20_000;

fn bytes(of: u8) -> Vec<u8> {
    vec![of; LEN]
}

/// There is nothing, or all of one of these.
async fn assert_whole(store: &mut impl Objects, key: &str, of: &[u8]) -> Option<u8> {
    let found = store.get(key).await?;
    let whose = of.iter().copied().find(|of| found == bytes(*of));
    Some(whose.unwrap_or_else(|| panic!("{key} has {} bytes of nobody's", found.len())))
}

pub(super) async fn what_was_put_is_there_as_it_was(
    store: &mut impl Objects,
    trouble: Trouble,
    key: &str,
) -> Did {
    let put = store.put(trouble, key, bytes(1)).await;
    assert_eq!(put, Put::Stored);
    assert_eq!(assert_whole(store, key, &[1]).await, Some(1));
    let looks = vec![store.look(key, LEN).await, store.look(key, LEN - 1).await];
    assert_eq!(looks, [Ok(()), Err(ErrorCode::Integrity)]);
    (vec![put], looks)
}

pub(super) async fn what_was_never_put_is_not_there(
    store: &mut impl Objects,
    _: Trouble,
    key: &str,
) -> Did {
    let look = store.look(key, LEN).await;
    assert_eq!((look, store.get(key).await), (Err(ErrorCode::NotFound), None));
    (Vec::new(), vec![look])
}

pub(super) async fn a_second_put_leaves_the_old_or_the_new_whole(
    store: &mut impl Objects,
    trouble: Trouble,
    key: &str,
) -> Did {
    let first = store.put(trouble, key, bytes(1)).await;
    let second = store.put(trouble, key, bytes(2)).await;
    let left = assert_whole(store, key, &[1, 2]).await;
    let expected = match store.refuses_overwrites() {
        true => (Put::AlreadyThere, Some(1)),
        false => (Put::Stored, Some(2)),
    };
    assert_eq!((second, left), expected);
    (vec![first, second], vec![store.look(key, LEN).await])
}

/// An upload in trouble, a look right after it, and a look when all is over: what is there stays there.
pub(super) async fn an_upload_is_there_whole_or_not_at_all(
    store: &mut impl Objects,
    trouble: Trouble,
    key: &str,
) -> Did {
    let put = store.put(trouble, key, bytes(1)).await;
    let at_once = store.look(key, LEN).await;
    store.settle(key, trouble).await;
    let at_last = store.look(key, LEN).await;
    let found = assert_whole(store, key, &[1]).await;
    // With its length or not at all; or nobody can tell now.
    assert!(![at_once, at_last].contains(&Err(ErrorCode::Integrity)), "{at_once:?} {at_last:?}");
    assert!(found.is_some() || at_last.is_err(), "it is said to be there");
    assert!(at_once.is_err() || at_last.is_ok(), "it was there and is gone");
    (vec![put], vec![at_once, at_last])
}

pub(super) async fn what_was_confirmed_outlives_a_kill(
    store: &mut impl Objects,
    trouble: Trouble,
    key: &str,
) -> Did {
    let keys: Vec<String> = (0..4).map(|number| format!("{key}/{number}")).collect();
    let mut puts = Vec::new();
    for key in &keys {
        puts.push(store.put(trouble, key, bytes(1)).await);
    }
    store.restart().await;
    let mut looks = Vec::new();
    for key in &keys {
        assert_eq!(assert_whole(store, key, &[1]).await, Some(1));
        looks.push(store.look(key, LEN).await);
    }
    assert!(looks.iter().all(Result::is_ok), "{looks:?}");
    (puts, looks)
}
