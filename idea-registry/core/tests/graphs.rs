//! Neighbours, connected parts and pictures.

mod kit;

use kit::*;
use mesh_ideas_core::graph::{around, components, dot, json};
use mesh_schemas::idea::{Direction, EdgeView, IdeaGraph, IdeaId, IdeaStatus, IdeaView, Relation};

fn edge(from: u8, to: u8, relation: Relation) -> EdgeView {
    EdgeView { from: some_idea(from), to: some_idea(to), relation, proposed: false, likeness: None }
}

/// 1 → 2 → 3 → 4, 5 → 2, 3 and 1 refute each other, 6 alone.
fn edges() -> Vec<EdgeView> {
    vec![
        edge(1, 2, Relation::Derives),
        edge(2, 3, Relation::Derives),
        edge(3, 4, Relation::Blocks),
        edge(5, 2, Relation::Duplicates),
        edge(3, 1, Relation::Refutes),
    ]
}

fn ids(ns: &[u8]) -> Vec<IdeaId> {
    ns.iter().map(|n| some_idea(*n)).collect()
}

#[test]
fn edges_are_followed_so_far_and_that_way() {
    let around = |n, depth, direction| {
        around(&edges(), some_idea(n), depth, direction).into_iter().collect::<Vec<_>>()
    };
    assert_eq!(around(1, 0, Direction::Both), ids(&[1]));
    assert_eq!(around(1, 1, Direction::Out), ids(&[1, 2]));
    assert_eq!(around(1, 2, Direction::Out), ids(&[1, 2, 3]));
    assert_eq!(around(2, 1, Direction::In), ids(&[1, 2, 5]));
    assert_eq!(around(4, 16, Direction::In), ids(&[1, 2, 3, 4, 5]));
    assert_eq!(around(4, 16, Direction::Out), ids(&[4]));
    assert_eq!(around(5, 1, Direction::Both), ids(&[2, 5]));
    assert_eq!(around(9, 3, Direction::Both), ids(&[9]));
}

#[test]
fn parts_are_largest_first_and_each_in_the_order_given() {
    let parts = components(&ids(&[6, 5, 4, 3, 2, 1]), &edges());
    assert_eq!(parts, [ids(&[5, 4, 3, 2, 1]), ids(&[6])]);
    // Without 2 and 3 the rest falls apart: an edge to what is not asked for joins nothing.
    assert_eq!(components(&ids(&[1, 4, 5]), &edges()), [ids(&[1]), ids(&[4]), ids(&[5])]);
    assert!(components(&[], &edges()).is_empty());
}

#[test]
fn no_title_can_end_its_label() {
    let view = |n: u8, title: &str| IdeaView {
        id: some_idea(n),
        index: u64::from(n),
        title: title.into(),
        author: author(1),
        author_name: None,
        holder: None,
        status: IdeaStatus::Open,
        tags: Vec::new(),
        time: NOW,
        seen_again: 0,
        votes: 0,
    };
    let ideas = vec![view(1, "\"];\nevil [label=\"\\"), view(2, ""), view(3, "خطة \\N")];
    let proposed = EdgeView { proposed: true, ..edge(1, 2, Relation::Duplicates) };
    let graph =
        IdeaGraph { ideas, edges: vec![proposed], components: Vec::new(), truncated: false };
    let picture = dot(&graph);
    assert_eq!(picture.lines().count(), 7, "{picture}");
    assert!(picture.contains(r#"[label="\"]; evil [label=\"\\"];"#), "{picture}");
    assert!(picture.contains("[label=\"idea_02020202\"]") && picture.contains("خطة \\\\N"));
    assert!(picture.contains("[label=\"duplicates\", style=dashed]"));
    assert_eq!(json(&graph).lines().count(), 1);
}
