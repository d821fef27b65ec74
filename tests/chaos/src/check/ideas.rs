//! I6 and I7: the ledger of ideas, as its tables and its auditor tell it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Invariant, Look, Verdict, index::Index};
use crate::history::{Action, Answer, Ledger};

const UNREAD: &str = "no ledger was read";

/// I6.
pub(super) fn stay(index: &Index<'_>) -> Verdict {
    let mut look = Look::at(Invariant::I6);
    let Some(ledger) = &index.history.ledger else { return look.verdict(UNREAD) };
    let places = places(ledger);
    for op in &index.history.ops {
        let (Action::File { entry }, Some(Answer::Filed { index: Some(told) })) =
            (&op.action, op.answer())
        else {
            continue;
        };
        look.see();
        let found = places.get(entry.as_str()).map(Vec::as_slice).unwrap_or_default();
        if found != [*told] {
            let what = format!("{entry} was acknowledged at {told} and is at {found:?}");
            look.wrong(None, what, index.slice_of_op(op));
        }
    }
    for (entry, places) in places.iter().filter(|(_, places)| places.len() > 1) {
        look.wrong(None, format!("{entry} is in the ledger at {places:?}"), Vec::new());
    }
    for finding in &ledger.findings {
        look.wrong(None, format!("the ledger's auditor: {finding}"), Vec::new());
    }
    look.verdict("no idea was acknowledged")
}

fn places(ledger: &Ledger) -> BTreeMap<&str, Vec<u64>> {
    let mut places: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (place, entry) in (0..).zip(&ledger.entries) {
        places.entry(entry).or_default().push(place);
    }
    places
}

/// I7.
pub(super) fn one_chain(index: &Index<'_>) -> Verdict {
    let mut look = Look::at(Invariant::I7);
    let Some(ledger) = &index.history.ledger else { return look.verdict(UNREAD) };
    let mut keys = BTreeSet::new();
    for op in &index.history.ops {
        let Some(Answer::Head { size, root, key }) = op.answer() else { continue };
        look.see();
        keys.insert(key);
        let ours = usize::try_from(*size).ok().and_then(|size| ledger.roots.get(size));
        if ours != Some(root) {
            let ours = ours.map_or("none", String::as_str);
            let what =
                format!("a head of {size} entries had the root {root}; the ledger has {ours}");
            look.wrong(None, what, index.slice_of_op(op));
        }
    }
    if keys.len() > 1 {
        look.wrong(None, format!("heads were signed by {} keys", keys.len()), Vec::new());
    }
    look.verdict("nobody has seen a head")
}
