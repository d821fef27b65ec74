//! Ideas and their edges as a graph: neighbours, connected parts, and pictures of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

use mesh_schemas::idea::{Direction, EdgeView, IdeaGraph, IdeaId};

/// Farthest that edges are followed.
pub const DEPTH_MAX: u32 = 16;

/// The ideas at most `depth` edges from one, itself included: `out` are its ancestors, `in` its
/// descendants. Circles end where they began.
pub fn around(
    edges: &[EdgeView],
    idea: IdeaId,
    depth: u32,
    direction: Direction,
) -> BTreeSet<IdeaId> {
    let neighbours = neighbours(edges, direction);
    let mut seen = BTreeSet::from([idea]);
    let mut next = VecDeque::from([(idea, 0)]);
    while let Some((idea, far)) = next.pop_front() {
        if far == depth.min(DEPTH_MAX) {
            continue;
        }
        for other in neighbours.get(&idea).into_iter().flatten() {
            if seen.insert(*other) {
                next.push_back((*other, far + 1));
            }
        }
    }
    seen
}

/// Each idea's neighbours that way.
fn neighbours(edges: &[EdgeView], direction: Direction) -> BTreeMap<IdeaId, BTreeSet<IdeaId>> {
    let mut found: BTreeMap<IdeaId, BTreeSet<IdeaId>> = BTreeMap::new();
    for EdgeView { from, to, .. } in edges {
        if direction != Direction::In {
            found.entry(*from).or_default().insert(*to);
        }
        if direction != Direction::Out {
            found.entry(*to).or_default().insert(*from);
        }
    }
    found
}

/// The connected parts, largest first and then by the order given; in each the order given.
pub fn components(ideas: &[IdeaId], edges: &[EdgeView]) -> Vec<Vec<IdeaId>> {
    let neighbours = neighbours(edges, Direction::Both);
    let places: BTreeMap<IdeaId, usize> = ideas.iter().copied().zip(0..).collect();
    let mut seen = BTreeSet::new();
    let mut parts = Vec::new();
    for idea in ideas {
        let part = part_of(*idea, &neighbours, &places, &mut seen);
        if !part.is_empty() {
            parts.push(part.into_iter().map(|place| ideas[place]).collect::<Vec<_>>());
        }
    }
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    parts
}

/// The places of what is connected with an idea; empty when it was seen before.
fn part_of(
    idea: IdeaId,
    neighbours: &BTreeMap<IdeaId, BTreeSet<IdeaId>>,
    places: &BTreeMap<IdeaId, usize>,
    seen: &mut BTreeSet<IdeaId>,
) -> BTreeSet<usize> {
    let mut part = BTreeSet::new();
    let mut next = vec![idea];
    while let Some(idea) = next.pop() {
        let Some(place) = places.get(&idea) else { continue };
        if seen.insert(idea) {
            part.insert(*place);
            next.extend(neighbours.get(&idea).into_iter().flatten());
        }
    }
    part
}

/// The graph in the language of Graphviz. Titles are quoted, so that none can end its label; proposed
/// edges are dashed.
pub fn dot(graph: &IdeaGraph) -> String {
    let mut out = String::from("digraph ideas {\n  node [shape=box];\n");
    for idea in &graph.ideas {
        let label = if idea.title.is_empty() { short(idea.id) } else { idea.title.clone() };
        let _ = writeln!(out, "  \"{}\" [label=\"{}\"];", idea.id, quoted(&label));
    }
    for EdgeView { from, to, relation, proposed, .. } in &graph.edges {
        let style = if *proposed { ", style=dashed" } else { "" };
        let _ = writeln!(out, "  \"{from}\" -> \"{to}\" [label=\"{relation}\"{style}];");
    }
    out.push_str("}\n");
    out
}

/// The graph as one line of JSON.
///
/// # Panics
/// Never: the type is plain JSON.
pub fn json(graph: &IdeaGraph) -> String {
    serde_json::to_string(graph).expect("a graph is plain JSON")
}

fn short(idea: IdeaId) -> String {
    idea.to_string().chars().take(IdeaId::PREFIX.len() + 8).collect()
}

/// Within quotes of DOT: `\` and `"` are escaped, and so nothing is an escape of a label; control
/// characters become spaces.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if mesh_schemas::text::is_unsafe_char(c) || c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
