//! The tables of projections against what the leaves say, row by row.
//!
//! Both sides are compared as JSON arrays of the columns, so that a value that no reader of ours would take is found
//! like any other. A table's rows are never in memory: what the log says of them is, as hashes.

use std::collections::BTreeMap;

use mesh_ideas_core::{
    ledger::{EntryRow, Ledger, verify_chain},
    parse_leaf,
};
use mesh_schemas::{
    Problem,
    idea::{Entry, EntryId, IdeaId},
};
use serde_json::{Value, json};

use super::{
    Finding,
    expected::{Digest, digest, row_digest},
    local::Run,
};
use crate::store::{read::Table, rows::idea_values};

/// By a row's hash, the index of the entry that it is about.
type Rows = BTreeMap<Digest, u64>;

/// What the log says of a table.
type Says = fn(&Run) -> Rows;

const TABLES: [(Table, Says); 11] = [
    (
        Table {
            name: "idea",
            columns: "id, idx, author, author_name, time, tags, source, text_entry, sealed, title, holder, head, status, seen_again",
            index: Some(1),
        },
        ideas,
    ),
    (Table { name: "tag", columns: "tag, idx", index: Some(1) }, tags),
    (Table { name: "about", columns: "idea, idx", index: Some(1) }, about),
    (Table { name: "hidden", columns: "entry, tombstone, body", index: None }, hidden),
    (Table { name: "seen", columns: "entry, idx", index: Some(1) }, seen),
    (Table { name: "content", columns: "hash, idx, idea, sealed", index: Some(1) }, contents),
    (
        Table {
            name: "edge",
            columns: "relation, source, target, proposed, likeness",
            index: None,
        },
        edges,
    ),
    (Table { name: "job", columns: "idea, job, name, state, entry, idx", index: Some(5) }, jobs),
    (
        Table { name: "opinion", columns: "idea, author, impact, cost, risk, vote", index: None },
        opinions,
    ),
    (Table { name: "near", columns: "idx, idea, data", index: Some(0) }, near),
    (Table { name: "erased", columns: "subject", index: None }, erased),
];

impl Run {
    /// Every table of projections, and that the ledger fits together.
    pub(super) async fn projections(&mut self) -> Result<(), Problem> {
        self.chains().await?;
        self.expected.check(&mut self.findings);
        for (table, expected) in TABLES {
            let expected = expected(self);
            self.table(table, expected).await?;
        }
        self.words().await
    }

    /// Every chain of ownership holds, link by link.
    async fn chains(&mut self) -> Result<(), Problem> {
        for (idea, links) in std::mem::take(&mut self.expected.chains) {
            let first = of_idea(&self.expected.ledger, &idea);
            let row = self.store.leaf_rows(self.log.version, first, 1).await?.pop();
            // That a row cannot be read is found elsewhere.
            let Some(filed) = row.and_then(|row| parse_leaf(row.data.as_bytes()).ok()) else {
                continue;
            };
            let (indices, entries): (Vec<u64>, Vec<Entry>) =
                std::iter::once((first, filed)).chain(links).unzip();
            if let Err(fault) = verify_chain(&entries) {
                let index = indices.get(fault.place).copied().unwrap_or(first);
                let detail = format!("the chain of ownership breaks: {:?}", fault.kind);
                self.findings.add(Finding::at(index, "entry", detail));
            }
        }
        Ok(())
    }

    async fn table(&mut self, table: Table, mut expected: Rows) -> Result<(), Problem> {
        let (mut rows, mut strange): (u64, Option<Option<u64>>) = (0, None);
        let take = |row: Value| {
            rows += 1;
            if expected.remove(&row_digest(&row)).is_none() {
                let index = table.index.and_then(|column| row.get(column)?.as_u64());
                let first = strange.flatten().into_iter().chain(index).min();
                strange = Some(first);
            }
        };
        self.store.each_row(table, take).await?;
        self.checked.projections += rows;
        let missing = expected.values().min().copied();
        if missing.is_none() && strange.is_none() {
            return Ok(());
        }
        let index = missing.into_iter().chain(strange.flatten()).min();
        let detail = match (missing.is_some(), strange.is_some()) {
            (true, true) => "a row is not what the log says",
            (true, false) => "a row is missing",
            (false, _) => "a row is there that the log does not know",
        };
        self.findings.add(of_table(table.name, index, detail));
        Ok(())
    }

    /// The words of ideas; SQLite keeps no rows of them, only where each word is.
    async fn words(&mut self) -> Result<(), Problem> {
        let mut sums: BTreeMap<u64, Digest> = BTreeMap::new();
        let mut strange = false;
        let take = |idx: i64, word: &str| match u64::try_from(idx) {
            Ok(idx) => {
                let sum = sums.entry(idx).or_default();
                *sum = sum.wrapping_add(digest(word));
            }
            Err(_) => strange = true,
        };
        self.store.each_word(take).await?;
        self.checked.projections += u64::try_from(sums.len()).unwrap_or(u64::MAX);
        let expected = &self.expected.words;
        let differs = |index: &&u64| expected.get(index) != sums.get(index);
        let index = expected.keys().chain(sums.keys()).filter(differs).min().copied();
        if index.is_some() || strange {
            let detail = "the words of an idea are not those of its text";
            self.findings.add(of_table("words", index, detail));
        }
        Ok(())
    }
}

fn of_table(table: &'static str, index: Option<u64>, detail: &str) -> Finding {
    let detail = format!("in the table {table} {detail}");
    Finding { index, what: "projection", table: Some(table), detail }
}

fn ideas(Run { expected, .. }: &Run) -> Rows {
    let rows = expected.ledger.ideas.values();
    // Tags are plain texts, which always have a JSON form.
    rows.filter_map(|row| Some((row_digest(&idea_values(row).ok()?), row.index))).collect()
}

fn tags(Run { expected, .. }: &Run) -> Rows {
    let rows = expected.ledger.ideas.values();
    let tags = |index: u64, tags: &[String]| -> Vec<(Digest, u64)> {
        tags.iter().map(|tag| (row_digest(&json!([tag, index])), index)).collect()
    };
    rows.flat_map(|row| tags(row.index, &row.tags)).collect()
}

fn about(Run { expected, .. }: &Run) -> Rows {
    let ledger = &expected.ledger;
    let own = |row: &EntryRow, index: u64| -> Vec<(Digest, u64)> {
        row.about.iter().map(|idea| (row_digest(&json!([idea, index])), index)).collect()
    };
    let filed = |id: &EntryId| ledger.ideas.contains_key(&IdeaId::from(*id));
    // What files an idea is about it without a row.
    let others = ledger.entries.iter().filter(|(id, _)| !filed(id));
    let mut rows: Rows = others.flat_map(|(_, row)| own(row, row.index)).collect();
    // A tombstone is about the ideas of what it hides.
    let hidden = ledger.entries.values().filter_map(|row| Some((row, at(ledger, &row.hidden?)?)));
    rows.extend(hidden.flat_map(|(row, tombstone)| own(row, tombstone)));
    rows
}

fn hidden(Run { expected, .. }: &Run) -> Rows {
    let ledger = &expected.ledger;
    let row = |(entry, row): (&EntryId, &EntryRow)| {
        let (tombstone, body) = (row.hidden?, row.body?);
        Some((row_digest(&json!([entry, tombstone, body])), at(ledger, &tombstone)?))
    };
    ledger.entries.iter().filter_map(row).collect()
}

fn seen(Run { expected, .. }: &Run) -> Rows {
    let rows = expected.ledger.seen.iter();
    rows.map(|(entry, row)| (row_digest(&json!([entry, row.index])), row.index)).collect()
}

fn contents(Run { expected, .. }: &Run) -> Rows {
    let rows = expected.ledger.contents.iter();
    rows.map(|(hash, row)| {
        let index = at(&expected.ledger, &row.entry).unwrap_or(0);
        (row_digest(&json!([hash, index, row.idea, row.sealed])), index)
    })
    .collect()
}

fn edges(Run { expected, .. }: &Run) -> Rows {
    let rows = expected.ledger.edges.iter();
    rows.map(|(key, row)| {
        let values = json!([key.relation, key.from, key.to, u8::from(row.proposed), row.likeness]);
        (row_digest(&values), of_idea(&expected.ledger, &key.from))
    })
    .collect()
}

fn jobs(Run { expected, .. }: &Run) -> Rows {
    let rows = expected.ledger.jobs.iter();
    rows.map(|((idea, job), row)| {
        let values = json!([idea, job, row.name, row.state, row.entry, row.index]);
        (row_digest(&values), row.index)
    })
    .collect()
}

fn opinions(Run { expected, .. }: &Run) -> Rows {
    let rows = expected.ledger.ranks.iter();
    rows.map(|((idea, author), row)| {
        let values = json!([idea, author, row.impact, row.cost, row.risk, row.vote]);
        (row_digest(&values), of_idea(&expected.ledger, idea))
    })
    .collect()
}

fn near(Run { expected, .. }: &Run) -> Rows {
    expected.near.iter().map(|(index, row)| (*row, *index)).collect()
}

fn erased(Run { erasures, .. }: &Run) -> Rows {
    erasures.0.iter().map(|(subject, index)| (row_digest(&json!([subject])), *index)).collect()
}

/// The index of an entry.
fn at(ledger: &Ledger, entry: &EntryId) -> Option<u64> {
    ledger.entries.get(entry).map(|row| row.index)
}

fn of_idea(ledger: &Ledger, idea: &IdeaId) -> u64 {
    ledger.ideas.get(idea).map_or(0, |row| row.index)
}
