//! The asynchronous half of an upload: stores packs as they come, then the manifest that names them.

use std::path::Path;

use bytes::Bytes;
use futures::{StreamExt as _, stream::FuturesOrdered};
use mesh_fabric::{fail_point::FailPoint, files};
use mesh_schemas::{
    ErrorCode,
    manifest::{ChunkRef, ManifestSummary, PackRef},
    message::OBJECTS_MAX,
};
use tokio::sync::mpsc;

use super::{UploadError, producer::Parcel};
use crate::{
    core::state::{Contents, Draft, UploadState, prefix},
    port::PortError,
    transfer::{Put, Wire},
};

/// The state file is written after each pack at first, and once there are many, when so large a part
/// of them is new: a kill costs few packs, and writing the file never costs more than the packs do.
const UNSAVED_PART: usize = 32;

/// One owner's way into the store.
pub(crate) struct Pipeline<'a> {
    pub(crate) wire: Wire<'a>,
    pub(crate) state: &'a mut UploadState,
    /// None for an upload that begins anew after a kill.
    pub(crate) state_file: Option<&'a Path>,
}

impl Pipeline<'_> {
    /// Uploads packs until there are no more. They are recorded in the order they were made in.
    pub(crate) async fn store_packs(
        &mut self,
        mut parcels: mpsc::Receiver<Parcel>,
        mut on_pack: impl FnMut(),
    ) -> Result<(), UploadError> {
        let (wire, prefix) = (self.wire, prefix(self.state.owner));
        let mut under_way = FuturesOrdered::new();
        let (mut open, mut unsaved) = (true, 0);
        while open || !under_way.is_empty() {
            tokio::select! {
                Some(stored) = under_way.next(), if !under_way.is_empty() => {
                    let (pack, chunks) = stored?;
                    self.state.stored.record(pack, chunks);
                    unsaved += 1;
                    on_pack();
                }
                // The producer's permits bound how many come.
                parcel = parcels.recv(), if open => match parcel {
                    Some(parcel) => under_way.push_back(store_pack(wire, &prefix, parcel)),
                    None => open = false,
                },
            }
            if unsaved > self.state.stored.packs.len() / UNSAVED_PART {
                self.save().await?;
                unsaved = 0;
            }
        }
        Ok(())
    }

    /// Stores the manifest after all that it names was seen in the store, and remembers it. That its
    /// version is taken is durable before anybody could find it.
    pub(crate) async fn publish(
        &mut self,
        contents: Contents,
        complete: bool,
    ) -> Result<ManifestSummary, UploadError> {
        self.confirm_packs().await?;
        let draft = self.state.draft(&contents, complete).ok_or(UploadError::Stopped)?;
        self.save().await?;
        let Draft { name, object, bytes, summary } = draft;
        self.wire.put(&name, &object.key, Bytes::from(bytes)).await?;
        self.wire.check(vec![object]).await.map_err(UploadError::Check)?;
        FailPoint::UploadStored.pass();
        self.state.commit(contents, complete, summary.clone());
        self.save().await?;
        Ok(summary)
    }

    async fn confirm_packs(&mut self) -> Result<(), UploadError> {
        while let some @ [_, ..] = self.state.stored.unchecked() {
            let some = some[..some.len().min(OBJECTS_MAX)].to_vec();
            let count = some.len();
            if let Err(error) = self.wire.check(some).await {
                if is_not_there(&error) {
                    self.state.stored.forget_unchecked();
                }
                return Err(UploadError::Check(error));
            }
            self.state.stored.packs_checked += count;
        }
        Ok(())
    }

    async fn save(&self) -> Result<(), UploadError> {
        let Some(path) = self.state_file.map(Path::to_owned) else { return Ok(()) };
        let json = serde_json::to_vec(&self.state).map_err(|_| UploadError::Stopped)?;
        let write = move || {
            files::write_durable(&path, &json).map_err(|source| UploadError::State { path, source })
        };
        tokio::task::spawn_blocking(write).await.map_err(|_| UploadError::Stopped)?
    }
}

/// What is not there, or not whole, is to be stored once more. Any other no would be said again to that.
fn is_not_there(error: &PortError) -> bool {
    match error {
        PortError::Refused(no) => matches!(no.code, ErrorCode::NotFound | ErrorCode::Integrity),
        PortError::Unavailable { .. } => false,
    }
}

async fn store_pack(
    wire: Wire<'_>,
    prefix: &str,
    parcel: Parcel,
) -> Result<(PackRef, Vec<ChunkRef>), UploadError> {
    let Parcel { pack, _permit } = parcel;
    let key = format!("{prefix}{}", pack.name);
    let object = PackRef { key, size: pack.bytes.len() as u64, blake3: pack.blake3 };
    let put = wire.put(&pack.name, &object.key, Bytes::from(pack.bytes)).await?;
    if put == Put::AlreadyThere {
        // The name holds the hash: it is this pack of an earlier try, when it is whole.
        wire.check(vec![object.clone()]).await.map_err(UploadError::Check)?;
    }
    Ok((object, pack.chunks))
}
