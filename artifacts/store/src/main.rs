//! The command `mesh-store`.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::Parser;
use mesh_fabric::{metrics, shutdown, telemetry};
use mesh_schemas::{ErrorCode, Problem};
use mesh_store::{
    credentials::Credentials,
    server::{BODY_WAIT_MAX, Options, Server, TlsFiles},
};

const EXAMPLES: &str = "Examples:
  mesh-store --listen 127.0.0.1:8333 --data ./objects --credentials keys.json
  mesh-store --listen 0.0.0.0:8333 --data /srv/objects --credentials keys.json \\
      --tls-cert server.pem --tls-key server.key --metrics-listen 127.0.0.1:9333

keys.json holds {\"access_key\": \"...\", \"secret_key\": \"...\"}.";

/// An S3-compatible object store on one local directory, durable before it answers.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
struct Args {
    /// Where to listen; beyond loopback only with TLS
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8333")]
    listen: SocketAddr,
    /// The directory that holds the objects
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// JSON file with the key pair that may use the store
    #[arg(long, value_name = "FILE")]
    credentials: PathBuf,
    /// Certificate chain, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Key of the certificate, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Where to serve /metrics and /healthz
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics_listen: Option<SocketAddr>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    telemetry::init("mesh-store");
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("error[{}]: {}", problem.code, problem.detail);
            if let Some(hint) = &problem.hint {
                eprintln!("hint: {hint}");
            }
            ExitCode::from(problem.code.exit_code())
        }
    }
}

fn run(args: Args) -> Result<(), Problem> {
    let credentials = Credentials::load(&args.credentials)?;
    let tls = args.tls_cert.zip(args.tls_key).map(|(cert, key)| TlsFiles { cert, key });
    let options = Options {
        listen: args.listen,
        data: args.data,
        credentials,
        tls,
        body_wait: BODY_WAIT_MAX,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| io_problem("cannot start its threads", &error))?;
    runtime.block_on(serve(options, args.metrics_listen))
}

async fn serve(options: Options, metrics_listen: Option<SocketAddr>) -> Result<(), Problem> {
    let stop = shutdown::token();
    let data = options.data.clone();
    let server = Server::bind(options).await?;
    if let Some(at) = metrics_listen {
        let bound = metrics::serve(at, metrics::install(), stop.clone()).await;
        bound.map_err(|error| io_problem(&format!("cannot listen on {at}"), &error))?;
    }
    tracing::info!(
        address = %server.addr(),
        data = %data.display(),
        "The object store listens on {}", server.addr()
    );
    let ended = server.run(stop).await;
    ended.map_err(|error| io_problem("the listener failed", &error))
}

fn io_problem(what: &str, error: &std::io::Error) -> Problem {
    Problem::new(ErrorCode::Io, format!("{what}: {error}"))
}
