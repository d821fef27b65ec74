//! Questions and proofs.

use std::collections::BTreeSet;

use mesh_ideas_core::graph::around;
use mesh_schemas::idea::{
    Direction, EdgeView, IdeaId, IdeaQuery, IdeaStatus, LedgerAnswer, LedgerAsk, RankQuery,
    Relation, Say, SearchQuery, Sha256,
};
use mesh_tlog::{
    Hash, TreeHead, TrustedLog, VerifierKey, leaf_hash, verify_consistency, verify_inclusion,
};

use crate::{
    filling::{append, fill},
    kit::{Home, answers, idea, say, some_text, until_signed},
};

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_answered_from_the_projections() {
    for home in Home::both().await {
        let registry = home.start().await;
        let other = fill(&registry).await;
        let answers = answers(&registry);
        let LedgerAnswer::Idea(detail) =
            answers.answer(LedgerAsk::Show { idea: other.to_string()[..15].into() }).await
        else {
            panic!("no idea")
        };
        assert_eq!(detail.view.status, IdeaStatus::Accepted);
        assert_eq!(
            detail.text.as_deref(),
            Some("Write the logs of nodes in colours that everybody can tell apart")
        );
        assert_eq!(
            detail.owners.iter().map(|owner| owner.holder.is_some()).collect::<Vec<_>>(),
            [true, false, true]
        );
        assert_eq!((detail.edges.len(), detail.jobs.len(), detail.view.votes), (1, 1, 1));
        assert!(detail.entries.iter().all(|view| view.text.as_deref() != Some("No.")));

        let search = |text: &str, similar| {
            LedgerAsk::Search(SearchQuery { text: text.into(), similar, limit: None })
        };
        for ask in [
            search("COLOURS  logs", false),
            search("write logs of nodes in colours everybody can tell apart", true),
        ] {
            let LedgerAnswer::Ideas { items, .. } = answers.answer(ask).await else { panic!() };
            assert_eq!(items.first().map(|item| item.id), Some(other));
        }
        let LedgerAnswer::Ideas { items, .. } = answers.answer(search("secret", false)).await
        else {
            panic!()
        };
        assert_eq!(items, vec![], "no word of a sealed text is kept");

        let mut cursor = None;
        let mut seen = Vec::new();
        loop {
            let query = IdeaQuery { limit: Some(7), cursor, ..IdeaQuery::default() };
            let LedgerAnswer::Ideas { items, next } = answers.answer(LedgerAsk::List(query)).await
            else {
                panic!()
            };
            seen.extend(items.iter().map(|item| item.index));
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 25);
        assert!(seen.is_sorted_by(|a, b| a > b));
        let LedgerAnswer::Ranking { items } =
            answers.answer(LedgerAsk::Rank(RankQuery::default())).await
        else {
            panic!()
        };
        assert_eq!(items[0].idea.id, other);
        registry.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_graph_around_an_idea_is_that_part_of_the_whole() {
    for home in Home::both().await {
        let registry = home.start().await;
        fill(&registry).await;
        // A chain, a shortcut, and a branch that leads back into it.
        let mut ideas = Vec::new();
        for _ in 0..7 {
            ideas.push(append(&registry, &idea(1, &some_text())).await.idea.unwrap());
        }
        for (from, to) in [(0, 1), (1, 2), (2, 3), (3, 4), (1, 3), (5, 2), (6, 5), (6, 0)] {
            let (from, to) = (ideas[from], ideas[to]);
            let link = Say::Link {
                from,
                relation: Relation::Derives,
                to,
                proposed: false,
                likeness: None,
            };
            append(&registry, &say(1, link)).await;
        }
        let answers = answers(&registry);
        let graph = async |idea, depth, direction| {
            let ask = LedgerAsk::Graph { idea, depth, direction };
            let LedgerAnswer::Graph(graph) = answers.answer(ask).await else { panic!() };
            graph
        };
        let whole = graph(None, 1, Direction::Both).await;
        let sorted = |edges: Vec<EdgeView>| {
            let mut texts: Vec<String> = edges.iter().map(|edge| format!("{edge:?}")).collect();
            texts.sort();
            texts
        };
        for idea in whole.ideas.iter().map(|idea| idea.id) {
            for (depth, direction) in [1, 2, 3, 16].into_iter().flat_map(|depth| {
                [Direction::In, Direction::Out, Direction::Both].map(|way| (depth, way))
            }) {
                let shown = around(&whole.edges, idea, depth, direction);
                let mut edges = whole.edges.clone();
                edges.retain(|edge| shown.contains(&edge.from) && shown.contains(&edge.to));
                let part = graph(Some(idea), depth, direction).await;
                let ids: BTreeSet<IdeaId> = part.ideas.iter().map(|idea| idea.id).collect();
                assert_eq!(
                    (ids, sorted(part.edges)),
                    (shown, sorted(edges)),
                    "{depth} {direction:?}"
                );
            }
        }
        registry.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_lead_to_the_signed_root() {
    let home = Home::sqlite();
    let registry = home.start().await;
    let answers = answers(&registry);
    let first = append(&registry, &idea(1, &some_text())).await;
    until_signed(&registry).await;
    let head = |answer: LedgerAnswer| {
        let LedgerAnswer::Proof(proof) = answer else { panic!("{answer:?}") };
        let key = VerifierKey::parse(&proof.checkpoint.key).unwrap();
        let log = TrustedLog::from_key(key).unwrap();
        (log.open(proof.checkpoint.note.as_bytes()).unwrap().head(), proof)
    };
    let prove = |entry, old_size| LedgerAsk::Prove { entry, old_size };
    let (old, _) = head(answers.answer(prove(Some(first.entry), None)).await);
    for _ in 0..300 {
        append(&registry, &idea(2, &some_text())).await;
    }
    let (new, proof) = head(answers.answer(prove(Some(first.entry), Some(old.size))).await);
    let hashes = |proof: &[Sha256]| proof.iter().map(|h| Hash(h.0)).collect::<Vec<_>>();
    let entry = proof.entry.unwrap();
    let leaf = leaf_hash(entry.data.as_bytes());
    assert_eq!(verify_inclusion(new, entry.index, leaf, &hashes(&proof.inclusion)), Ok(()));
    assert_eq!(verify_consistency(old, new, &hashes(&proof.consistency)), Ok(()));
    let forged = TreeHead { size: old.size, root: Hash([7; 32]) };
    assert!(verify_consistency(forged, new, &hashes(&proof.consistency)).is_err());
    registry.stop().await;
}
