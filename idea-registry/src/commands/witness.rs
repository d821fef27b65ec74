//! `mesh-ideas witness`.

use std::{path::PathBuf, process::ExitCode};

use mesh_fabric::shutdown;
use mesh_ideas::witness::{self, Server, WitnessConfig};
use mesh_schemas::{ErrorCode, Problem};

use super::print_line;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The configuration, TOML; variables MESH_WITNESS__SECTION__KEY go before it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only print the verifier key, for the logs' configurations; makes it when there is none
    #[arg(long)]
    show_key: bool,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, Problem> {
    let config = WitnessConfig::load(args.config.as_deref())?;
    if args.show_key {
        print_line(&witness::verifier(&config).await?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let server = Server::bind(&config).await?;
    let shutdown = shutdown::token();
    Server::serve_metrics(&config, &shutdown).await?;
    let served = server.run(shutdown).await;
    served.map_err(|error| Problem::new(ErrorCode::Io, format!("the witness ended: {error}")))?;
    Ok(ExitCode::SUCCESS)
}
