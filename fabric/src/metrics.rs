//! Prometheus metrics of this process, and a tiny server for them.
//!
//! Names are `mesh_<noun>_<unit>[_total]` with bounded labels. The server answers anybody who can
//! reach it, so it belongs on loopback or a private network.

use std::{io, net::SocketAddr, sync::OnceLock};

use axum::{
    Router, extract::State, http::header::CONTENT_TYPE, response::IntoResponse, routing::get,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

mod process;

/// Bounds of histograms in seconds: from a commit on a fast disk to a long upload.
const SECONDS_BUCKETS: [f64; 14] =
    [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

/// The media type of Prometheus' text format.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

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
    /// The metrics in Prometheus' text format, those of the process as of now.
    pub fn render(&self) -> String {
        process::record();
        // Folds samples into histograms; nothing else calls it.
        self.recorder.run_upkeep();
        self.recorder.render()
    }
}

/// Makes this process's recorder the global one; later calls return a handle to the same.
pub fn install() -> MetricsHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    let recorder = RECORDER.get_or_init(|| {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)
            .expect("the list of buckets is not empty")
            .build_recorder();
        let handle = recorder.handle();
        // Something else may have installed a recorder before; then this one stays empty.
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("Another metrics recorder is installed; /metrics will be empty");
        }
        describe();
        handle
    });
    MetricsHandle { recorder: recorder.clone() }
}

fn describe() {
    process::describe();
    metrics::describe_counter!("mesh_nats_disconnects_total", "Connections to NATS that were lost");
    metrics::describe_counter!("mesh_nats_errors_total", "What NATS refused, such as permissions");
    metrics::describe_counter!(
        "mesh_nats_slow_consumers_total",
        "Times that messages were dropped because they were read too slowly"
    );
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
    serve_beside(listen, handle, Router::new(), shutdown).await
}

/// The same with more pages beside them, such as `/readyz`.
///
/// # Errors
/// As [`serve`].
pub async fn serve_beside(
    listen: SocketAddr,
    handle: MetricsHandle,
    pages: Router,
    shutdown: CancellationToken,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let router = Router::new()
        .route("/metrics", get(metrics_page))
        .route("/healthz", get(|| std::future::ready("ok\n")))
        .with_state(handle)
        .merge(pages);
    let serving = async move {
        let served =
            axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned());
        if let Err(error) = served.await {
            tracing::error!(%error, "The metrics server ended");
        }
    };
    #[expect(clippy::disallowed_methods, reason = "it ends with the token and holds nothing")]
    drop(tokio::spawn(serving));
    Ok(address)
}

async fn metrics_page(State(handle): State<MetricsHandle>) -> impl IntoResponse {
    ([(CONTENT_TYPE, TEXT_FORMAT)], handle.render())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn body(address: SocketAddr, path: &str) -> reqwest::Result<String> {
        let client = crate::http::client(None).unwrap();
        client.get(format!("http://{address}/{path}")).send().await?.text().await
    }

    #[tokio::test]
    async fn what_was_counted_is_served_until_the_shutdown() {
        let handle = install();
        metrics::counter!("mesh_test_total").increment(3);
        metrics::histogram!("mesh_test_seconds").record(0.2);
        let shutdown = CancellationToken::new();
        let listen = "127.0.0.1:0".parse().unwrap();
        let address = serve(listen, handle, shutdown.clone()).await.unwrap();
        let text = body(address, "metrics").await.unwrap();
        assert!(text.contains("mesh_test_total 3"), "{text}");
        assert!(text.contains("mesh_test_seconds_bucket{le=\"0.25\"} 1"), "{text}");
        assert_eq!(body(address, "healthz").await.unwrap(), "ok\n");
        shutdown.cancel();
        let closed = async {
            while body(address, "healthz").await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(5), closed).await.unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_processs_memory_and_time_are_among_them() {
        let text = install().render();
        for name in ["mesh_process_resident_bytes ", "mesh_process_cpu_seconds_total "] {
            let line = text.lines().find(|line| line.starts_with(name));
            let value: f64 = line.and_then(|l| l.split(' ').nth(1)).unwrap().parse().unwrap();
            assert!(value >= 0.0, "{name}{value}");
        }
    }

    #[tokio::test]
    async fn an_address_in_use_is_an_error() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listen = taken.local_addr().unwrap();
        assert!(serve(listen, install(), CancellationToken::new()).await.is_err());
    }
}
