//! The shape of a tree: which ranges of leaves a proof hashes, and of which perfect subtrees they consist.

/// A subtree that will never change: `2^height` leaves from `index << height` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) height: u32,
    pub(crate) index: u64,
}

/// Leaves from `lo` to before `hi`; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) lo: u64,
    pub(crate) hi: u64,
}

impl Range {
    /// The perfect subtrees that the range consists of, left to right, large to small. The left end is
    /// one at which a subtree of the size of the range's largest begins, as for each range in a proof.
    pub(crate) fn nodes(self) -> Vec<Node> {
        let mut nodes = Vec::new();
        let mut lo = self.lo;
        while lo < self.hi {
            let height = (self.hi - lo).ilog2();
            nodes.push(Node { height, index: lo >> height });
            lo += 1 << height;
        }
        nodes
    }

    /// Where RFC 6962 splits it: its left part is the largest perfect subtree smaller than the whole.
    fn split(self) -> u64 {
        self.lo + (1 << (self.hi - self.lo - 1).ilog2())
    }
}

/// What an inclusion proof of leaf `index` hashes, from the leaf's sibling up. `index < size`.
pub(crate) fn inclusion(index: u64, size: u64) -> Vec<Range> {
    let mut here = Range { lo: 0, hi: size };
    let mut proof = Vec::new();
    while here.hi - here.lo > 1 {
        let middle = here.split();
        let (left, right) = (Range { hi: middle, ..here }, Range { lo: middle, ..here });
        let sibling = if index < middle { right } else { left };
        here = if index < middle { left } else { right };
        proof.push(sibling);
    }
    proof.reverse();
    proof
}

/// What a consistency proof from `old` to `new` hashes, from the lowest up. `0 < old <= new`.
pub(crate) fn consistency(old: u64, new: u64) -> Vec<Range> {
    let mut here = Range { lo: 0, hi: new };
    let mut proof = Vec::new();
    while old < here.hi {
        let middle = here.split();
        let (left, right) = (Range { hi: middle, ..here }, Range { lo: middle, ..here });
        let sibling = if old <= middle { right } else { left };
        here = if old <= middle { left } else { right };
        proof.push(sibling);
    }
    // Who asks knows the old root, and needs the old tree's last part only if it is not all of it.
    if here.lo > 0 {
        proof.push(here);
    }
    proof.reverse();
    proof
}
