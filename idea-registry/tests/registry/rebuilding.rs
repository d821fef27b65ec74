//! One half of the log from the other.

use std::fs;

use mesh_ideas::rebuild::{from_leaves, from_tiles};
use mesh_schemas::idea::{LedgerAnswer, LedgerAsk, SearchQuery};

use crate::{
    filling::{fill, verified},
    kit::{Home, Owner, answers},
};

#[tokio::test(flavor = "multi_thread")]
async fn dropped_projections_come_back_row_by_row() {
    for home in Home::both().await {
        let registry = home.start().await;
        fill(&registry).await;
        registry.stop().await;
        let owner = Owner::of(&home.place).await;
        let before = owner.projections().await;
        assert!(before.len() > 100);
        for table in [
            "idea", "tag", "about", "hidden", "seen", "content", "edge", "job", "opinion", "near",
            "erased", "words",
        ] {
            owner.run(&format!("DELETE FROM {table}")).await;
        }
        fs::remove_dir_all(home.place.data.join("v1/tile")).unwrap();
        let rebuilt = from_leaves(&home.place).await.unwrap();
        let after = owner.projections().await;
        let lost: Vec<_> = before.iter().filter(|row| !after.contains(row)).collect();
        let new: Vec<_> = after.iter().filter(|row| !before.contains(row)).collect();
        assert_eq!((lost, new), (vec![], vec![]));
        let report = verified(&home).await;
        assert_eq!((report.findings, report.signed), (vec![], rebuilt.entries));
        let registry = home.start().await;
        let search = SearchQuery { text: "caches warm".into(), similar: false, limit: None };
        let LedgerAnswer::Ideas { items, .. } =
            answers(&registry).answer(LedgerAsk::Search(search)).await
        else {
            panic!()
        };
        assert_eq!(items.len(), 1);
        registry.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_back_from_tiles() {
    for home in Home::both().await {
        let registry = home.start().await;
        fill(&registry).await;
        let size = registry.shared.writer.size();
        registry.stop().await;
        let owner = Owner::of(&home.place).await;
        let before =
            owner.texts("SELECT id || ' ' || hash || ' ' || data FROM leaf ORDER BY idx").await;
        // Another database; the texts are kept, as a backup of the objects would.
        for table in ["leaf", "checkpoint"] {
            owner.unguard(table).await;
            owner.run(&format!("DELETE FROM {table}")).await;
        }
        let rebuilt = from_tiles(&home.place).await.unwrap();
        assert_eq!((rebuilt.entries, rebuilt.leaves_added, rebuilt.signed), (size, size, size));
        let after =
            owner.texts("SELECT id || ' ' || hash || ' ' || data FROM leaf ORDER BY idx").await;
        assert_eq!(after, before);
        assert_eq!(verified(&home).await.findings, vec![]);
    }
}
