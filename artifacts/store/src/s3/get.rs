//! GetObject and HeadObject.

use std::{io::SeekFrom, ops::Range as Span};

use s3s::{
    S3Response, S3Result,
    dto::{
        ETag, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, Metadata,
        StreamingBlob,
    },
    s3_error,
};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::{Backend, timestamp, wire};
use crate::disk::{Meta, OpenObject};

/// Read from the disk at once.
const READ_BYTES: usize = 128 << 10;

impl Backend {
    async fn open(&self, bucket: String, key: String) -> S3Result<OpenObject> {
        let found = self.on_disk(move |disk| disk.open_object(&bucket, &key)).await?;
        found.ok_or_else(|| s3_error!(NoSuchKey))
    }

    pub(super) async fn get(&self, input: GetObjectInput) -> S3Result<S3Response<GetObjectOutput>> {
        let OpenObject { file, meta } = self.open(input.bucket, input.key).await?;
        let whole = 0..meta.size;
        let span = match input.range {
            Some(range) => range.check(meta.size)?,
            None => whole.clone(),
        };
        let mut file = tokio::fs::File::from_std(file);
        let sought = file.seek(SeekFrom::Start(span.start)).await;
        sought.map_err(|error| super::answer(error.into()))?;
        let length = span.end - span.start;
        metrics::counter!("mesh_store_sent_bytes_total").increment(length);
        let body = ReaderStream::with_capacity(file.take(length), READ_BYTES);
        Ok(S3Response::new(GetObjectOutput {
            body: Some(StreamingBlob::wrap(body)),
            content_length: Some(wire(length)),
            content_range: input.range.map(|_| content_range(&span, meta.size)),
            accept_ranges: Some("bytes".into()),
            e_tag: Some(ETag::Strong(meta.blake3.clone())),
            last_modified: Some(timestamp(meta.modified_ms)),
            metadata: metadata(&meta),
            content_type: meta.content_type,
            ..Default::default()
        }))
    }

    pub(super) async fn head(
        &self,
        input: HeadObjectInput,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let OpenObject { meta, .. } = self.open(input.bucket, input.key).await?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: Some(wire(meta.size)),
            accept_ranges: Some("bytes".into()),
            e_tag: Some(ETag::Strong(meta.blake3.clone())),
            last_modified: Some(timestamp(meta.modified_ms)),
            metadata: metadata(&meta),
            content_type: meta.content_type,
            ..Default::default()
        }))
    }
}

fn content_range(span: &Span<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", span.start, span.end.saturating_sub(1))
}

fn metadata(meta: &Meta) -> Option<Metadata> {
    let pairs = meta.metadata.iter().map(|(name, value)| (name.clone(), value.clone()));
    (!meta.metadata.is_empty()).then(|| pairs.collect())
}
