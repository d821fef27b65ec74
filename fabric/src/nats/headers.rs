//! One trace across NATS: W3C `traceparent` in the message's headers.

use async_nats::HeaderMap;
use mesh_schemas::{TraceParent, trace::TRACEPARENT_HEADER};

/// Headers that carry the trace.
pub fn traced_headers(trace: TraceParent) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(TRACEPARENT_HEADER, trace.to_string().as_str());
    headers
}

/// The trace that headers carry; `None` when there is none that can be read.
pub fn trace_of(headers: &HeaderMap) -> Option<TraceParent> {
    headers.get(TRACEPARENT_HEADER)?.as_str().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_crosses_and_a_forged_one_is_ignored() {
        let trace = crate::ids::trace_parent();
        assert_eq!(trace_of(&traced_headers(trace)), Some(trace));
        assert_eq!(trace_of(&HeaderMap::new()), None);
        let mut forged = HeaderMap::new();
        forged.insert(TRACEPARENT_HEADER, "00-zz-1-01");
        assert_eq!(trace_of(&forged), None);
    }
}
