//! Whether a pack holds the texts that the log says.

use std::collections::BTreeMap;

use mesh_ideas_core::{body_hash, parse_leaf};
use mesh_schemas::idea::{BodyRef, Say, Sha256};

use super::{
    cut::{Named, Pack},
    file::{Decoded, decode},
    read::PackFile,
};
use crate::store::Body;

/// Every erasure has this in its canonical form, and hardly any other entry.
const MARK: &[u8] = br#""kind":"erased""#;

/// Of each subject whose texts were erased, the index of the last entry that says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Erasures(pub(crate) BTreeMap<String, u64>);

impl Erasures {
    /// The index of the entry that erased this text, if one did: what is sealed behind it is not meant.
    pub(crate) fn of(&self, named: &Named) -> Option<u64> {
        let at = self.0.get(named.body.sealed.as_ref()?)?;
        (*at > named.index).then_some(*at)
    }

    /// As if every sealed text of a pack had been erased: for who does not know the log yet.
    pub(crate) fn possible(pack: &Pack) -> Self {
        let subjects = pack.named.iter().filter_map(|named| named.body.sealed.clone());
        Self(subjects.map(|subject| (subject, u64::MAX)).collect())
    }

    /// Takes those in that others know of.
    pub(crate) fn merge(&mut self, others: Self) {
        for (subject, index) in others.0 {
            let known = self.0.entry(subject).or_insert(index);
            *known = index.max(*known);
        }
    }

    /// Takes an entry in, if it is an erasure; entries come in the order of the log.
    pub(crate) fn look_at(&mut self, index: u64, entry: &[u8]) {
        // Most are none, and need not be read.
        if !entry.windows(MARK.len()).any(|window| window == MARK) {
            return;
        }
        if let Ok(Say::Erased { subject }) = parse_leaf(entry).map(|entry| entry.say) {
            self.0.insert(subject, index);
        }
    }
}

/// What is wrong with a pack.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {index}: {path} {what}")]
pub(crate) struct PackFault {
    /// The first entry whose text is not as it should be.
    pub(crate) index: u64,
    /// The file.
    pub(crate) path: String,
    pub(crate) what: &'static str,
}

/// The texts of a pack, in the order in which its entries name them, each once; those that were erased may be missing.
pub(crate) fn check(
    pack: &Pack,
    file: &PackFile,
    erasures: &Erasures,
) -> Result<Vec<Body>, PackFault> {
    let fault = |index, what| Err(PackFault { index, path: file.path.clone(), what });
    let Decoded { lines, whole } = decode(&file.bytes);
    let all = lines.len();
    let mut there: BTreeMap<Sha256, Body> =
        lines.into_iter().flatten().map(|body| (body.hash, body)).collect();
    let readable = there.len();
    let mut bodies = Vec::new();
    for named in &pack.named {
        let wanted = &named.body;
        match there.remove(&wanted.hash) {
            Some(body) if is_named(wanted, &body) => bodies.push(body),
            Some(_) => return fault(named.index, "has another text than the entry names"),
            // Named before, by an entry of this pack.
            None if bodies.iter().any(|body| body.hash == wanted.hash) => {}
            None if erasures.of(named).is_some() => {}
            None => return fault(named.index, "does not have the text of the entry"),
        }
    }
    if !whole {
        // The texts that are not sealed are good.
        let sealed = pack.named.iter().find(|named| named.body.sealed.is_some());
        let index = sealed.map_or(pack.first, |named| named.index);
        return fault(index, "is not what its last line is the hash of");
    }
    // The closed file has also what came behind.
    if !file.wider && (readable < all || !there.is_empty()) {
        return fault(pack.end() - 1, "has what no entry names");
    }
    Ok(bodies)
}

/// As far as that can be said without a key.
fn is_named(wanted: &BodyRef, body: &Body) -> bool {
    match &body.text {
        Some(text) => wanted.sealed.is_none() && is_text(wanted, text),
        None => body.subject == wanted.sealed,
    }
}

fn is_text(wanted: &BodyRef, text: &str) -> bool {
    usize::try_from(wanted.bytes) == Ok(text.len()) && body_hash(text, None) == wanted.hash
}

/// A stored text is the one that is named; of a sealed one only its key can tell.
pub(crate) fn is_sound(wanted: &BodyRef, body: &Body, keys: &crate::store::Keys) -> bool {
    let key = body.subject.as_ref().and_then(|subject| keys.get(subject));
    body.hash == wanted.hash
        && is_named(wanted, body)
        && match (&body.sealed, key) {
            (Some(sealed), Some(key)) => key
                .open(&wanted.hash, sealed)
                .is_some_and(|opened| body_hash(&opened.text, Some(&opened.salt)) == wanted.hash),
            (Some(_), None) | (None, _) => true,
        }
}
