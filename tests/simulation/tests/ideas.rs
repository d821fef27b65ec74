//! The world of the ledger as a test: thousands of seeds hold and meet everything that can be met, each
//! planted bug is found, and a seed is a seed.
#![expect(clippy::panic, reason = "a test may panic, also in what it calls")]
#![expect(clippy::print_stdout, reason = "the counts are for people to read")]

use std::time::Instant;

use mesh_sim::ideas::{Bug, Options, run_caught, run_seeds};

/// Seeds that each run goes through; `MESH_SIM_SEEDS` may raise it.
const SEEDS_MIN: u64 = 2_000;

fn seeds() -> u64 {
    let asked = std::env::var("MESH_SIM_SEEDS").ok().and_then(|text| text.parse().ok());
    asked.unwrap_or(0).max(SEEDS_MIN)
}

#[test]
fn no_seed_breaks_a_promise_of_the_ledger_and_everything_comes_to_pass() {
    let begin = Instant::now();
    let batch = run_seeds(0, seeds(), None);
    let seconds = begin.elapsed().as_secs_f64();
    for (name, count) in batch.stats.report() {
        println!("{count:>12} {name}");
    }
    println!("{} seeds in {seconds:.1} s", batch.seeds);
    if let Some((seed, broken)) = batch.failed {
        let options = Options::of(seed, None);
        panic!("{broken}\n{}replay: {}", options.text(), options.replay());
    }
    assert_eq!(batch.stats.never(), Vec::<String>::new(), "what never comes to pass is not tested");
    assert!(batch.seeds >= SEEDS_MIN);
}

/// A planted bug is found within the seeds of a run, as a broken promise.
fn assert_found(bug: Bug) {
    let batch = run_seeds(0, SEEDS_MIN, Some(bug));
    let (seed, broken) = batch.failed.unwrap_or_else(|| panic!("{bug:?} was not found"));
    println!("{bug:?}: seed {seed}, {} seeds run: {broken}", batch.seeds);
    assert!(broken.starts_with(['I', 'A']), "{bug:?} is to break a promise: {broken}");
}

macro_rules! planted {
    ($($name:ident: $bug:ident,)*) => {
        $(#[test]
        fn $name() {
            assert_found(Bug::$bug);
        })*

        #[test]
        fn each_planted_bug_of_the_ledger_has_its_test() {
            let tested = [$(Bug::$bug),*];
            for bug in Bug::ALL.iter().filter(|bug| bug.is_one()) {
                assert!(tested.contains(bug), "{bug:?} is planted nowhere");
            }
        }
    };
}

planted! {
    an_answer_before_the_commit_is_found: AnswerBeforeCommit,
    a_duplicate_check_outside_the_transaction_is_found: DuplicateCheckOutside,
    an_entry_appended_twice_is_found: AppendedTwice,
    a_size_that_is_read_too_early_is_found: SizeReadAtOnce,
    a_forged_chain_is_found: ForgedChainTaken,
    a_signature_before_the_row_is_found: SignBeforeRow,
    tiles_after_their_checkpoint_are_found: TilesAfterCheckpoint,
    a_bundle_before_its_texts_is_found: BundleBeforePack,
    a_rename_without_a_sync_is_found: RenameWithoutSync,
    a_signature_behind_a_head_that_others_have_is_found: SignAfterRestore,
    a_signature_before_anybody_was_asked_is_found: SignWithoutAsking,
    a_cursor_before_the_copy_is_found: CursorBeforeCopy,
    a_store_that_is_believed_is_found: StoreBelieved,
    a_position_before_the_append_is_found: PositionBeforeAppend,
    a_position_of_another_stream_is_found: PositionOfOtherStream,
    a_clock_that_judges_the_stream_is_found: JudgedByOwnClock,
    an_origin_that_names_an_older_head_is_found: OriginNamesOwnHead,
    a_key_that_is_taken_up_again_is_found: KeyTakenUpAgain,
    a_rebuild_that_forgets_a_kind_is_found: RebuildForgetsKind,
    a_witness_that_forgets_is_found: WitnessForgets,
}

/// A control: without the writer's epoch the primary key decides between two writers.
#[test]
fn two_writers_without_a_fence_hold_every_promise() {
    let batch = run_seeds(0, 2_000, Some(Bug::FenceDropped));
    assert_eq!(batch.failed, None);
}

#[test]
fn the_same_seed_gives_the_same_trace_of_the_ledger() {
    for seed in 0..100 {
        let first = run_caught(Options::of(seed, None));
        let again = run_caught(Options::of(seed, None));
        assert_eq!(first.trace, again.trace, "seed {seed}");
        assert_eq!(first.stats, again.stats, "seed {seed}");
    }
}

#[test]
fn another_seed_gives_another_trace_of_the_ledger() {
    let trace = |seed| run_caught(Options::of(seed, None)).trace;
    assert_ne!(trace(1), trace(2));
}

#[test]
fn options_name_the_command_that_replays_them() {
    let mut options = Options::of(7, Some(Bug::StoreBelieved));
    assert!(options.set("drop", 999) && !options.set("nothing", 1));
    let expected = "./run sim --world ideas --seed 7 --bug store-believed --set drop=999";
    assert_eq!(options.replay(), expected);
    assert!(Bug::named("nothing").is_err());
}
