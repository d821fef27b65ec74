//! The bucket: putting and getting small files.

use aws_sdk_s3::{
    Client,
    config::http::HttpResponse,
    error::{DisplayErrorContext, SdkError},
    primitives::ByteStream,
};
use mesh_schemas::{ErrorCode, Problem, subject::ledger_prefix};

use super::client;
use crate::config::ObjectsConfig;

/// Longest file of a log: a bundle of 256 entries of 64 KiB.
const FILE_BYTES_MAX: usize = 17 << 20;

/// One version of the origin in a bucket; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Objects {
    client: Client,
    bucket: String,
    prefix: String,
}

impl Objects {
    /// Reads the credentials; does not connect yet.
    pub(crate) fn open(config: &ObjectsConfig, version: u32) -> Result<Self, Problem> {
        let client = client::make(config)?;
        Ok(Self { client, bucket: config.bucket.clone(), prefix: ledger_prefix(version) })
    }

    /// Makes the bucket when it is missing.
    pub(super) async fn ensure_bucket(&self) -> Result<(), Problem> {
        match self.client.head_bucket().bucket(&self.bucket).send().await {
            Ok(_) => return Ok(()),
            Err(error) if status(&error) == Some(404) => {}
            Err(error) => return Err(down("looking at the bucket", &error)),
        }
        match self.client.create_bucket().bucket(&self.bucket).send().await {
            Ok(_) => Ok(()),
            // Somebody else made it meanwhile.
            Err(error) if status(&error) == Some(409) => Ok(()),
            Err(error) => Err(down("making the bucket", &error)),
        }
    }

    /// Puts a file of the log.
    pub(super) async fn put(&self, path: &str, bytes: Vec<u8>) -> Result<(), Problem> {
        let put = self.client.put_object().bucket(&self.bucket).key(self.key(path));
        let put = put.body(ByteStream::from(bytes)).send().await;
        put.map(drop).map_err(|error| down("writing a file of the log", &error))
    }

    /// Whether a file of the log is there with all its bytes.
    pub(super) async fn is_there(&self, path: &str, bytes: usize) -> Result<bool, Problem> {
        let head = self.client.head_object().bucket(&self.bucket).key(self.key(path)).send();
        match head.await {
            Ok(found) => {
                Ok(found.content_length().and_then(|n| usize::try_from(n).ok()) == Some(bytes))
            }
            Err(error) if status(&error) == Some(404) => Ok(false),
            Err(error) => Err(down("looking at a file of the log", &error)),
        }
    }

    /// Gets a file of the log; nothing when it is not there.
    pub(crate) async fn get(&self, path: &str) -> Result<Option<Vec<u8>>, Problem> {
        let get = self.client.get_object().bucket(&self.bucket).key(self.key(path));
        let object = match get.send().await {
            Ok(object) => object,
            Err(error) if status(&error) == Some(404) => return Ok(None),
            Err(error) => return Err(down("reading a file of the log", &error)),
        };
        let (mut body, mut bytes) = (object.body, Vec::new());
        while let Some(piece) = body.next().await {
            bytes.extend(piece.map_err(|error| down("reading a file of the log", &error))?);
            if bytes.len() > FILE_BYTES_MAX {
                let detail = format!("the object {path} is longer than any file of a log");
                return Err(Problem::new(ErrorCode::Integrity, detail));
            }
        }
        Ok(Some(bytes))
    }

    /// Removes the few files of the log below a path.
    pub(super) async fn remove_below(&self, path: &str) -> Result<(), Problem> {
        let doing = "removing partial tiles";
        let list = self.client.list_objects_v2().bucket(&self.bucket).prefix(self.key(path));
        let listed = list.send().await.map_err(|error| down(doing, &error))?;
        for key in listed.contents().iter().filter_map(|object| object.key()) {
            let delete = self.client.delete_object().bucket(&self.bucket).key(key);
            delete.send().await.map_err(|error| down(doing, &error))?;
        }
        Ok(())
    }

    fn key(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }
}

fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    Some(error.raw_response()?.status().as_u16())
}

fn down(doing: &'static str, error: &(dyn std::error::Error + 'static)) -> Problem {
    let detail = format!("the object store failed while {doing}: {}", DisplayErrorContext(error));
    Problem::new(ErrorCode::ObjectsDown, detail)
}
