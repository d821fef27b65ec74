//! Which files of a log are to be copied.

use mesh_schemas::{ErrorCode, Problem};
use mesh_tlog::{Level, ReadTiles as _, TILE_WIDTH, Tile, decode_bundle};

use crate::{
    pack::{Pack, cut},
    tiles::TileDir,
};

/// Tiles and bundles that are new or wider at the new size, lowest first.
pub(super) fn grown(old: u64, new: u64) -> impl Iterator<Item = Tile> {
    let levels = std::iter::once((Level::Entries, 0))
        .chain((0..8).map(|n| (Level::Hashes(n), 8 * u32::from(n))));
    levels.flat_map(move |(level, shift)| {
        let first = (old >> shift) / u64::from(TILE_WIDTH);
        let last = (new >> shift) / u64::from(TILE_WIDTH);
        (first..=last).filter_map(move |index| Tile::in_log(level, index, new))
    })
}

/// The bytes of a tile or bundle on disk, or of the full one that has taken its place since, and which of them it is.
pub(super) fn on_disk(tiles: &TileDir, tile: Tile) -> Result<(Tile, Vec<u8>), Problem> {
    for tile in [tile, tile.full()] {
        let read = tiles
            .read(&tile)
            .map_err(|error| Problem::new(ErrorCode::Io, format!("cannot read {tile}: {error}")))?;
        if let Some(bytes) = read {
            return Ok((tile, bytes));
        }
    }
    Err(damaged(&format!("{tile} is missing on disk")))
}

/// The packs of texts that are new or wider at the new size, as the bundles on disk say.
pub(super) fn packs_of(tiles: &TileDir, old: u64, new: u64) -> Result<Vec<Pack>, Problem> {
    let mut packs = Vec::new();
    for bundle in grown(old, new).filter(|tile| tile.level() == Level::Entries) {
        let (file, bytes) = on_disk(tiles, bundle)?;
        let entries = decode_bundle(&bytes, file.width());
        let entries = entries.map_err(|error| damaged(&format!("{file} on disk: {error}")))?;
        let entries = entries.into_iter().take(usize::from(bundle.width()));
        let cut = cut(bundle.first_leaf(), entries).into_iter().filter(|pack| pack.end() > old);
        // What they name is not needed, and would be large for a whole log.
        packs.extend(cut.map(|pack| Pack { named: Vec::new(), ..pack }));
    }
    Ok(packs)
}

/// What the files on disk lack, the rows have.
pub(super) fn damaged(detail: &str) -> Problem {
    Problem::new(ErrorCode::Io, detail)
        .hint("stop the registry and run `mesh-ideas rebuild --from leaves`")
}

#[cfg(test)]
mod tests {
    use mesh_tlog::Edge;

    use super::*;

    fn paths(tiles: impl Iterator<Item = Tile>) -> Vec<String> {
        tiles.map(|tile| tile.to_string()).collect()
    }

    #[test]
    fn what_grew_is_copied_and_nothing_else() {
        assert_eq!(paths(grown(0, 0)), Vec::<String>::new());
        assert_eq!(paths(grown(0, 2)), ["tile/entries/000.p/2", "tile/0/000.p/2"]);
        assert_eq!(
            paths(grown(255, 257)),
            [
                "tile/entries/000",
                "tile/entries/001.p/1",
                "tile/0/000",
                "tile/0/001.p/1",
                "tile/1/000.p/1"
            ]
        );
    }

    #[test]
    fn a_partial_file_that_became_full_since_is_copied_as_the_full_one() {
        let dir = tempfile::tempdir().unwrap();
        let tiles = TileDir::of_log(dir.path(), 1);
        let texts: Vec<Vec<u8>> = (0..256).map(|n| format!("entry {n}").into_bytes()).collect();
        let (edge, partial) = Edge::empty().integrate(&texts[..3]).unwrap();
        let (_, full) = edge.integrate(&texts[3..]).unwrap();
        let asked = partial[0].tile;
        assert_eq!(asked.to_string(), "tile/entries/000.p/3");
        assert!(on_disk(&tiles, asked).unwrap_err().detail.contains("000.p/3 is missing"));
        tiles.write(&partial).unwrap();
        assert_eq!(on_disk(&tiles, asked).unwrap(), (asked, partial[0].bytes.clone()));
        tiles.write(&full).unwrap();
        tiles.remove_partial(&full);
        assert_eq!(on_disk(&tiles, asked).unwrap(), (asked.full(), full[0].bytes.clone()));
        assert!(packs_of(&tiles, 0, 3).unwrap().is_empty(), "these entries name no texts");
    }
}
