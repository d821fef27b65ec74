//! Names of what is measured, described once.

/// Describes all metrics of the registry.
pub(crate) fn describe() {
    metrics::describe_counter!("mesh_ideas_entries_total", "Entries that were appended");
    metrics::describe_counter!("mesh_ideas_asks_total", "Questions that were answered, by kind");
    metrics::describe_counter!(
        "mesh_ideas_asks_busy_total",
        "Questions that were refused because too many of their class were under way"
    );
    metrics::describe_counter!("mesh_ideas_panics_total", "Answers that ended in a fault of ours");
    metrics::describe_counter!(
        "mesh_ideas_embeddings_total",
        "Texts that were compared by the embeddings endpoint, or why not"
    );
    metrics::describe_counter!(
        "mesh_ideas_embeddings_proposals_total",
        "Links that were proposed because of embeddings"
    );
    metrics::describe_histogram!(
        "mesh_ideas_embeddings_seconds",
        "How long the embeddings endpoint took"
    );
    metrics::describe_gauge!(
        "mesh_ideas_lag_seconds",
        "How long each part has been behind without getting anywhere"
    );
    metrics::describe_histogram!(
        "mesh_ideas_commit_seconds",
        "How long a batch took to be durable"
    );
    metrics::describe_histogram!(
        "mesh_ideas_integrate_seconds",
        "How long tiles and a signature took"
    );
    metrics::describe_histogram!("mesh_ideas_rank_seconds", "How long ranking all ideas took");
    metrics::describe_gauge!(
        "mesh_ideas_texts_missing",
        "Texts that are in no row and no file, though they were not erased"
    );
    metrics::describe_gauge!("mesh_ideas_signed_entries", "Size of the latest signed checkpoint");
    metrics::describe_gauge!("mesh_ideas_published_entries", "Size of what the object store holds");
    metrics::describe_gauge!(
        "mesh_ideas_unheard",
        "Witnesses and copies without whose first answer nothing is signed"
    );
    metrics::describe_gauge!(
        "mesh_ideas_witnessed_entries",
        "Largest size that a witness cosigned"
    );
}

/// Metrics are floats; a log of 2^53 entries is not near.
#[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
pub(crate) const fn float(size: u64) -> f64 {
    size as f64
}
