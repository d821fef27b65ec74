//! That a log which was begun anew has the entries that were seen of the old one: its own first entry, and behind that those,
//! in their order. The head that was seen is the proof: the new log's leaves must give its root.

use mesh_schemas::{ErrorCode, Problem, idea::Say};
use mesh_tlog::{Hash, TreeHead, leaf_hash, node_hash};

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
    /// The new log, of this head, has every entry that was seen.
    ///
    /// # Errors
    /// `E_LEDGER_ROLLBACK` when it ends before, `E_LEDGER_FORK` when others stand there, naming the first that is missing;
    /// and whatever keeps the new log's files from being read.
    pub(super) async fn check(&self, head: TreeHead) -> Result<(), Problem> {
        let wanted = self.seen.size.saturating_add(1).min(head.size);
        let leaves = self.new.leaves(wanted, head).await?;
        let own = leaves.get(1..).unwrap_or_default();
        if self.is_seen(own) {
            return Ok(());
        }
        // The old log may have been begun anew itself: its first entry is not carried over.
        let origin = self.origin_leaf().await?;
        let before = u64::from(origin.is_some());
        let carried: Vec<Hash> =
            origin.into_iter().chain(own.iter().copied()).take(entries(self.seen.size)).collect();
        if self.is_seen(&carried) { Ok(()) } else { Err(self.missing(own, before).await?) }
    }

    /// These are all the leaves that were seen.
    fn is_seen(&self, leaves: &[Hash]) -> bool {
        leaves.len() == entries(self.seen.size) && root(leaves) == Some(self.seen.root)
    }

    /// The old log's own first entry; none when that is an idea like the others, or when its files are gone. Believed only
    /// when the root that was seen comes of it.
    async fn origin_leaf(&self) -> Result<Option<Hash>, Problem> {
        let first = unless_gone(self.old.first_entry(self.named).await)?;
        let first = first.filter(|first| matches!(first.say, Say::Origin { .. }));
        Ok(first.map(|first| leaf_hash(&mesh_ideas_core::entry::leaf_data(&first))))
    }

    /// Names the first entry of the old log that the new one has not, as far as the old one's files tell.
    async fn missing(&self, own: &[Hash], before: u64) -> Result<Problem, Problem> {
        let old = unless_gone(self.old.leaves(self.seen.size, self.named).await)?;
        let old = old.filter(|old| root(old) == Some(self.seen.root)).unwrap_or_default();
        let behind = old.iter().skip(entries(before));
        let same = behind.zip(own).take_while(|(old, own)| old == own).count();
        let end = own.len() as u64 + before;
        let (code, first) = if old.is_empty() && end >= self.seen.size {
            let detail = format!(
                "it is not known which of the {} entries seen of {} it has not: the old files are gone",
                self.seen.size, self.origin
            );
            return Ok(Problem::new(ErrorCode::LedgerFork, detail));
        } else if old.is_empty() || same == own.len() {
            (ErrorCode::LedgerRollback, end)
        } else {
            (ErrorCode::LedgerFork, same as u64 + before)
        };
        let (size, origin) = (self.seen.size, self.origin);
        let detail =
            format!("it goes on without entry {first} of {origin}, of which {size} were seen");
        Ok(Problem::new(code, detail))
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

/// The root over these leaves; none over none.
pub(super) fn root(leaves: &[Hash]) -> Option<Hash> {
    // Whole subtrees, largest first, each with how many leaves it is over.
    let mut trees: Vec<(u64, Hash)> = Vec::new();
    for leaf in leaves {
        let mut tree = (1, *leaf);
        while let Some((_, left)) = trees.pop_if(|(width, _)| *width == tree.0) {
            tree = (tree.0 * 2, node_hash(left, tree.1));
        }
        trees.push(tree);
    }
    trees.into_iter().map(|(_, hash)| hash).rev().reduce(|right, left| node_hash(left, right))
}

fn entries(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use mesh_tlog::Edge;

    use super::*;

    #[test]
    fn the_root_is_that_of_the_log() {
        assert_eq!(root(&[]), None);
        let entries: Vec<String> = (0..300).map(|n| format!("entry {n}")).collect();
        let leaves: Vec<Hash> = entries.iter().map(|e| leaf_hash(e.as_bytes())).collect();
        for size in [1, 2, 3, 4, 7, 255, 256, 257, 300] {
            let (edge, _files) = Edge::empty().integrate(&entries[..size]).unwrap();
            assert_eq!(root(&leaves[..size]), Some(edge.head().root), "{size}");
        }
    }
}
