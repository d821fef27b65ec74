//! How fast the log is appended to, audited and proved from, in memory, on one core:
//! `cargo run --release -p mesh-tlog --example speed`
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it measures and prints, which the crate does not"
)]

use std::{collections::BTreeMap, time::Instant};

use mesh_tlog::{Audit, Edge, Prover, Tile};

/// How many entries the log gets.
const ENTRIES: u64 = 1_000_000;
/// How many at once.
const BATCH: u64 = 256;
/// How long each is.
const ENTRY_BYTES: usize = 500;
/// How many proofs of each kind.
const PROOFS: u64 = 1_000;

fn main() {
    let entries: Vec<Vec<u8>> = (0..BATCH).map(|n| vec![n.to_le_bytes()[0]; ENTRY_BYTES]).collect();
    let mut files: BTreeMap<Tile, Vec<u8>> = BTreeMap::new();
    let mut edge = Edge::empty();
    let start = Instant::now();
    while edge.head().size < ENTRIES {
        let (next, written) = edge.integrate(&entries).unwrap();
        files.extend(written.into_iter().map(|file| (file.tile, file.bytes)));
        edge = next;
    }
    let head = edge.head();
    per_second("appended, in batches of 256", head.size, start);

    let start = Instant::now();
    let audited =
        Audit::begin(&files, head).unwrap().map(|bundle| bundle.unwrap().entries().count());
    per_second("audited", audited.sum::<usize>() as u64, start);

    let start = Instant::now();
    for nth in 0..PROOFS {
        // A prover of its own each time: nothing is remembered.
        Prover::new(&files, head).inclusion(nth * 987_654_321 % head.size).unwrap();
    }
    per_second("inclusion proofs from cold", PROOFS, start);

    let start = Instant::now();
    for nth in 0..PROOFS {
        Prover::new(&files, head).consistency(1 + nth * 987_654_321 % head.size).unwrap();
    }
    per_second("consistency proofs from cold", PROOFS, start);
}

fn per_second(what: &str, count: u64, start: Instant) {
    let seconds = start.elapsed().as_secs_f64();
    println!("{what}: {count} in {seconds:.3} s, {:.0} a second", count as f64 / seconds);
}
