//! Measures how long it takes to rank many ideas: `cargo run --release -p mesh-ideas-core --example rank`.

#![expect(clippy::print_stdout, reason = "the figures are what this program is for")]
#![expect(clippy::disallowed_methods, reason = "it measures, and is no part of the core")]

use std::time::{Duration, Instant};

use mesh_ideas_core::{
    ledger::{EdgeKey, EdgeRow},
    near::near,
    rank::{Opinions, Outcomes, RankInput, Weights, rank},
};
use mesh_schemas::{
    Timestamp,
    idea::{IdeaId, Relation},
};

const IDEAS: u64 = 100_000;
const EDGES: u64 = 300_000;
const TEXTS: u32 = 2_000;

fn idea(n: u64) -> IdeaId {
    let mut bytes = [0; 32];
    // Spread, as hashes are.
    bytes[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    IdeaId(bytes)
}

fn main() {
    let input = |n: u64| RankInput {
        idea: idea(n),
        index: n,
        time: Timestamp::from_millis(0) + Duration::from_secs(n),
        opinions: Opinions { impact: (n % 300, 3), votes_for: n % 7, ..Opinions::default() },
        outcomes: Outcomes { succeeded: n % 3, failed: n % 2 },
        likeness: 0,
    };
    let inputs: Vec<RankInput> = (0..IDEAS).map(input).collect();
    let edge = |n: u64| {
        let (from, to) = (idea(n % IDEAS), idea((n * 7919 + 13) % IDEAS));
        (
            EdgeKey { relation: Relation::Derives, from, to },
            EdgeRow { proposed: false, likeness: None },
        )
    };
    let edges: Vec<_> = (0..EDGES).map(edge).collect();
    let began = Instant::now();
    let ranked =
        rank(&inputs, &edges, Timestamp::from_millis(1_800_000_000_000), &Weights::default());
    println!("{} ideas, {EDGES} edges ranked in {:?}", ranked.len(), began.elapsed());
    let text = "Retry failed uploads with exponential backoff and say so in the log. ".repeat(4);
    let began = Instant::now();
    let keys: usize = (0..TEXTS).map(|n| near(&format!("{text}{n}")).bands.len()).sum();
    println!("{TEXTS} signatures in {:?}, {keys} keys", began.elapsed());
    let long = "word after word goes on ".repeat(43_690);
    let began = Instant::now();
    let keys = near(&long).bands.len();
    println!("a text of {} bytes in {:?}, {keys} keys", long.len(), began.elapsed());
}
