//! ListObjectsV2.

use data_encoding::HEXLOWER;
use s3s::{
    S3Response, S3Result,
    dto::{CommonPrefix, ETag, ListObjectsV2Input, ListObjectsV2Output, Object},
    s3_error,
};

use super::{Backend, timestamp, wire};
use crate::disk::{ListQuery, Meta};

/// Most keys of one answer.
const KEYS_MAX: i32 = 1_000;

impl Backend {
    pub(super) async fn list(
        &self,
        input: ListObjectsV2Input,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let query = query_of(&input)?;
        let bucket = input.bucket.clone();
        let found = self.on_disk(move |disk| disk.list(&bucket, &query)).await?;
        let count = i32::try_from(found.objects.len() + found.prefixes.len()).unwrap_or(i32::MAX);
        let prefixes = found.prefixes.into_iter();
        let prefixes = prefixes.map(|prefix| CommonPrefix { prefix: Some(prefix) });
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: input.prefix,
            delimiter: input.delimiter,
            start_after: input.start_after,
            continuation_token: input.continuation_token,
            max_keys: Some(input.max_keys.unwrap_or(KEYS_MAX)),
            key_count: Some(count),
            is_truncated: Some(found.next.is_some()),
            next_continuation_token: found.next.map(|key| HEXLOWER.encode(key.as_bytes())),
            contents: Some(found.objects.into_iter().map(object).collect()),
            common_prefixes: Some(prefixes.collect()),
            ..Default::default()
        }))
    }
}

/// The token is the last key of the page before, so that pages survive a restart of the server.
fn query_of(input: &ListObjectsV2Input) -> S3Result<ListQuery> {
    let invalid = || s3_error!(InvalidArgument, "the continuation token was not made here");
    let after = match &input.continuation_token {
        Some(token) => {
            let bytes = HEXLOWER.decode(token.as_bytes()).map_err(|_| invalid())?;
            String::from_utf8(bytes).map_err(|_| invalid())?
        }
        None => input.start_after.clone().unwrap_or_default(),
    };
    let limit = input.max_keys.unwrap_or(KEYS_MAX).clamp(0, KEYS_MAX);
    Ok(ListQuery {
        prefix: input.prefix.clone().unwrap_or_default(),
        after,
        delimiter: input.delimiter.clone(),
        limit: usize::try_from(limit).unwrap_or(0),
    })
}

fn object((key, meta): (String, Meta)) -> Object {
    Object {
        key: Some(key),
        size: Some(wire(meta.size)),
        e_tag: Some(ETag::Strong(meta.blake3)),
        last_modified: Some(timestamp(meta.modified_ms)),
        ..Default::default()
    }
}
