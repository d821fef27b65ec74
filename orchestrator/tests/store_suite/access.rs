//! Tokens and join codes.

use mesh_orchestrator::store::TokenRow;
use mesh_schemas::{TokenId, api::Scope};
use uuid::Uuid;

use super::{
    build::at,
    database::{Database, Leader},
};

fn token(number: u8, scope: Scope) -> TokenRow {
    TokenRow {
        id: TokenId::from_uuid(Uuid::from_u128(u128::from(number))),
        name: format!("for '{number}'"),
        scope,
        secret_hash: [number; 32],
        created_at: at(i64::from(number)),
        expires_at: at(1_000),
    }
}

pub(crate) async fn tokens_are_kept_found_and_deleted(database: Database) {
    let Leader { store, leader, .. } = database.lead().await;
    let all = [token(3, Scope::Read), token(1, Scope::Submit), token(2, Scope::Admin)];
    for token in &all {
        store.insert_token(leader, token).await.unwrap();
    }
    store.insert_token(leader, &all[0]).await.unwrap();
    let [read, submit, admin] = all;
    assert_eq!(store.tokens().await.unwrap(), [submit.clone(), admin, read]);
    assert_eq!(store.token_by_hash([1; 32]).await.unwrap(), Some(submit.clone()));
    assert_eq!(store.token_by_hash([9; 32]).await.unwrap(), None);
    assert!(store.delete_token(leader, submit.id).await.unwrap());
    assert!(!store.delete_token(leader, submit.id).await.unwrap());
    assert_eq!(store.token_by_hash([1; 32]).await.unwrap(), None);
    assert_eq!(store.tokens().await.unwrap().len(), 2);
}

pub(crate) async fn a_join_code_works_once_and_before_it_expires(database: Database) {
    let Leader { store, leader, .. } = database.lead().await;
    store.insert_join_code(leader, [1; 32], at(10)).await.unwrap();
    store.insert_join_code(leader, [2; 32], at(10)).await.unwrap();
    assert!(!store.use_join_code(leader, [3; 32], at(1)).await.unwrap(), "no such code");
    assert!(store.use_join_code(leader, [1; 32], at(9)).await.unwrap());
    assert!(!store.use_join_code(leader, [1; 32], at(9)).await.unwrap(), "used");
    assert!(!store.use_join_code(leader, [2; 32], at(10)).await.unwrap(), "expired");
}

pub(crate) async fn of_many_at_once_one_uses_a_join_code(database: Database) {
    let Leader { store: one, leader, .. } = database.lead().await;
    let other = database.open().await;
    for round in 0..5 {
        one.insert_join_code(leader, [round; 32], at(10)).await.unwrap();
        let uses = (0..8).map(|i| {
            let store = if i % 2 == 0 { one.clone() } else { other.clone() };
            async move { store.use_join_code(leader, [round; 32], at(1)).await.unwrap() }
        });
        let used = futures::future::join_all(uses).await;
        assert_eq!(used.iter().filter(|used| **used).count(), 1, "round {round}");
    }
}
