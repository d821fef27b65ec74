//! PutObject: whole or not at all, and checked against everything the client said of it.

use std::time::Duration;

use data_encoding::BASE64;
use mesh_fabric::time;
use s3s::{
    S3Request, S3Response, S3Result,
    crypto::Checksum as _,
    dto::{ETag, PutObjectInput, PutObjectOutput},
    s3_error,
};
use tokio::{sync::SemaphorePermit, time::timeout};

use super::{
    Backend,
    body::{Sums, Taken},
    wire,
};
use crate::disk::{Meta, Publish};

/// Largest object, in bytes: S3's own limit for one request.
const OBJECT_BYTES_MAX: i64 = 5 << 30;
/// Longest wait for room to write; then the client is told to come back.
const ROOM_WAIT_MAX: Duration = Duration::from_secs(30);

/// What the client said the body's sums are; those after the body come in trailing headers.
#[derive(Debug, Default, PartialEq, Eq)]
struct Claims {
    crc32: Option<String>,
    crc32c: Option<String>,
    crc64nvme: Option<String>,
    sha1: Option<String>,
    sha256: Option<String>,
}

impl Backend {
    pub(super) async fn put(
        &self,
        mut req: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let how = publish_mode(&req.input)?;
        if req.input.content_length.is_some_and(|len| len > OBJECT_BYTES_MAX) {
            return Err(s3_error!(EntityTooLarge));
        }
        let _permit = self.room().await?;
        self.refuse_early(&req.input, how).await?;
        let blob = req.input.body.take();
        let taken = self.take(blob, sums_for(&req)).await?;
        verify(&req, &taken)?;
        let output = self.publish(req.input, taken, how).await?;
        Ok(S3Response::new(output))
    }

    /// Room for one more body. A client that waits for ever could not tell a busy store from a dead one.
    async fn room(&self) -> S3Result<SemaphorePermit<'_>> {
        let permit = timeout(ROOM_WAIT_MAX, self.puts.acquire()).await;
        permit.map_err(|_| s3_error!(SlowDown))?.map_err(|_| s3_error!(ServiceUnavailable))
    }

    /// Says no before the body comes, when that is known already; the file system decides later.
    async fn refuse_early(&self, input: &PutObjectInput, how: Publish) -> S3Result<()> {
        let (bucket, key) = (input.bucket.clone(), input.key.clone());
        let exists = self.on_disk(move |disk| disk.has_object(&bucket, &key)).await?;
        match how {
            Publish::CreateNew if exists => Err(s3_error!(PreconditionFailed)),
            Publish::CreateNew | Publish::Replace => Ok(()),
        }
    }

    async fn publish(
        &self,
        input: PutObjectInput,
        taken: Taken,
        how: Publish,
    ) -> S3Result<PutObjectOutput> {
        let written = taken.body.written();
        let meta = Meta {
            size: written.size,
            blake3: written.blake3,
            modified_ms: time::now().as_millis(),
            content_type: input.content_type,
            metadata: input.metadata.unwrap_or_default().into_iter().collect(),
        };
        let (bucket, key) = (input.bucket, input.key);
        let publish =
            move |disk: &crate::disk::Disk| disk.publish(&bucket, &key, taken.body, meta, how);
        let meta = self.on_disk(publish).await?;
        metrics::counter!("mesh_store_received_bytes_total").increment(meta.size);
        Ok(PutObjectOutput {
            e_tag: Some(ETag::Strong(meta.blake3)),
            size: Some(wire(meta.size)),
            checksum_crc32: taken.checksum.checksum_crc32,
            checksum_crc32c: taken.checksum.checksum_crc32c,
            checksum_crc64nvme: taken.checksum.checksum_crc64nvme,
            checksum_sha1: taken.checksum.checksum_sha1,
            checksum_sha256: taken.checksum.checksum_sha256,
            ..Default::default()
        })
    }
}

fn publish_mode(input: &PutObjectInput) -> S3Result<Publish> {
    if input.if_match.is_some() || input.write_offset_bytes.is_some() {
        return Err(s3_error!(NotImplemented, "If-Match and offsets are not supported"));
    }
    match &input.if_none_match {
        None => Ok(Publish::Replace),
        Some(condition) if condition.is_any() => Ok(Publish::CreateNew),
        Some(_) => Err(s3_error!(NotImplemented, "only If-None-Match: * is supported")),
    }
}

/// Computes the sums that the client named, before or after the body.
fn sums_for(req: &S3Request<PutObjectInput>) -> Sums {
    let trailer = req.headers.get("x-amz-trailer").and_then(|value| value.to_str().ok());
    let trailer = trailer.unwrap_or("").to_ascii_lowercase();
    let (input, mut sums) = (&req.input, Sums::default());
    let named = |claim: &Option<String>, name| claim.is_some() || trailer.contains(name);
    let hasher = &mut sums.hasher;
    hasher.crc32 = named(&input.checksum_crc32, "x-amz-checksum-crc32").then(Default::default);
    hasher.crc32c = named(&input.checksum_crc32c, "x-amz-checksum-crc32c").then(Default::default);
    let crc64 = named(&input.checksum_crc64nvme, "x-amz-checksum-crc64nvme");
    hasher.crc64nvme = crc64.then(Default::default);
    hasher.sha1 = named(&input.checksum_sha1, "x-amz-checksum-sha1").then(s3s::crypto::Sha1::new);
    let sha256 = named(&input.checksum_sha256, "x-amz-checksum-sha256");
    hasher.sha256 = sha256.then(s3s::crypto::Sha256::new);
    sums.md5 = input.content_md5.is_some().then(s3s::crypto::Md5::new);
    sums
}

fn claims(req: &S3Request<PutObjectInput>) -> Claims {
    let trailing = |name: &str| {
        let read = req.trailing_headers.as_ref()?.read(|headers| {
            headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        });
        read.flatten()
    };
    let claim = |said: &Option<String>, name: &str| said.clone().or_else(|| trailing(name));
    let input = &req.input;
    Claims {
        crc32: claim(&input.checksum_crc32, "x-amz-checksum-crc32"),
        crc32c: claim(&input.checksum_crc32c, "x-amz-checksum-crc32c"),
        crc64nvme: claim(&input.checksum_crc64nvme, "x-amz-checksum-crc64nvme"),
        sha1: claim(&input.checksum_sha1, "x-amz-checksum-sha1"),
        sha256: claim(&input.checksum_sha256, "x-amz-checksum-sha256"),
    }
}

fn verify(req: &S3Request<PutObjectInput>, taken: &Taken) -> S3Result<()> {
    let size = wire(taken.body.written().size);
    if req.input.content_length.is_some_and(|claimed| claimed != size) {
        return Err(s3_error!(IncompleteBody));
    }
    let (claims, found) = (claims(req), &taken.checksum);
    let pairs = [
        (&claims.crc32, &found.checksum_crc32),
        (&claims.crc32c, &found.checksum_crc32c),
        (&claims.crc64nvme, &found.checksum_crc64nvme),
        (&claims.sha1, &found.checksum_sha1),
        (&claims.sha256, &found.checksum_sha256),
    ];
    let md5_differs =
        req.input.content_md5.as_ref().is_some_and(|claim| *claim != BASE64.encode(&taken.md5));
    if md5_differs || pairs.into_iter().any(|(claim, found)| claim.is_some() && claim != found) {
        return Err(s3_error!(BadDigest));
    }
    Ok(())
}
