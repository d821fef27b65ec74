//! A database that goes back under a registry that runs.

use mesh_schemas::{
    ErrorCode,
    idea::{LedgerAnswer, LedgerAsk, LedgerStats},
};

use crate::{
    filling::{append, refused},
    kit::{Home, Owner, answers, idea, some_text, until_signed},
};

async fn stats(registry: &mesh_ideas::registry::Registry) -> LedgerStats {
    match answers(registry).answer(LedgerAsk::Stats {}).await {
        LedgerAnswer::Stats(stats) => stats,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_that_are_gone_halt_the_log_and_none_takes_their_place() {
    for home in Home::both().await {
        let registry = home.start().await;
        for _ in 0..3 {
            append(&registry, &idea(1, &some_text())).await;
        }
        let owner = Owner::of(&home.place).await;
        owner.unguard("leaf").await;
        assert_eq!(owner.run("DELETE FROM leaf WHERE idx = 2").await, 1);
        // Its index does not follow; nobody knows why yet, but that the database answers and refuses.
        assert_eq!(refused(&registry, &idea(1, &some_text())).await, ErrorCode::Internal);
        assert_eq!(refused(&registry, &idea(1, &some_text())).await, ErrorCode::LedgerRollback);
        assert_eq!(owner.texts("SELECT CAST(MAX(idx) AS TEXT) FROM leaf").await, ["1"]);
        assert_eq!(registry.shared.writer.size(), 3, "what was acknowledged is not forgotten");
        owner.close().await;
        registry.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_is_gone_halts_the_log_and_nothing_is_signed_behind_it() {
    for home in Home::both().await {
        let registry = home.start().await;
        for _ in 0..2 {
            append(&registry, &idea(1, &some_text())).await;
            until_signed(&registry).await;
        }
        let signed = stats(&registry).await.signed;
        let owner = Owner::of(&home.place).await;
        owner.unguard("checkpoint").await;
        owner.run("DELETE FROM checkpoint WHERE size = 2").await;
        append(&registry, &idea(1, &some_text())).await;
        mesh_tests::wait_until(std::time::Duration::from_secs(30), "it is halted", async || {
            let stats = stats(&registry).await;
            assert_eq!(stats.signed, signed, "a head that continues none of the database's");
            stats.halted.is_some()
        })
        .await;
        owner.close().await;
        registry.stop().await;
    }
}
