//! The listener: HTTP or HTTPS, signatures checked, drained at the end.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    time::Duration,
};

use axum::{Router, error_handling::HandleError, http::StatusCode};
use axum_server::{Handle, tls_rustls::RustlsConfig};
use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::conn::auto,
};
use mesh_schemas::{ErrorCode, Problem};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use tokio_util::sync::CancellationToken;

use crate::{credentials::Credentials, disk::Disk, s3::Backend};

/// How long requests in progress may take to end after the stop was asked for.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// How long a connection may take to send the head of a request, also when it is idle before it.
const HEADERS_WAIT_MAX: Duration = Duration::from_secs(60);
/// Longest wait for the next piece of a body, when nothing else is said.
pub const BODY_WAIT_MAX: Duration = Duration::from_secs(60);

/// What to serve, and to whom.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The directory that holds everything.
    pub data: PathBuf,
    /// Who may use it.
    pub credentials: Credentials,
    /// Needed beyond loopback.
    pub tls: Option<TlsFiles>,
    /// Longest wait for the next piece of a body; then the upload is ended.
    pub body_wait: Duration,
}

/// PEM files of the server's certificate chain and key.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The chain.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// A store that listens and does not yet answer.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    listener: TcpListener,
    app: Router,
    tls: Option<RustlsConfig>,
}

impl Server {
    /// Takes directory and port.
    ///
    /// # Errors
    /// `E_INSECURE_BIND` for a listener beyond loopback without TLS, `E_LOCKED` when another
    /// process has the directory, `E_IO` and `E_CONFIG` when directory, port or certificate cannot
    /// be used.
    pub async fn bind(options: Options) -> Result<Self, Problem> {
        if options.tls.is_none() && !options.listen.ip().is_loopback() {
            return Err(insecure(options.listen));
        }
        let tls = match &options.tls {
            Some(files) => Some(load_tls(files).await?),
            None => None,
        };
        let disk = Disk::open(&options.data)?;
        let (listener, addr) = listen(options.listen).map_err(|error| {
            Problem::new(ErrorCode::Io, format!("cannot listen on {}: {error}", options.listen))
        })?;
        let backend = Backend::new(disk, options.body_wait);
        Ok(Self { addr, listener, app: app(backend, &options.credentials), tls })
    }

    /// Where it listens.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers until the token is cancelled, then lets requests in progress end.
    ///
    /// # Errors
    /// Whatever the listener says.
    pub async fn run(self, shutdown: CancellationToken) -> io::Result<()> {
        let handle = Handle::new();
        let stop = async {
            shutdown.cancelled().await;
            handle.graceful_shutdown(Some(DRAIN_MAX));
            std::future::pending::<()>().await;
        };
        let service = self.app.into_make_service();
        let serve = async {
            match self.tls {
                Some(tls) => {
                    let mut server = axum_server::from_tcp_rustls(self.listener, tls)?;
                    bound_connections(server.http_builder());
                    server.handle(handle.clone()).serve(service).await
                }
                None => {
                    let mut server = axum_server::from_tcp(self.listener)?;
                    bound_connections(server.http_builder());
                    server.handle(handle.clone()).serve(service).await
                }
            }
        };
        tokio::select! {
            served = serve => served,
            () = stop => Ok(()),
        }
    }
}

/// Ends connections whose peer says nothing more.
fn bound_connections(builder: &mut auto::Builder<TokioExecutor>) {
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_WAIT_MAX);
}

fn insecure(listen: SocketAddr) -> Problem {
    let detail = format!("refusing to listen on {listen} without TLS: it is not loopback");
    Problem::new(ErrorCode::InsecureBind, detail)
        .hint("give --tls-cert and --tls-key, or listen on 127.0.0.1")
}

async fn load_tls(files: &TlsFiles) -> Result<RustlsConfig, Problem> {
    mesh_fabric::tls::install_provider();
    RustlsConfig::from_pem_file(&files.cert, &files.key).await.map_err(|error| {
        let detail = format!(
            "cannot use the certificate {} with the key {}: {error}",
            files.cert.display(),
            files.key.display()
        );
        Problem::new(ErrorCode::Config, detail)
    })
}

fn listen(at: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(at)?;
    listener.set_nonblocking(true)?;
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

fn app(backend: Backend, credentials: &Credentials) -> Router {
    let Credentials { access_key, secret_key } = credentials;
    let mut builder = S3ServiceBuilder::new(backend);
    builder.set_auth(SimpleAuth::from_single(access_key.as_str(), secret_key.as_str()));
    let service = HandleError::new(builder.build(), |error: s3s::HttpError| async move {
        tracing::error!(?error, "A request failed outside of S3's own errors");
        (StatusCode::INTERNAL_SERVER_ERROR, "internal error")
    });
    Router::new().fallback_service(service)
}
