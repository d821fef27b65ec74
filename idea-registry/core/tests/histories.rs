//! Whatever is submitted in whatever order: the invariants hold after each leaf, the ledger made anew
//! from the leaves is the same, and deciding with only what [`Wanted`] names loaded gives the same.

#![expect(clippy::unwrap_used, reason = "a test may panic, also in what it calls")]

mod kit;
#[path = "kit/log.rs"]
mod log;

use kit::*;
use log::{Log, content};
use mesh_ideas_core::{
    Checked, check, entry_id,
    ledger::{Leaf, Wanted, decide, project},
};
use mesh_schemas::{
    attempt::JobState,
    idea::{EntryId, IdeaId, IdeaStatus, Relation, Say, Sha256, Submission},
};
use proptest::prelude::*;

/// Small numbers that name authors, texts, and entries by their place; a step of a history.
type Step = (u8, u8, u8, u8);

fn idea_at(log: &Log, n: u8) -> IdeaId {
    let ids: Vec<IdeaId> =
        log.leaves.iter().filter(|e| e.say.kind() == "idea").map(|e| entry_id(e).into()).collect();
    if ids.is_empty() { some_idea(n) } else { ids[usize::from(n) % ids.len()] }
}

fn entry_at(log: &Log, n: u8) -> EntryId {
    if log.leaves.is_empty() {
        some_entry(n)
    } else {
        entry_id(&log.leaves[usize::from(n) % log.leaves.len()])
    }
}

/// Mostly what may be appended, so that histories grow.
fn head(log: &Log, idea: IdeaId, n: u8) -> EntryId {
    match log.ledger.ideas.get(&idea) {
        Some(row) if !n.is_multiple_of(4) => row.holder.head,
        Some(_) | None => entry_at(log, n),
    }
}

fn submission(log: &Log, (kind, who, x, y): Step) -> Submission {
    let who = who % 4;
    let (idea_x, idea_y) = (idea_at(log, x), idea_at(log, y));
    let text = format!("text {}", y % 12);
    let salt = Sha256([y; 32]);
    let relations = [Relation::Derives, Relation::Duplicates, Relation::Refutes];
    let relation = relations[usize::from(x ^ y) % 3];
    let follows = head(log, idea_x, y);
    match kind % 16 {
        0 | 1 => idea(who, &text),
        2 => with_text(who, idea_say(&text, &[idea_x]), &text),
        3 => {
            let say = Say::Idea {
                body: sealed(&text, salt, "s"),
                parents: vec![],
                tags: vec![],
                source: None,
            };
            Submission { salt: Some(salt), ..with_text(who, say, &text) }
        }
        4 => with_text(who, Say::Revision { idea: idea_x, body: body(&text) }, &text),
        5 => with_text(who, Say::Comment { idea: idea_x, body: body(&text) }, &text),
        6..=8 => bare(who, link(idea_x, idea_y, relation)),
        9 => bare(0, mesh_ideas_core::ledger::proposal(idea_x, idea_y, 700)),
        10 => bare(who, Say::Claim { idea: idea_x, follows }),
        11 => bare(who, Say::Transfer { idea: idea_x, to: author(y % 4), follows }),
        12 => bare(who, Say::Release { idea: idea_x, follows }),
        13 if x.is_multiple_of(8) => bare(0, Say::Erased { subject: "s".into() }),
        13 => bare(who, Say::Tombstone { entry: entry_at(log, x), reason: "r".into() }),
        14 => {
            let state = if y.is_multiple_of(2) { JobState::Running } else { JobState::Succeeded };
            bare(
                0,
                Say::Job { idea: idea_x, job: job(u128::from(x % 2)), state, job_name: "j".into() },
            )
        }
        _ => bare(who, Say::Status { idea: idea_x, status: IdeaStatus::Accepted, reason: None }),
    }
}

/// Decides a batch as a shell does that loads rows first, beside a log that has all of them.
fn run_batch(log: &mut Log, steps: &[Step]) -> usize {
    let checked: Vec<Checked> = steps
        .iter()
        .filter_map(|step| check(&submission(log, *step), NOW, &registry()).ok())
        .collect();
    let wanted = Wanted::of(checked.iter().map(|checked| (checked, content(checked))));
    let mut loaded = log.load(&wanted);
    let (mut appended, was) = (0, log.ledger.ideas.clone());
    for checked in &checked {
        let partial = decide(&loaded, checked, content(checked));
        let whole = decide(&log.ledger, checked, content(checked));
        assert_eq!(partial, whole, "{:?}", checked.entry());
        let Ok(decision) = whole else { continue };
        let before = log.leaves.len();
        log.carry_out(decision, checked).unwrap();
        for index in before..log.leaves.len() {
            appended += 1;
            let entry = &log.leaves[index];
            let id = entry_id(entry);
            let text = log.texts.get(&id).map(|(text, sealed)| log::facts(text, *sealed));
            let leaf = Leaf { index: u64::try_from(index).unwrap(), id, entry };
            loaded.take_in([project(&leaf, text)]);
        }
    }
    // What the batch has changed was loaded, and is saved as it is.
    for (idea, row) in log.ledger.ideas.iter().filter(|(idea, row)| was.get(idea) != Some(row)) {
        assert_eq!(loaded.ideas.get(idea), Some(row));
    }
    appended
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn no_history_breaks_the_ledger(steps in proptest::collection::vec(any::<Step>(), 1..120), size in 1_usize..20) {
        let mut log = Log::default();
        let batches = steps.chunks(size);
        let appended: usize = batches.map(|batch| run_batch(&mut log, batch)).sum();
        prop_assert_eq!(appended, log.leaves.len());
        let rebuilt = log.rebuilt();
        prop_assert!(rebuilt.check_invariants().is_ok());
        prop_assert_eq!(&rebuilt, &log.ledger);
    }
}
