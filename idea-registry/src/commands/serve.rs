//! `mesh-ideas serve`.

use std::{path::PathBuf, process::ExitCode};

use mesh_fabric::shutdown;
use mesh_ideas::{app::App, config::Config};
use mesh_schemas::Problem;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The configuration, TOML; variables MESH_IDEAS__SECTION__KEY go before it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only check the configuration
    #[arg(long)]
    check_config: bool,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, Problem> {
    let config = Config::load(args.config.as_deref())?;
    if args.check_config {
        eprintln!("the configuration is good");
        return Ok(ExitCode::SUCCESS);
    }
    let shutdown = shutdown::token();
    App::start(&config).await?.run(shutdown).await?;
    Ok(ExitCode::SUCCESS)
}
