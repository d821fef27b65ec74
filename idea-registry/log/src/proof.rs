//! Checking inclusion and consistency proofs, offline. By RFC 9162, 2.1.3.2 and 2.1.4.2, whose proofs are
//! those of RFC 6962; the making in `prove` goes another way on purpose.

use crate::hash::{EMPTY_ROOT, Hash, TreeHead, node_hash};

/// The longest proof that is read: what `tlog-witness` allows.
pub const PROOF_HASHES_MAX: usize = 63;

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// A log of this size has no such leaf.
    #[error("there is no leaf {index} in a log of {size}")]
    NoSuchLeaf {
        /// The leaf asked for.
        index: u64,
        /// The log's size.
        size: u64,
    },
    /// The old log is the larger one.
    #[error("a log of {new} cannot continue one of {old}")]
    Shrunk {
        /// The size of the old log.
        old: u64,
        /// The size of the new one.
        new: u64,
    },
    /// A head of size zero has another root than the empty tree.
    #[error("an empty log has another root")]
    EmptyRoot,
    /// Two heads of one size have different roots: no proof can reconcile them.
    #[error("two logs of one size have different roots")]
    SameSize,
    /// The proof has too few hashes for these sizes.
    #[error("the proof has too few hashes")]
    TooShort,
    /// The proof has too many hashes for these sizes.
    #[error("the proof has too many hashes")]
    TooLong,
    /// The proof leads to another root than the old log's.
    #[error("the proof leads to another old root")]
    OldRoot,
    /// The proof leads to another root than the log's.
    #[error("the proof leads to another root")]
    Root,
}

/// Checks that the log of this head has this leaf at `index`.
pub fn verify_inclusion(
    head: TreeHead,
    index: u64,
    leaf: Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if index >= head.size {
        return Err(ProofError::NoSuchLeaf { index, size: head.size });
    }
    let mut walk = Walk { node: index, last: head.size - 1 };
    let mut root = leaf;
    for sibling in proof {
        root = match walk.up()? {
            Side::Left => node_hash(*sibling, root),
            Side::Right => node_hash(root, *sibling),
        };
    }
    walk.arrived()?;
    if root == head.root { Ok(()) } else { Err(ProofError::Root) }
}

/// Checks that the log of the new head begins with all of the log of the old head.
pub fn verify_consistency(old: TreeHead, new: TreeHead, proof: &[Hash]) -> Result<(), ProofError> {
    if old.size > new.size {
        return Err(ProofError::Shrunk { old: old.size, new: new.size });
    }
    if [old, new].iter().any(|head| head.size == 0 && head.root != EMPTY_ROOT) {
        return Err(ProofError::EmptyRoot);
    }
    if old.size == new.size && old.root != new.root {
        return Err(ProofError::SameSize);
    }
    if old.size == 0 || old.size == new.size {
        return if proof.is_empty() { Ok(()) } else { Err(ProofError::TooLong) };
    }
    continues(old, new, proof)
}

/// As above, for `0 < old.size < new.size`.
fn continues(old: TreeHead, new: TreeHead, proof: &[Hash]) -> Result<(), ProofError> {
    // Climb to where the old tree's last perfect subtree ends; its root is the first hash, which is left
    // out of the proof if it is all of the old tree.
    let shift = (old.size - 1).trailing_ones();
    let mut walk = Walk { node: (old.size - 1) >> shift, last: (new.size - 1) >> shift };
    let (first, rest) = match proof.split_first() {
        _ if old.size.is_power_of_two() => (old.root, proof),
        Some((first, rest)) => (*first, rest),
        None => return Err(ProofError::TooShort),
    };
    let (mut old_root, mut new_root) = (first, first);
    for sibling in rest {
        match walk.up()? {
            Side::Left => {
                old_root = node_hash(*sibling, old_root);
                new_root = node_hash(*sibling, new_root);
            }
            Side::Right => new_root = node_hash(new_root, *sibling),
        }
    }
    walk.arrived()?;
    if old_root != old.root {
        return Err(ProofError::OldRoot);
    }
    if new_root == new.root { Ok(()) } else { Err(ProofError::Root) }
}

/// The way up from a node to the root, in a tree whose last node on this level is `last`.
struct Walk {
    node: u64,
    last: u64,
}

/// On which side of the way the next sibling is.
enum Side {
    Left,
    Right,
}

impl Walk {
    fn up(&mut self) -> Result<Side, ProofError> {
        if self.last == 0 {
            return Err(ProofError::TooLong);
        }
        let side =
            if self.node % 2 == 1 || self.node == self.last { Side::Left } else { Side::Right };
        // A last node without a sibling moves up as it is.
        let alone = if self.node == self.last { self.node.trailing_zeros() } else { 0 };
        self.node = self.node.unbounded_shr(alone + 1);
        self.last = self.last.unbounded_shr(alone + 1);
        Ok(side)
    }

    fn arrived(&self) -> Result<(), ProofError> {
        if self.last == 0 { Ok(()) } else { Err(ProofError::TooShort) }
    }
}
