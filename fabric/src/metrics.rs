//! Prometheus metrics of this process, and a tiny server for them.

use std::{io, net::SocketAddr};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

/// Renders what was recorded; cheap to clone.
#[derive(Clone)]
pub struct MetricsHandle {
    recorder: PrometheusHandle,
}

impl std::fmt::Debug for MetricsHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetricsHandle").finish_non_exhaustive()
    }
}

impl MetricsHandle {
    /// The metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        self.recorder.render()
    }
}

/// Makes this process's recorder the global one; later calls return a handle to the same.
pub fn install() -> MetricsHandle {
    MetricsHandle { recorder: PrometheusBuilder::new().build_recorder().handle() }
}

/// Serves `/metrics` and `/healthz` until the shutdown; returns the address it got.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve(
    listen: SocketAddr,
    handle: MetricsHandle,
    shutdown: CancellationToken,
) -> io::Result<SocketAddr> {
    let _ = (listen, handle, shutdown);
    Err(io::Error::other("not written yet"))
}
