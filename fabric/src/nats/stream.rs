//! Streams, every setting written out.

use async_nats::jetstream::{
    Context,
    stream::{Config, DiscardPolicy, RetentionPolicy, StorageType, Stream},
};
use mesh_schemas::subject::StreamSpec;

use super::NatsError;

/// Makes the stream, or brings its settings up to date; what it holds stays.
///
/// # Errors
/// [`NatsError::Stream`].
pub async fn ensure_stream(jetstream: &Context, spec: &StreamSpec) -> Result<Stream, NatsError> {
    let failed = |source| NatsError::Stream { stream: spec.name, source };
    jetstream
        .create_or_update_stream(config(spec))
        .await
        .map_err(|error| failed(Box::new(error)))?;
    jetstream.get_stream(spec.name).await.map_err(|error| failed(Box::new(error)))
}

/// The stream, made when it is missing; its settings are left to who may change them.
///
/// # Errors
/// [`NatsError::Stream`].
pub async fn open_stream(jetstream: &Context, spec: &StreamSpec) -> Result<Stream, NatsError> {
    let failed = |source| NatsError::Stream { stream: spec.name, source };
    jetstream.get_or_create_stream(config(spec)).await.map_err(|error| failed(Box::new(error)))
}

fn config(spec: &StreamSpec) -> Config {
    Config {
        name: spec.name.to_owned(),
        subjects: spec.subjects.iter().map(|&subject| subject.to_owned()).collect(),
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        discard: if spec.append_only { DiscardPolicy::New } else { DiscardPolicy::Old },
        deny_delete: spec.append_only,
        deny_purge: spec.append_only,
        max_age: spec.max_age,
        max_bytes: spec.max_bytes,
        max_messages: -1,
        max_messages_per_subject: -1,
        max_message_size: spec.message_bytes_max,
        max_consumers: -1,
        num_replicas: 1,
        duplicate_window: spec.duplicate_window,
        ..Config::default()
    }
}
