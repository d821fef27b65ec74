//! The trace that questions to the ledger belong to: that of the request, or of the job, which leads to them.
//!
//! It is handed on with the task and not from function to function, as hardly any of those that ask know of a request.

use std::future::Future;

use mesh_fabric::ids;
use mesh_schemas::TraceParent;

tokio::task_local! {
    static TRACE: TraceParent;
}

/// Whatever is asked by this future, in the same task, is asked in this trace.
pub(crate) async fn within<T>(trace: TraceParent, asking: impl Future<Output = T>) -> T {
    TRACE.scope(trace, asking).await
}

/// The trace seen from a span of its own; a new one when nobody began any.
pub(super) fn current() -> TraceParent {
    let known = TRACE.try_with(|trace| trace.child(ids::span_id()));
    known.unwrap_or_else(|_| ids::trace_parent())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_question_is_in_the_trace_that_leads_to_it_and_in_its_own_span() {
        let trace = ids::trace_parent();
        let asked = within(trace, async { current() }).await;
        assert_eq!(asked.trace_id(), trace.trace_id());
        assert_ne!(asked.span_id(), trace.span_id());
        assert_ne!(current().trace_id(), trace.trace_id());
    }
}
