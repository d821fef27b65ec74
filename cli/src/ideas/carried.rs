//! That a log which was begun anew has the entries that were seen of the old one: its own first entry, and behind that those,
//! in their order. The head that was seen is the proof: the new log's leaves must give its root.

use std::pin::pin;

use futures::TryStreamExt as _;
use mesh_schemas::{ErrorCode, Problem, idea::Say};
use mesh_tlog::{EMPTY_ROOT, Hash, TreeHead, leaf_hash, node_hash};

use super::tiles::Source;

/// What is compared.
#[derive(Debug)]
pub(super) struct Carried<'a> {
    pub(super) old: Source<'a>,
    pub(super) new: Source<'a>,
    /// Of the old log.
    pub(super) origin: &'a str,
    /// The head of the old log that the new one goes on from; what was seen is within it.
    pub(super) named: TreeHead,
    /// What was seen of the old log.
    pub(super) seen: TreeHead,
}

impl Carried<'_> {
    /// The new log, of this head, has every entry that was seen. Tile by tile: neither log is ever in memory.
    ///
    /// # Errors
    /// `E_LEDGER_ROLLBACK` when it ends before, `E_LEDGER_FORK` when others stand there, naming the first that is missing;
    /// and whatever keeps the new log's files from being read.
    pub(super) async fn check(&self, head: TreeHead) -> Result<(), Problem> {
        // The old log may have been begun anew itself: its first entry is not carried over.
        let origin = self.origin_leaf().await?;
        let before = u64::from(origin.is_some());
        let wanted = self.seen.size.saturating_add(1).min(head.size);
        let (mut all, mut own, mut carried) = <(Growing, Growing, Growing)>::default();
        origin.into_iter().for_each(|leaf| carried.push(leaf));
        let mut leaves = pin!(self.new.leaves(wanted, head));
        while let Some(leaf) = leaves.try_next().await? {
            if all.size() > 0 {
                [&mut own, &mut carried]
                    .into_iter()
                    .filter(|grown| grown.size() < self.seen.size)
                    .for_each(|grown| grown.push(leaf));
            }
            all.push(leaf);
        }
        self.new.prove_first(all.head(), head).await?;
        if own.head() == self.seen || carried.head() == self.seen {
            return Ok(());
        }
        Err(self.missing(all.size().saturating_sub(1), before, head).await?)
    }

    /// The old log's own first entry; none when that is an idea like the others, or when its files are gone. Believed only
    /// when the root that was seen comes of it.
    async fn origin_leaf(&self) -> Result<Option<Hash>, Problem> {
        let first = unless_gone(self.old.first_entry(self.named).await)?;
        let first = first.filter(|first| matches!(first.say, Say::Origin { .. }));
        Ok(first.map(|first| leaf_hash(&mesh_ideas_core::entry::leaf_data(&first))))
    }

    /// Names the first entry of the old log that the new one has not, as far as the old one's files tell. The new one has so
    /// many entries behind its own first.
    async fn missing(&self, own: u64, before: u64, head: TreeHead) -> Result<Problem, Problem> {
        let same = unless_gone(self.in_common(before, head).await)?.flatten();
        let end = own.saturating_add(before);
        let (code, first) = match same {
            None if end >= self.seen.size => {
                let detail = format!(
                    "it is not known which of the {} entries seen of {} it has not: the old files are gone",
                    self.seen.size, self.origin
                );
                return Ok(Problem::new(ErrorCode::LedgerFork, detail));
            }
            Some(same) if same < own => (ErrorCode::LedgerFork, same.saturating_add(before)),
            Some(_) | None => (ErrorCode::LedgerRollback, end),
        };
        let (size, origin) = (self.seen.size, self.origin);
        let detail =
            format!("it goes on without entry {first} of {origin}, of which {size} were seen");
        Ok(Problem::new(code, detail))
    }

    /// How many entries follow each other in both logs, behind the first ones of each; nothing when the old log's files
    /// are not those of what was seen.
    async fn in_common(&self, before: u64, head: TreeHead) -> Result<Option<u64>, Problem> {
        let wanted = self.seen.size.saturating_add(1).min(head.size);
        let mut new = pin!(self.new.leaves(wanted, head));
        let mut old = pin!(self.old.leaves(self.seen.size, self.named));
        new.try_next().await?;
        let (mut seen, mut same, mut differs) = (Growing::default(), 0, false);
        while let Some(leaf) = old.try_next().await? {
            if seen.size() >= before && !differs {
                differs = new.try_next().await? != Some(leaf);
                same += u64::from(!differs);
            }
            seen.push(leaf);
        }
        Ok((seen.head() == self.seen).then_some(same))
    }
}

/// Nothing when the old log's files are gone or are not its own; who cannot be reached is no judge of a log.
fn unless_gone<T>(read: Result<T, Problem>) -> Result<Option<T>, Problem> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(problem) if [ErrorCode::NotFound, ErrorCode::Integrity].contains(&problem.code) => {
            Ok(None)
        }
        Err(problem) => Err(problem),
    }
}

/// A log that grows leaf by leaf.
#[derive(Debug, Default)]
pub(super) struct Growing {
    /// Whole subtrees, largest first, each with how many leaves it is over.
    trees: Vec<(u64, Hash)>,
}

impl Growing {
    pub(super) fn push(&mut self, leaf: Hash) {
        let mut tree = (1, leaf);
        while let Some((_, left)) = self.trees.pop_if(|(width, _)| *width == tree.0) {
            tree = (tree.0 * 2, node_hash(left, tree.1));
        }
        self.trees.push(tree);
    }

    pub(super) fn size(&self) -> u64 {
        self.trees.iter().map(|(width, _)| width).sum()
    }

    /// How many leaves there are, and the root over them.
    pub(super) fn head(&self) -> TreeHead {
        let hashes = self.trees.iter().map(|(_, hash)| *hash).rev();
        let root = hashes.reduce(|right, left| node_hash(left, right)).unwrap_or(EMPTY_ROOT);
        TreeHead { size: self.size(), root }
    }
}

#[cfg(test)]
mod tests {
    use mesh_tlog::Edge;

    use super::*;

    #[test]
    fn the_root_is_that_of_the_log() {
        let mut grown = Growing::default();
        assert_eq!(grown.head(), TreeHead::EMPTY);
        let entries: Vec<String> = (0..300).map(|n| format!("entry {n}")).collect();
        for (size, entry) in (1..).zip(&entries) {
            grown.push(leaf_hash(entry.as_bytes()));
            let (edge, _files) = Edge::empty().integrate(&entries[..size]).unwrap();
            assert_eq!(grown.head(), edge.head(), "{size}");
        }
    }
}
