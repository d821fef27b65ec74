//! Which packs a bundle's entries have.

use mesh_schemas::idea::BodyRef;
use mesh_tlog::{IndexPath, TILE_WIDTH};
use serde::Deserialize;

/// A pack is closed by the entry with which its texts become so long. It is written again for each head until then, so
/// this bounds what a slow log of long texts writes.
const CLOSED_BYTES: u64 = 256 << 10;

/// One pack: which entries it is of, and the texts that they name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pack {
    /// The first of its entries.
    pub(crate) first: u64,
    /// How many entries it has.
    pub(crate) width: u16,
    /// No entry will ever be added to it.
    pub(crate) closed: bool,
    /// What its entries name, in their order.
    pub(crate) named: Vec<Named>,
}

/// A text that an entry names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) index: u64,
    pub(crate) body: BodyRef,
}

impl Pack {
    /// The index behind its last entry.
    pub(crate) fn end(&self) -> u64 {
        self.first + u64::from(self.width)
    }

    /// Its path below the log's prefix.
    pub(crate) fn path(&self) -> String {
        if self.closed {
            self.closed_path()
        } else {
            format!("{}/{}", self.partial_dir(), self.width)
        }
    }

    /// The path that it has or will have once it is closed.
    pub(crate) fn closed_path(&self) -> String {
        format!("bodies/{}", IndexPath(self.first))
    }

    /// Where it lies before it is closed.
    pub(crate) fn partial_dir(&self) -> String {
        format!("{}.p", self.closed_path())
    }
}

/// The packs of a bundle's entries, from its first entry on; without those that name no text.
pub(crate) fn cut<'a>(first: u64, entries: impl IntoIterator<Item = &'a [u8]>) -> Vec<Pack> {
    let (mut packs, mut open): (Vec<Pack>, Option<(Pack, u64)>) = (Vec::new(), None);
    for (index, entry) in (first..).zip(entries) {
        let (mut pack, mut bytes) = open.take().unwrap_or_else(|| (begun(index), 0));
        pack.width += 1;
        if let Some(body) = named(entry) {
            bytes += u64::from(body.bytes);
            pack.named.push(Named { index, body });
        }
        pack.closed = bytes >= CLOSED_BYTES || (index + 1) % u64::from(TILE_WIDTH) == 0;
        if pack.closed { packs.push(pack) } else { open = Some((pack, bytes)) }
    }
    packs.extend(open.map(|(pack, _)| pack));
    packs.retain(|pack| !pack.named.is_empty());
    packs
}

const fn begun(first: u64) -> Pack {
    Pack { first, width: 0, closed: false, named: Vec::new() }
}

/// As much of an entry as says which text it names. What is no entry names none: others find that.
#[derive(Deserialize)]
struct Entry {
    say: Say,
}

#[derive(Deserialize)]
struct Say {
    body: Option<BodyRef>,
}

fn named(entry: &[u8]) -> Option<BodyRef> {
    serde_json::from_slice::<Entry>(entry).ok()?.say.body
}

#[cfg(test)]
mod tests {
    use mesh_schemas::idea::Sha256;

    use super::*;

    fn entry(bytes: u32) -> Vec<u8> {
        let body = BodyRef { hash: Sha256([7; 32]), bytes, sealed: None };
        serde_json::json!({ "v": 1, "say": { "kind": "comment", "body": body } })
            .to_string()
            .into_bytes()
    }

    fn paths(first: u64, sizes: &[u32]) -> Vec<String> {
        let vote = || b"{\"say\":{\"kind\":\"rank\"}}".to_vec();
        let entries: Vec<Vec<u8>> =
            sizes.iter().map(|bytes| if *bytes == 0 { vote() } else { entry(*bytes) }).collect();
        cut(first, entries.iter().map(Vec::as_slice)).iter().map(Pack::path).collect()
    }

    #[test]
    fn packs_are_closed_with_their_bundle_or_by_long_texts() {
        assert_eq!(paths(0, &[10, 0, 10]), ["bodies/000.p/3"]);
        assert_eq!(paths(256, &[0, 0]), Vec::<String>::new());
        assert_eq!(paths(1024, &[1; 256]), ["bodies/x001/024"]);
        let mega = 1 << 20;
        let closed = ["bodies/000", "bodies/002", "bodies/003.p/2"];
        assert_eq!(paths(0, &[10, mega, mega, 5, 0]), closed);
    }
}
