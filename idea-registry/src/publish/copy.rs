//! Reading the copy: what lies in the object store, as a log's files.

use mesh_schemas::{ErrorCode, Problem};
use mesh_tlog::{CHECKPOINT_PATH, ReadTiles, SignedCheckpoint, Tile, TrustedLog};
use tokio::runtime::Handle;

use super::Objects;
use crate::{config::ObjectsConfig, pack::ReadFiles};

/// The copy of one version of the origin. It waits for each file: read it in `block_in_place`.
#[derive(Debug, Clone)]
pub(crate) struct Copy {
    objects: Objects,
}

impl Copy {
    /// Does not connect yet.
    pub(crate) fn open(config: &ObjectsConfig, version: u32) -> Result<Self, Problem> {
        Ok(Self { objects: Objects::open(config, version)? })
    }

    /// Its checkpoint, as it lies there and as it was signed; nothing when there is none.
    pub(crate) async fn checkpoint(
        &self,
        log: &TrustedLog,
    ) -> Result<Option<(Vec<u8>, SignedCheckpoint)>, Problem> {
        let Some(note) = self.objects.get(CHECKPOINT_PATH).await? else { return Ok(None) };
        let signed = log.open(&note).map_err(|error| {
            let detail = format!("the checkpoint in the object store: {error}");
            Problem::new(ErrorCode::Integrity, detail)
        })?;
        Ok(Some((note, signed)))
    }
}

impl ReadTiles for Copy {
    type Error = Problem;

    fn read(&self, tile: &Tile) -> Result<Option<Vec<u8>>, Problem> {
        self.file(&tile.to_string())
    }
}

impl ReadFiles for Copy {
    fn file(&self, path: &str) -> Result<Option<Vec<u8>>, Problem> {
        Handle::current().block_on(self.objects.get(path))
    }
}
