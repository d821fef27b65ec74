//! Listening: TLS or not, bounded headers, slow callers cut off, a drain at the end.

use std::{convert::Infallible, io, net::SocketAddr, time::Duration};

use aide::OperationInput;
use axum::{
    Extension, Router,
    extract::{ConnectInfo, FromRequestParts},
    http::request::Parts,
};
use axum_server::{Handle, tls_rustls::RustlsConfig};
use hyper_util::rt::TokioTimer;
use tokio_util::sync::CancellationToken;

/// How long headers may take to arrive.
const HEADERS_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long requests under way may take to end at a shutdown.
const DRAIN_WAIT_MAX: Duration = Duration::from_secs(5);
/// What the connection reads of headers at all; the guard's own bounds are lower and answer in JSON.
const CONNECTION_HEADERS_MAX: usize = 256;
const CONNECTION_BUFFER_BYTES_MAX: usize = 128 << 10;
/// Most requests of one HTTP/2 connection at once.
const STREAMS_MAX: u32 = 256;

/// What to listen on.
#[derive(Debug)]
pub struct Serving {
    /// Bound already, so that its port is known.
    pub listener: std::net::TcpListener,
    /// Certificates; plain HTTP when absent.
    pub tls: Option<RustlsConfig>,
}

/// Told to streams and long-polls, so that they end before the drain's time is up.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// Ends when the token does, which may be before the server stops.
    pub(super) const fn with(token: CancellationToken) -> Self {
        Self(token)
    }

    /// Returns once the server stops.
    pub(super) async fn wait(&self) {
        self.0.cancelled().await;
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Shutdown {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // A router that is not served by `serve` never stops.
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

impl OperationInput for Shutdown {}

/// True when the caller is on this machine and no proxy speaks for somebody else.
pub(super) fn is_local(parts: &Parts) -> bool {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let proxied = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];
    peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback())
        && !proxied.iter().any(|name| parts.headers.contains_key(*name))
}

/// Serves until `shutdown`, then lets requests under way end.
///
/// # Errors
/// When the listener cannot be used.
pub async fn serve(
    serving: Serving,
    router: Router,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let Serving { listener, tls } = serving;
    listener.set_nonblocking(true)?;
    let handle = Handle::new();
    let app = router
        .layer(Extension(Shutdown(shutdown.clone())))
        .into_make_service_with_connect_info::<SocketAddr>();
    let drain = async {
        shutdown.cancelled().await;
        handle.graceful_shutdown(Some(DRAIN_WAIT_MAX));
        std::future::pending::<io::Result<()>>().await
    };
    let served = async {
        if let Some(tls) = tls {
            let mut server = axum_server::from_tcp_rustls(listener, tls)?.handle(handle.clone());
            bound_connections(server.http_builder());
            server.serve(app).await
        } else {
            let mut server = axum_server::from_tcp(listener)?.handle(handle.clone());
            bound_connections(server.http_builder());
            server.serve(app).await
        }
    };
    tokio::select! {
        ended = served => ended,
        ended = drain => ended,
    }
}

fn bound_connections<E>(builder: &mut hyper_util::server::conn::auto::Builder<E>) {
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WAIT_MAX)
        .max_headers(CONNECTION_HEADERS_MAX)
        .max_buf_size(CONNECTION_BUFFER_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(Duration::from_secs(30)))
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(CONNECTION_BUFFER_BYTES_MAX).unwrap_or(u32::MAX));
}
