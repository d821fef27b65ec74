//! Ranking: what makes an idea better does so, and what is not said makes no difference.

mod kit;

use std::time::Duration;

use kit::*;
use mesh_ideas_core::{
    ledger::{EdgeKey, EdgeRow, RankRow},
    rank::{Opinions, Outcomes, RankInput, TERMS, Weights, rank, standing},
};
use mesh_schemas::{
    attempt::JobState,
    idea::{IdeaId, Relation},
    quantity::Span,
};
use proptest::prelude::*;

/// Makes an idea better or worse.
type Change = fn(&mut RankInput);

fn input(n: u8) -> RankInput {
    let (opinions, outcomes) = (Opinions::default(), Outcomes::default());
    RankInput {
        idea: some_idea(n),
        index: u64::from(n),
        time: NOW,
        opinions,
        outcomes,
        likeness: 0,
    }
}

fn edge(from: u8, to: u8, relation: Relation) -> (EdgeKey, EdgeRow) {
    let key = EdgeKey { relation, from: some_idea(from), to: some_idea(to) };
    (key, EdgeRow { proposed: false, likeness: None })
}

fn best(inputs: &[RankInput], edges: &[(EdgeKey, EdgeRow)]) -> Vec<IdeaId> {
    rank(inputs, edges, NOW, &Weights::default()).into_iter().map(|ranked| ranked.idea).collect()
}

fn opinion(impact: u8, cost: u8, risk: u8, vote: i8) -> Opinions {
    let mut opinions = Opinions::default();
    opinions.add(&RankRow {
        impact: Some(impact),
        cost: Some(cost),
        risk: Some(risk),
        vote: Some(vote),
    });
    opinions
}

#[test]
fn each_term_moves_the_order_its_way() {
    let better: [(&str, Change); 6] = [
        ("impact", |input| input.opinions.impact = (90, 1)),
        ("cost", |input| input.opinions.cost = (10, 1)),
        ("risk", |input| input.opinions.risk = (10, 1)),
        ("votes", |input| input.opinions.votes_for = 1),
        ("outcome", |input| input.outcomes.add(JobState::Succeeded)),
        ("age", |input| input.time = NOW + Duration::from_secs(1)),
    ];
    let old = |n| RankInput { time: mesh_schemas::Timestamp::from_millis(0), ..input(n) };
    for (term, improve) in better {
        let mut inputs = [old(1), old(2)];
        improve(&mut inputs[1]);
        assert_eq!(best(&inputs, &[]), [some_idea(2), some_idea(1)], "{term}");
    }
    let worse: [Change; 3] = [
        |input| input.likeness = 900,
        |input| input.outcomes.add(JobState::Failed),
        |input| input.opinions = opinion(50, 50, 50, -1),
    ];
    for worsen in worse {
        let mut inputs = [input(1), input(2)];
        worsen(&mut inputs[0]);
        assert_eq!(best(&inputs, &[]), [some_idea(2), some_idea(1)]);
    }
    assert_eq!(
        best(&[input(2), input(1)], &[]),
        [some_idea(1), some_idea(2)],
        "the older of equals"
    );
}

#[test]
fn links_of_others_say_something_for_an_idea_and_refuting_against_it() {
    let inputs = [input(1), input(2), input(3)];
    assert_eq!(best(&inputs, &[edge(1, 3, Relation::Derives)])[0], some_idea(3));
    assert_eq!(best(&inputs, &[edge(3, 1, Relation::Blocks)])[0], some_idea(3));
    assert_eq!(best(&inputs, &[edge(3, 1, Relation::Refutes)])[2], some_idea(1));
    let proposed =
        (edge(1, 3, Relation::Duplicates).0, EdgeRow { proposed: true, likeness: Some(9) });
    assert_eq!(best(&inputs, &[proposed])[0], some_idea(1), "a proposal says nothing");
    let ideas = [some_idea(1), some_idea(2), some_idea(3)];
    let chain = standing(&ideas, &[edge(1, 2, Relation::Derives), edge(2, 3, Relation::Derives)]);
    assert!(chain[0].abs() < 1e-9 && chain[0] < chain[1] && chain[1] < chain[2]);
    let gone = standing(&ideas, &[edge(9, 1, Relation::Derives), edge(1, 9, Relation::Refutes)]);
    assert!(gone.iter().all(|value| value.abs() < 1e-9));
}

#[test]
fn the_score_is_the_sum_of_the_terms_that_are_shown() {
    let weights = Weights::default();
    let ranked =
        rank(&[RankInput { opinions: opinion(80, 20, 10, 1), ..input(1) }], &[], NOW, &weights);
    let terms = ranked[0].terms(&weights);
    let sum: f64 = terms.iter().map(|term| term.value * term.weight).sum();
    assert!((sum - ranked[0].score).abs() < 1e-9);
    assert_eq!(terms.iter().map(|term| term.name.as_str()).collect::<Vec<_>>(), TERMS);
}

#[test]
fn weights_have_ranges_and_no_other_keys() {
    let weights = Weights::default();
    assert!(weights.validate().is_ok());
    let text = serde_json::to_string(&weights).unwrap();
    assert_eq!(serde_json::from_str::<Weights>(&text).unwrap(), weights);
    assert!(serde_json::from_str::<Weights>("{\"impcat\": 1}").is_err());
    for bad in [f64::NAN, f64::INFINITY, -100.5] {
        let problem = Weights { risk: bad, ..weights }.validate().unwrap_err();
        assert_eq!(problem.field.as_deref(), Some("risk"));
    }
    let problem = Weights { half_life: Span::from_secs(1), ..weights }.validate().unwrap_err();
    assert_eq!(problem.field.as_deref(), Some("half_life"));
}

proptest! {
    #[test]
    fn values_keep_to_their_ranges_and_order_does_not_matter(
        rows in proptest::collection::vec((0_u8..=100, 0_u8..=100, -1_i8..=1, 0_u16..2000, 0_i64..2_000_000_000_000), 1..20),
        links in proptest::collection::vec((0_u8..20, 0_u8..20, 0_usize..5), 0..40),
    ) {
        let mut inputs: Vec<RankInput> = (0_u8..).zip(&rows).map(|(n, (impact, cost, vote, likeness, time))| RankInput {
            opinions: opinion(*impact, *cost, *cost, *vote),
            likeness: *likeness,
            time: mesh_schemas::Timestamp::from_millis(*time),
            ..input(n)
        }).collect();
        let relations = [Relation::Derives, Relation::Duplicates, Relation::Blocks, Relation::Refutes, Relation::Implements];
        let mut edges: Vec<_> = links.iter().map(|(from, to, relation)| edge(*from, *to, relations[*relation])).collect();
        let ranked = rank(&inputs, &edges, NOW, &Weights::default());
        for one in &ranked {
            prop_assert!(one.values[..5].iter().all(|value| (0.0..=1.0).contains(value)), "{:?}", one);
            prop_assert!(one.values[5..].iter().all(|value| (-1.0..=1.0).contains(value)), "{:?}", one);
        }
        inputs.reverse();
        edges.reverse();
        prop_assert_eq!(rank(&inputs, &edges, NOW, &Weights::default()), ranked);
    }
}
