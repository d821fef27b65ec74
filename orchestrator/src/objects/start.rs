//! At the start: the bucket, and what the store can do.

use std::sync::atomic::Ordering;

use aws_sdk_s3::primitives::ByteStream;
use mesh_fabric::backoff::{self, Policy};
use mesh_schemas::Problem;
use tracing::info;

use super::{
    Objects,
    fault::{Cause, cause, down, status},
};

/// Written twice to see whether the second is refused; never read.
const PROBE_KEY: &str = "probe/overwrite";
/// Statuses of a store that refuses to overwrite: it was there, or it is being written right now.
const REFUSED_OVERWRITE: [u16; 2] = [412, 409];

/// Tries until the store answers.
pub(super) async fn prepare(objects: &Objects) {
    let bucket = || ensure_bucket(objects);
    if backoff::retry(Policy::forever(), bucket, |_| true, |_: &Problem, _| {}).await.is_err() {
        return;
    }
    let refuses = refuses_overwrites(objects).await;
    objects.0.refuses_overwrites.store(refuses, Ordering::Relaxed);
    info!(refuses_overwrites = refuses, "The object store is ready");
}

async fn ensure_bucket(objects: &Objects) -> Result<(), Problem> {
    let (client, bucket) = (&objects.0.client, &objects.0.bucket);
    match client.head_bucket().bucket(bucket).send().await {
        Ok(_) => return Ok(()),
        Err(error) => match cause(&error) {
            Cause::Missing => {}
            Cause::Refused | Cause::Down => return Err(down("looking at the bucket", &error)),
        },
    }
    match client.create_bucket().bucket(bucket).send().await {
        Ok(_) => Ok(()),
        // Somebody else made it meanwhile.
        Err(error) if status(&error) == Some(409) => Ok(()),
        Err(error) => Err(down("making the bucket", &error)),
    }
}

/// Tries it: what a store's documents say about `If-None-Match` and what it does are two things.
async fn refuses_overwrites(objects: &Objects) -> bool {
    for _ in 0..2 {
        let put = objects.0.client.put_object().bucket(&objects.0.bucket).key(PROBE_KEY);
        let put = put.body(ByteStream::from_static(b"probe")).if_none_match("*");
        if let Err(error) = put.send().await {
            return status(&error).is_some_and(|status| REFUSED_OVERWRITE.contains(&status));
        }
    }
    false
}
