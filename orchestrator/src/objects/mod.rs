//! The object store, seen from the orchestrator: it presigns, looks and reads small things.
//!
//! Only this process holds the store's keys. It never lists and never deletes; bytes of jobs do not pass
//! through it, but for manifests and pieces of logs that people look at.

mod client;
mod fault;
mod start;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aws_sdk_s3::{Client, presigning::PresigningConfig};
use bytes::{Bytes, BytesMut};
use mesh_schemas::{ErrorCode, Problem, message::ObjectUrl, text::shown};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use crate::config::ObjectsConfig;
use fault::{Cause, cause, down};

/// How long a presigned URL holds that the API gives out.
pub const URL_TTL: Duration = Duration::from_secs(15 * 60);
/// How long one holds that a node is given: a revoked node must soon reach nothing. It is to be used at
/// once, and a node whose URL has expired asks anew.
pub const NODE_URL_TTL: Duration = Duration::from_secs(2 * 60);
/// Requests to the store that run at once; more wait.
const REQUESTS_AT_ONCE_MAX: usize = 32;

/// A cheap way to the object store.
#[derive(Debug, Clone)]
pub struct Objects(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    /// Signs for the address under which nodes and users find the store.
    signer: Client,
    bucket: String,
    /// The store refuses to overwrite when asked to; known once it has been tried.
    refuses_overwrites: AtomicBool,
    room: Semaphore,
}

impl Objects {
    /// Reads the credentials; does not connect yet.
    ///
    /// # Errors
    /// `E_CONFIG` when a file cannot be used.
    pub fn open(config: &ObjectsConfig) -> Result<Self, Problem> {
        let client = client::make(config, &config.endpoint)?;
        let signer = match &config.public_endpoint {
            Some(endpoint) => client::make(config, endpoint)?,
            None => client.clone(),
        };
        Ok(Self(Arc::new(Inner {
            client,
            signer,
            bucket: config.bucket.clone(),
            refuses_overwrites: AtomicBool::new(false),
            room: Semaphore::new(REQUESTS_AT_ONCE_MAX),
        })))
    }

    /// Makes the bucket when it is missing and finds out what the store can do, trying until it answers
    /// or `shutdown`.
    pub async fn prepare(&self, shutdown: &CancellationToken) {
        shutdown.run_until_cancelled(start::prepare(self)).await;
    }

    /// A URL to upload exactly `size` bytes under `key`, good for `ttl`. Where the store can, it refuses
    /// to overwrite an object (412).
    ///
    /// # Errors
    /// `E_INTERNAL` when it cannot be signed.
    pub async fn presign_put(
        &self,
        key: &str,
        size: u64,
        ttl: Duration,
    ) -> Result<ObjectUrl, Problem> {
        let length = i64::try_from(size).map_err(|_| unsignable())?;
        let once = self.0.refuses_overwrites.load(Ordering::Relaxed).then(|| "*".to_owned());
        let put = self.0.signer.put_object().bucket(&self.0.bucket).key(key);
        let put = put.content_length(length).set_if_none_match(once);
        let signed = put.presigned(expiry(ttl)?).await.map_err(|_| unsignable())?;
        Ok(url(key, &signed))
    }

    /// A URL to download `key`, good for `ttl`.
    ///
    /// # Errors
    /// `E_INTERNAL` when it cannot be signed.
    pub async fn presign_get(&self, key: &str, ttl: Duration) -> Result<ObjectUrl, Problem> {
        let get = self.0.signer.get_object().bucket(&self.0.bucket).key(key);
        let signed = get.presigned(expiry(ttl)?).await.map_err(|_| unsignable())?;
        Ok(url(key, &signed))
    }

    /// The length of an object; `None` when it is not there.
    ///
    /// # Errors
    /// `E_OBJECTS_DOWN`.
    pub async fn head(&self, key: &str) -> Result<Option<u64>, Problem> {
        let _room = self.room().await?;
        let head = self.0.client.head_object().bucket(&self.0.bucket).key(key);
        match head.send().await {
            Ok(head) => Ok(Some(u64::try_from(head.content_length().unwrap_or(0)).unwrap_or(0))),
            Err(error) => match cause(&error) {
                Cause::Missing => Ok(None),
                Cause::Refused | Cause::Down => Err(down("looking at an object", &error)),
            },
        }
    }

    /// A whole object of at most `bytes_max`.
    ///
    /// # Errors
    /// `E_NOT_FOUND`, `E_TOO_LARGE`, `E_OBJECTS_DOWN`.
    pub async fn get_bytes(&self, key: &str, bytes_max: u64) -> Result<Bytes, Problem> {
        self.read(key, None, bytes_max).await
    }

    /// `len` bytes of an object from `offset` on; fewer at its end.
    ///
    /// # Errors
    /// `E_NOT_FOUND`, `E_OBJECTS_DOWN`.
    pub async fn get_range(&self, key: &str, offset: u64, len: u64) -> Result<Bytes, Problem> {
        if len == 0 {
            return Ok(Bytes::new());
        }
        let range = format!("bytes={offset}-{}", offset.saturating_add(len - 1));
        self.read(key, Some(range), len).await
    }

    /// Answers when the store does.
    ///
    /// # Errors
    /// `E_OBJECTS_DOWN`.
    pub async fn ping(&self) -> Result<(), Problem> {
        let _room = self.room().await?;
        let head = self.0.client.head_bucket().bucket(&self.0.bucket).send().await;
        head.map(drop).map_err(|error| down("looking at the bucket", &error))
    }

    async fn read(
        &self,
        key: &str,
        range: Option<String>,
        bytes_max: u64,
    ) -> Result<Bytes, Problem> {
        let _room = self.room().await?;
        let get = self.0.client.get_object().bucket(&self.0.bucket).key(key).set_range(range);
        let object = get.send().await.map_err(|error| match cause(&error) {
            Cause::Missing => {
                Problem::new(ErrorCode::NotFound, format!("there is no object {}", shown(key)))
            }
            Cause::Refused | Cause::Down => down("reading an object", &error),
        })?;
        let too_large = || {
            let detail = format!("the object {} has over {bytes_max} bytes", shown(key));
            Problem::new(ErrorCode::TooLarge, detail)
        };
        let (mut body, mut bytes) = (object.body, BytesMut::new());
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|error| down("reading an object", &error))?;
            bytes.extend_from_slice(&piece);
            // The length that a store claims is not trusted.
            if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > bytes_max {
                return Err(too_large());
            }
        }
        Ok(bytes.freeze())
    }

    async fn room(&self) -> Result<SemaphorePermit<'_>, Problem> {
        self.0.room.acquire().await.map_err(|_| unsignable())
    }
}

fn expiry(ttl: Duration) -> Result<PresigningConfig, Problem> {
    PresigningConfig::expires_in(ttl).map_err(|_| unsignable())
}

fn url(key: &str, signed: &aws_sdk_s3::presigning::PresignedRequest) -> ObjectUrl {
    let headers = signed.headers().map(|(name, value)| (name.to_owned(), value.to_owned()));
    ObjectUrl { key: key.to_owned(), url: signed.uri().to_owned(), headers: headers.collect() }
}

fn unsignable() -> Problem {
    Problem::new(ErrorCode::Internal, "a URL for an object could not be signed")
}
