//! Feeds every target its corpus and mutations of it, the same ones in each run.
//!
//! What libFuzzer finds becomes a file of the corpus and so a regression test.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on must end")]

use std::{fs, path::PathBuf, time::Instant};

use mesh_fuzz::TARGETS;

/// Mutations of each file of the corpus.
const MUTATIONS: u64 = 400;
/// No input may take longer than this, in a debug build on a busy machine.
const SLOW_SECS: f64 = 2.0;

fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let entries = fs::read_dir(&dir).unwrap_or_else(|_| panic!("{target} has no corpus"));
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

/// xorshift64*: enough for choosing where to break a text.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let mixed = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(mixed).unwrap() % bound.max(1)
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(bytes.len() + 1);
        match self.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, u8::try_from(self.below(256)).unwrap()),
            2 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            3 if at < bytes.len() => drop(bytes.remove(at)),
            4 => {
                let from = self.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {
                let end = (at + self.below(16)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
}

#[test]
fn no_target_breaks_a_promise_on_its_corpus_or_on_mutations_of_it() {
    for target in TARGETS {
        let files = corpus(target.name);
        assert!(files.len() >= 4, "{} has {} files", target.name, files.len());
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        for (name, bytes) in &files {
            let begun = Instant::now();
            (target.run)(bytes);
            let took = begun.elapsed().as_secs_f64();
            assert!(took < SLOW_SECS, "{}/{name} took {took:.1} s", target.name);
            let mut mutated = bytes.clone();
            for round in 0..MUTATIONS {
                if round % 8 == 0 {
                    mutated.clone_from(bytes);
                }
                let other = &files[random.below(files.len())].1;
                random.mutate(&mut mutated, other);
                (target.run)(&mutated);
            }
        }
    }
}

#[test]
fn every_folder_of_the_corpus_belongs_to_a_target() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for entry in fs::read_dir(root).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(mesh_fuzz::target(&name).is_some(), "{name}");
    }
}
