//! The tables of projections against what the leaves say.
//!
//! Both sides are compared as JSON arrays of the columns, so that a value that no reader of ours would take is found
//! like any other. Neither side is ever in memory: all rows of a table come to one sum of digests, which does not depend on
//! their order. Only of a table whose sums differ the rows are compared one by one, as digests, to name the first.

use std::collections::BTreeMap;

use mesh_ideas_core::{ledger::verify_chain, parse_leaf};
use mesh_schemas::{Problem, idea::Entry};
use serde_json::Value;

use super::{
    Finding,
    digest::{Digest, Digests},
    follow::{Row, circle},
    local::Run,
    says::{column, word},
};
use crate::store::read::Table;

/// The tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Of {
    Idea,
    Tag,
    About,
    Hidden,
    Seen,
    Content,
    Edge,
    Job,
    Opinion,
    Near,
    Erased,
    Words,
}

impl Of {
    const ALL: [Self; 12] = [
        Self::Idea,
        Self::Tag,
        Self::About,
        Self::Hidden,
        Self::Seen,
        Self::Content,
        Self::Edge,
        Self::Job,
        Self::Opinion,
        Self::Near,
        Self::Erased,
        Self::Words,
    ];

    const fn table(self) -> Table {
        let (name, columns, index) = match self {
            Self::Idea => (
                "idea",
                "id, idx, author, author_name, time, tags, source, text_entry, sealed, title, holder, head, status, seen_again",
                Some(1),
            ),
            Self::Tag => ("tag", "tag, idx", Some(1)),
            Self::About => ("about", "idea, idx", Some(1)),
            Self::Hidden => ("hidden", "entry, tombstone, body", None),
            Self::Seen => ("seen", "entry, idx", Some(1)),
            Self::Content => ("content", "hash, idx, idea, sealed", Some(1)),
            Self::Edge => ("edge", "relation, source, target, proposed, likeness", None),
            Self::Job => ("job", "idea, job, name, state, entry, idx", Some(5)),
            Self::Opinion => ("opinion", "idea, author, impact, cost, risk, vote", None),
            Self::Near => ("near", "idx, idea, data", Some(0)),
            Self::Erased => ("erased", "subject", None),
            Self::Words => ("words", "", None),
        };
        Table { name, columns, index }
    }
}

impl Run {
    /// Every table of projections, and that the entries fit together.
    pub(super) async fn projections(&mut self) -> Result<(), Problem> {
        self.chains().await?;
        let (mut said, mut edges) = (BTreeMap::<Of, Digest>::new(), Vec::new());
        let add = |row: Row| {
            let sum = said.entry(row.of).or_default();
            *sum = sum.wrapping_add(row.digest);
        };
        self.follow(add, |edge| edges.push(edge)).await?;
        if let Some(index) = circle(edges) {
            self.findings.add(Finding::at(index, "entry", "its links go round in a circle"));
        }
        for of in Of::ALL {
            let (mut sum, mut rows): (Digest, u64) = (0, 0);
            let take = |digest, _| {
                sum = sum.wrapping_add(digest);
                rows += 1;
            };
            self.each_row(of, take).await?;
            // SQLite keeps no rows of words, only where each word is.
            self.checked.projections += if of == Of::Words { 0 } else { rows };
            if sum != said.get(&of).copied().unwrap_or_default() {
                self.name_first(of).await?;
            }
        }
        Ok(())
    }

    /// Every chain of ownership holds, link by link.
    async fn chains(&mut self) -> Result<(), Problem> {
        for (first, links) in std::mem::take(&mut self.last.chains) {
            let (mut indices, mut entries): (Vec<u64>, Vec<Entry>) = (Vec::new(), Vec::new());
            for index in std::iter::once(first).chain(links) {
                let row = self.store.leaf_rows(self.log.version, index, 1).await?.pop();
                // That a row cannot be read is found elsewhere.
                if let Some(entry) = row.and_then(|row| parse_leaf(row.data.as_bytes()).ok()) {
                    indices.push(index);
                    entries.push(entry);
                }
            }
            if let Err(fault) = verify_chain(&entries) {
                let index = indices.get(fault.place).copied().unwrap_or(first);
                let detail = format!("the chain of ownership breaks: {:?}", fault.kind);
                self.findings.add(Finding::at(index, "entry", detail));
            }
        }
        Ok(())
    }

    /// Goes through a table: the digest of each row, and of each word of an idea, with the index that it shows.
    async fn each_row(
        &self,
        of: Of,
        mut take: impl FnMut(Digest, Option<u64>) + Send,
    ) -> Result<(), Problem> {
        let digests = self.last.digests;
        if of == Of::Words {
            let part = |idx, found: &str| take(word(digests, idx, found), u64::try_from(idx).ok());
            return Ok(self.store.each_word(part).await?);
        }
        let table = of.table();
        let row = |row: Value| {
            let index = table.index.and_then(|column| row.get(column)?.as_u64());
            take(whole(digests, of, &row), index);
        };
        Ok(self.store.each_row(table, row).await?)
    }

    /// Compares a table row by row, as its sum is another than that of what the log says.
    async fn name_first(&mut self, of: Of) -> Result<(), Problem> {
        let mut expected = self.expected(of).await?;
        let (mut strange, mut first) = (false, None::<u64>);
        let mut compare = |digest, index: Option<u64>| {
            if expected.remove(&digest).is_none() {
                strange = true;
                first = first.into_iter().chain(index).min();
            }
        };
        if of == Of::Words {
            let mut sums = BTreeMap::new();
            self.each_row(of, |digest, index| add_part(&mut sums, index, digest)).await?;
            sums.into_iter().for_each(|(index, sum)| compare(sum, index));
        } else {
            self.each_row(of, compare).await?;
        }
        let missing = expected.values().min().copied();
        let index = missing.into_iter().chain(first).min();
        let detail = match (missing.is_some(), strange) {
            (true, true) => "a row is not what the log says",
            (true, false) => "a row is missing",
            (false, _) => "a row is there that the log does not know",
        };
        let table = of.table().name;
        let detail = format!("in the table {table} {detail}");
        self.findings.add(Finding { index, what: "projection", table: Some(table), detail });
        Ok(())
    }

    /// What the log says of a table: by the digest of each row, the index of the entry that it is about.
    async fn expected(&self, of: Of) -> Result<BTreeMap<Digest, u64>, Problem> {
        let (mut rows, mut parts) = (BTreeMap::new(), BTreeMap::new());
        let take = |row: Row| {
            if row.of != of {
                return;
            }
            if matches!(of, Of::Idea | Of::Words) {
                add_part(&mut parts, row.index, row.digest);
            } else {
                rows.insert(row.digest, row.index);
            }
        };
        self.follow(take, |_| {}).await?;
        rows.extend(parts.into_iter().map(|(index, sum)| (sum, index)));
        Ok(rows)
    }
}

fn add_part<K: Ord>(parts: &mut BTreeMap<K, Digest>, of: K, digest: Digest) {
    let sum = parts.entry(of).or_default();
    *sum = sum.wrapping_add(digest);
}

/// The digest of a row; of an idea's the sum over its columns, as its entries say them one by one.
fn whole(digests: Digests, of: Of, row: &Value) -> Digest {
    let Some((columns, id)) = row.as_array().zip(row.get(0)).filter(|_| of == Of::Idea) else {
        return digests.value(row);
    };
    let columns = columns.iter().enumerate();
    let parts = columns.map(|(place, value)| column(digests, id, place, value));
    parts.fold(0, Digest::wrapping_add)
}
