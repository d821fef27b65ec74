//! Packs of texts, as the registry cuts them: of a run of entries of one bundle, named by the first of them, closed with the
//! bundle or when the texts are long enough, as the entries alone say.

use mesh_ideas_core::parse_leaf;
use mesh_tlog::{Level, TILE_WIDTH, Tile, decode_bundle};

use super::{
    db::{LeafRow, size},
    disk::{Disk, File, Name},
};

/// Texts of so many bytes close a pack: few, so that a small log has several.
const CLOSED_BYTES: usize = 300;

/// The entries of one pack.
#[derive(Debug, Clone, Copy)]
struct Pack {
    first: u64,
    end: u64,
    bytes: usize,
    closed: bool,
}

impl Pack {
    const fn name(self) -> Name {
        Name::Pack { first: self.first, width: if self.closed { 0 } else { self.end - self.first } }
    }
}

/// The packs of a bundle, by the lengths of the texts that its entries name; those without any text are none.
fn cut(first: u64, texts: impl IntoIterator<Item = usize>) -> Vec<Pack> {
    let (mut packs, mut open): (Vec<Pack>, Option<Pack>) = (Vec::new(), None);
    for (index, text) in (first..).zip(texts) {
        let mut pack =
            open.take().unwrap_or(Pack { first: index, end: index, bytes: 0, closed: false });
        (pack.end, pack.bytes) = (index + 1, pack.bytes + text);
        pack.closed = pack.bytes >= CLOSED_BYTES || pack.end.is_multiple_of(u64::from(TILE_WIDTH));
        if pack.closed { packs.push(pack) } else { open = Some(pack) }
    }
    packs.extend(open);
    packs.retain(|pack| pack.bytes > 0);
    packs
}

/// The packs that are new or wider with the leaves from one index on.
pub(super) fn grown(leaves: &[LeafRow], from: u64) -> Vec<File> {
    let width = usize::from(TILE_WIDTH);
    let mut files = Vec::new();
    for (number, bundle) in leaves.chunks(width).enumerate() {
        let first = size(number * width);
        if first + size(bundle.len()) <= from {
            continue;
        }
        let texts = bundle.iter().map(|leaf| leaf.text.as_ref().map_or(0, |text| text.len()));
        let packs = cut(first, texts).into_iter().filter(|pack| pack.end > from);
        files.extend(packs.map(|pack| (pack.name(), texts_of(leaves, pack))));
    }
    files
}

fn texts_of(leaves: &[LeafRow], pack: Pack) -> Vec<u8> {
    let place = |index: u64| usize::try_from(index).unwrap_or(usize::MAX);
    let run = leaves.get(place(pack.first)..place(pack.end)).unwrap_or_default();
    let lines =
        run.iter().filter_map(|leaf| Some(format!("{} {}\n", leaf.id, leaf.text.as_ref()?)));
    lines.collect::<String>().into_bytes()
}

/// A bundle on this disk whose entries name texts of which there is no pack.
pub(super) fn bundle_without(disk: &Disk, version: u32) -> Option<Tile> {
    let bundles = disk.names(version).filter_map(|name| match name {
        Name::Tile(tile) if tile.level() == Level::Entries => Some(tile),
        Name::Tile(_) | Name::Pack { .. } | Name::Checkpoint => None,
    });
    bundles.into_iter().find(|bundle| {
        let bytes = disk.read((version, Name::Tile(*bundle))).unwrap_or_default();
        // One that is torn is found elsewhere.
        let Ok(entries) = decode_bundle(bytes, bundle.width()) else { return false };
        let length = |entry: &&[u8]| {
            let entry = parse_leaf(entry).ok()?;
            usize::try_from(entry.say.body()?.bytes).ok()
        };
        let lengths = entries.iter().map(|entry| length(entry).unwrap_or(0));
        cut(bundle.first_leaf(), lengths).into_iter().any(|pack| !has(disk, version, pack))
    })
}

/// It is there, or the closed one that took its place.
fn has(disk: &Disk, version: u32, pack: Pack) -> bool {
    let closed = Pack { closed: true, ..pack };
    [pack, closed].into_iter().any(|pack| disk.read((version, pack.name())).is_some())
}
