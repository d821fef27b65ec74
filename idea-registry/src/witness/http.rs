//! The witness's HTTP server.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, State as Extract},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use axum_server::{Handle, tls_rustls::RustlsConfig};
use mesh_fabric::{
    files::{DirLock, lock_dir},
    metrics, time,
};
use mesh_schemas::{ErrorCode, Problem};
use mesh_tlog::{AddCheckpoint, Refused, Timestamp, Witness, origin_hash};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::{WitnessConfig, key, state::State};

/// Longest request: a proof of 63 hashes and a note.
const REQUEST_BYTES_MAX: usize = 64 << 10;
/// How often a request is decided anew when others were faster.
const DECISIONS_MAX: usize = 8;
/// How long requests under way may take to end at a shutdown.
const DRAIN_WAIT_MAX: Duration = Duration::from_secs(5);
const TEXT: &str = "text/plain; charset=utf-8";

/// A witness that listens.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its verifier key, for the logs' configurations.
    pub verifier: String,
    listener: std::net::TcpListener,
    tls: Option<RustlsConfig>,
    shared: Arc<Shared>,
    _lock: DirLock,
}

#[derive(Debug)]
struct Shared {
    witness: Witness,
    state: State,
    /// Hash and name of each log.
    origins: Vec<(String, String)>,
}

impl Server {
    /// Takes directory and port, and makes the key at the first start.
    ///
    /// # Errors
    /// `E_CONFIG`, `E_LOCKED`, `E_IO`, `E_STORE_DOWN`.
    pub async fn bind(config: &WitnessConfig) -> Result<Self, Problem> {
        mesh_fabric::tls::install_provider();
        let lock = lock_dir(&config.data)?;
        let io = |error: std::io::Error| {
            Problem::new(ErrorCode::Io, format!("cannot listen on {}: {error}", config.listen))
                .at("listen")
        };
        let listener = std::net::TcpListener::bind(config.listen).map_err(io)?;
        listener.set_nonblocking(true).map_err(io)?;
        let address = listener.local_addr().map_err(io)?;
        let tls = match &config.tls {
            Some(tls) => {
                Some(RustlsConfig::from_pem_file(&tls.cert_file, &tls.key_file).await.map_err(io)?)
            }
            None => None,
        };
        let state = State::open(&config.data).await?;
        let key = key(&config.data, &config.name, !state.is_empty().await?)?;
        let verifier = key.verifier().to_string();
        let logs = config.trusted()?;
        let named =
            |log: &mesh_tlog::TrustedLog| (origin_hash(log.origin()), log.origin().to_owned());
        let origins = logs.iter().map(named).collect();
        let witness = Witness::new(key, logs)
            .map_err(|error| Problem::new(ErrorCode::Internal, error.to_string()))?;
        let shared = Arc::new(Shared { witness, state, origins });
        info!("Witnessing on {address} with the key {verifier}");
        Ok(Self { address, verifier, listener, tls, shared, _lock: lock })
    }

    /// Serves until `shutdown`, then lets requests under way end.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub async fn run(self, shutdown: CancellationToken) -> std::io::Result<()> {
        let Self { listener, tls, shared, .. } = self;
        let app = Router::new()
            .route("/add-checkpoint", post(add_checkpoint))
            .route("/{hash}/checkpoint", get(checkpoint))
            .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
            .with_state(Arc::clone(&shared))
            .into_make_service();
        let handle = Handle::new();
        let drain = async {
            shutdown.cancelled().await;
            handle.graceful_shutdown(Some(DRAIN_WAIT_MAX));
            std::future::pending::<std::io::Result<()>>().await
        };
        let serve = async {
            match tls {
                Some(tls) => {
                    axum_server::from_tcp_rustls(listener, tls)?
                        .handle(handle.clone())
                        .serve(app)
                        .await
                }
                None => axum_server::from_tcp(listener)?.handle(handle.clone()).serve(app).await,
            }
        };
        let ended = tokio::select! {
            ended = serve => ended,
            ended = drain => ended,
        };
        shared.state.close().await;
        ended
    }

    /// Serves `/metrics` when it is wanted.
    ///
    /// # Errors
    /// `E_IO`.
    pub async fn serve_metrics(
        config: &WitnessConfig,
        shutdown: &CancellationToken,
    ) -> Result<(), Problem> {
        let handle = metrics::install();
        let Some(listen) = config.metrics_listen else { return Ok(()) };
        let served = metrics::serve(listen, handle, shutdown.clone()).await;
        served.map(drop).map_err(|error| {
            Problem::new(ErrorCode::Io, format!("cannot listen on {listen}: {error}"))
        })
    }
}

async fn add_checkpoint(Extract(shared): Extract<Arc<Shared>>, body: Bytes) -> Response {
    match shared.add(&body).await {
        Ok(Ok(answer)) => answer.into_response(),
        Ok(Err(refused)) => {
            let status = StatusCode::from_u16(refused.status()).unwrap_or(StatusCode::BAD_REQUEST);
            let (kind, text) = refused.body();
            (status, [(CONTENT_TYPE, kind)], text).into_response()
        }
        Err(problem) => {
            error!("Could not witness: {}", problem.detail);
            (StatusCode::INTERNAL_SERVER_ERROR, [(CONTENT_TYPE, TEXT)], "try again\n")
                .into_response()
        }
    }
}

async fn checkpoint(Extract(shared): Extract<Arc<Shared>>, Path(hash): Path<String>) -> Response {
    let origin = shared.origins.iter().find(|(known, _)| *known == hash).map(|(_, origin)| origin);
    let found = match origin {
        Some(origin) => shared.state.checkpoint(origin).await,
        None => Ok(None),
    };
    match found {
        Ok(Some(checkpoint)) => ([(CONTENT_TYPE, TEXT)], checkpoint).into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(problem) => {
            error!("Could not show a checkpoint: {}", problem.detail);
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

impl Shared {
    /// Decides, and answers once it is durable.
    async fn add(&self, body: &[u8]) -> Result<Result<String, Refused>, Problem> {
        let request = match AddCheckpoint::parse(body) {
            Ok(request) => request,
            Err(error) => return Ok(Err(Refused::Request(error))),
        };
        let origin = request.checkpoint.origin().to_owned();
        for _ in 0..DECISIONS_MAX {
            let last = self.state.head(&origin).await?;
            let cosigned = match self.witness.decide(request.clone(), last, now()?) {
                Ok(cosigned) => cosigned,
                Err(refused) => {
                    note(&origin, &refused, body);
                    return Ok(Err(refused));
                }
            };
            let text = cosigned.checkpoint.to_string();
            if self.state.set(&origin, last, cosigned.head, &text).await? {
                ::metrics::counter!("mesh_witness_cosigned_total").increment(1);
                debug!(size = cosigned.head.size, "Cosigned a checkpoint of {origin}");
                return Ok(Ok(cosigned.answer));
            }
        }
        Err(Problem::new(ErrorCode::Busy, "others were faster each time"))
    }
}

/// Two roots of one size are proof against the log: the request is kept in the witness's own log.
fn note(origin: &str, refused: &Refused, body: &[u8]) {
    ::metrics::counter!("mesh_witness_refused_total").increment(1);
    if refused.is_fork() {
        let request = String::from_utf8_lossy(body).into_owned();
        error!(request, "The log {origin} has forked: {refused}");
    } else {
        warn!("Refused a checkpoint of {}: {refused}", mesh_schemas::text::shown(origin));
    }
}

fn now() -> Result<Timestamp, Problem> {
    let seconds = u64::try_from(time::now().as_millis() / 1_000).ok();
    seconds
        .and_then(Timestamp::new)
        .ok_or_else(|| Problem::new(ErrorCode::Internal, "the clock is before 1970"))
}
