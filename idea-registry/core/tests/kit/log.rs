//! A log in memory with the shell's rhythm: check, decide, append, project, apply.

#![allow(dead_code, reason = "each test file is a program of its own and uses a part")]
#![allow(unreachable_pub, reason = "a module of tests")]
#![allow(clippy::unwrap_used, reason = "a test may panic, also in what it calls")]

use std::collections::{BTreeMap, BTreeSet};

use mesh_ideas_core::{
    Checked, Unsigned, check, entry_id,
    ledger::{Decision, EdgeKey, Leaf, Ledger, TextFacts, Wanted, decide, project},
    sign,
};
use mesh_schemas::{
    Problem,
    idea::{Entry, EntryId, IdeaId, Relation, Say, Sha256, Submission},
};

use super::*;

/// The key with which the tests seal.
pub const SUBJECT_KEY: [u8; 32] = [42; 32];

#[derive(Debug, Default)]
pub struct Log {
    pub leaves: Vec<Entry>,
    pub texts: BTreeMap<EntryId, (String, bool)>,
    pub ledger: Ledger,
}

pub type Outcome = Result<(u64, bool), Problem>;

impl Log {
    /// Appends, and gives the index and whether it is new.
    pub fn submit(&mut self, submission: &Submission) -> Outcome {
        let checked = check(submission, NOW, &registry())?;
        let content = content(&checked);
        let decision = decide(&self.ledger, &checked, content)?;
        self.carry_out(decision, &checked)
    }

    pub fn carry_out(&mut self, decision: Decision, checked: &Checked) -> Outcome {
        match decision {
            Decision::Already { index } => Ok((index, false)),
            Decision::SeenAgain { say, .. } => {
                // The registry's clock goes on: what it says twice are two entries.
                let time = NOW + std::time::Duration::from_millis(self.ledger.size);
                let entry = sign(Unsigned { name: None, time, say }, &key(0));
                let (index, _) = self.submit(&Submission { entry, body: None, salt: None })?;
                Ok((index, false))
            }
            Decision::Append => Ok((self.append(checked), true)),
        }
    }

    fn append(&mut self, checked: &Checked) -> u64 {
        let index = self.ledger.size;
        let leaf = Leaf { index, id: checked.id(), entry: checked.entry() };
        let sealed = checked.salt().is_some();
        let changes = project(&leaf, checked.text().map(|text| facts(text, sealed)));
        self.ledger.take_in([changes]);
        self.ledger.check_invariants().unwrap();
        self.leaves.push(checked.entry().clone());
        if let Say::Erased { .. } = checked.entry().say {
            self.texts.retain(|_, (_, sealed)| !*sealed);
        }
        if let Some(text) = checked.text() {
            self.texts.insert(checked.id(), (text.to_owned(), sealed));
        }
        index
    }

    pub fn file(&mut self, n: u8, text: &str) -> IdeaId {
        let submission = idea(n, text);
        self.submit(&submission).unwrap();
        entry_id(&submission.entry).into()
    }

    pub fn say(&mut self, n: u8, say: Say) -> Outcome {
        self.submit(&bare(n, say))
    }

    /// The ledger made anew from the leaves; texts that were erased are not at hand any more.
    pub fn rebuilt(&self) -> Ledger {
        let mut ledger = Ledger::default();
        for (index, entry) in self.leaves.iter().enumerate() {
            let id = entry_id(entry);
            let text = self.texts.get(&id);
            let leaf = Leaf { index: u64::try_from(index).unwrap(), id, entry };
            let facts = text.map(|(text, sealed)| facts(text, *sealed));
            ledger.take_in([project(&leaf, facts)]);
        }
        ledger
    }

    /// What a shell with rows in SQL loads for a batch.
    pub fn load(&self, wanted: &Wanted) -> Ledger {
        let all = &self.ledger;
        let entries: BTreeMap<_, _> = pick(&all.entries, &wanted.entries);
        let about = entries.values().flat_map(|row| row.about.iter().copied());
        let contents = pick(&all.contents, &wanted.contents);
        let seen = contents.values().map(|row| row.idea);
        let ideas = wanted.ideas.iter().copied().chain(about).chain(seen).collect();
        let mut edges = pick(&all.edges, &wanted.edges);
        edges.extend(
            wanted
                .reach
                .iter()
                .flat_map(|(relation, from)| reached(all, *relation, all.stands_for(*from))),
        );
        Ledger {
            size: all.size,
            ideas: pick(&all.ideas, &ideas),
            seen: pick(&all.seen, &wanted.entries),
            contents,
            jobs: pick(&all.jobs, &wanted.jobs),
            edges,
            entries,
            ..Ledger::default()
        }
    }
}

pub fn content(checked: &Checked) -> Option<Sha256> {
    checked.content(Some(&SUBJECT_KEY))
}

pub fn facts(text: &str, sealed: bool) -> TextFacts {
    if sealed { TextFacts::sealed(text, &SUBJECT_KEY) } else { TextFacts::plain(text) }
}

fn pick<K: Ord + Clone, V: Clone>(from: &BTreeMap<K, V>, keys: &BTreeSet<K>) -> BTreeMap<K, V> {
    keys.iter().filter_map(|key| Some((key.clone(), from.get(key)?.clone()))).collect()
}

fn reached(
    all: &Ledger,
    relation: Relation,
    from: IdeaId,
) -> Vec<(EdgeKey, mesh_ideas_core::ledger::EdgeRow)> {
    let on_way = |key: &EdgeKey| key.relation == relation && all.reaches(relation, from, key.from);
    let edges = all.edges.iter().filter(|(key, row)| !row.proposed && on_way(key));
    edges.map(|(key, row)| (*key, *row)).collect()
}
