//! The S3 operations over [`crate::disk`]. Disk work runs on the blocking threads.

mod body;
mod errors;
mod get;
mod list;
mod put;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use s3s::{S3, S3Request, S3Response, S3Result, dto::*, s3_error};
use tokio::sync::Semaphore;

use crate::disk::{Disk, DiskError};
use errors::{answer, stopped};

/// Most bodies written at once; each has a thread and a few buffers.
const PUTS_AT_ONCE_MAX: usize = 64;

/// Answers S3 requests from one directory.
#[derive(Debug, Clone)]
pub(crate) struct Backend {
    disk: Arc<Disk>,
    puts: Arc<Semaphore>,
    /// Longest wait for the next piece of a body.
    body_wait: Duration,
}

impl Backend {
    pub(crate) fn new(disk: Disk, body_wait: Duration) -> Self {
        let puts = Arc::new(Semaphore::new(PUTS_AT_ONCE_MAX));
        Self { disk: Arc::new(disk), puts, body_wait }
    }

    /// Runs blocking work on the disk.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Disk) -> Result<T, DiskError> + Send + 'static,
    ) -> S3Result<T> {
        let disk = Arc::clone(&self.disk);
        let done = tokio::task::spawn_blocking(move || work(&disk)).await;
        done.map_err(stopped)?.map_err(answer)
    }
}

fn count(operation: &'static str) {
    metrics::counter!("mesh_store_requests_total", "operation" => operation).increment(1);
}

/// Times of files reach the wire in milliseconds since the Unix epoch.
fn timestamp(millis: i64) -> Timestamp {
    let since = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    Timestamp::from(SystemTime::UNIX_EPOCH + since)
}

/// The wire counts bytes in `i64`; no file is longer.
fn wire(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[async_trait::async_trait]
impl S3 for Backend {
    async fn create_bucket(
        &self,
        req: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        count("create_bucket");
        let bucket = req.input.bucket;
        let location = format!("/{bucket}");
        if !self.on_disk(move |disk| disk.create_bucket(&bucket)).await? {
            return Err(s3_error!(BucketAlreadyOwnedByYou));
        }
        Ok(S3Response::new(CreateBucketOutput { location: Some(location) }))
    }

    async fn head_bucket(
        &self,
        req: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        count("head_bucket");
        let bucket = req.input.bucket;
        if !self.on_disk(move |disk| Ok(disk.has_bucket(&bucket))).await? {
            return Err(s3_error!(NoSuchBucket));
        }
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn list_buckets(
        &self,
        _req: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        count("list_buckets");
        let found = self.on_disk(Disk::buckets).await?;
        let buckets = found.into_iter().map(|(name, made)| Bucket {
            name: Some(name),
            creation_date: Some(Timestamp::from(made)),
            ..Default::default()
        });
        let buckets = Some(buckets.collect());
        Ok(S3Response::new(ListBucketsOutput { buckets, ..Default::default() }))
    }

    async fn put_object(
        &self,
        req: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        count("put_object");
        self.put(req).await
    }

    async fn get_object(
        &self,
        req: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        count("get_object");
        self.get(req.input).await
    }

    async fn head_object(
        &self,
        req: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        count("head_object");
        self.head(req.input).await
    }

    async fn delete_object(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        count("delete_object");
        let DeleteObjectInput { bucket, key, .. } = req.input;
        self.on_disk(move |disk| disk.delete(&bucket, &key)).await?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        count("list_objects_v2");
        self.list(req.input).await
    }
}
