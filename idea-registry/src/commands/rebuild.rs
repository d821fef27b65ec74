//! `mesh-ideas rebuild`.

use std::process::ExitCode;

use clap::ValueEnum;
use mesh_ideas::rebuild::{from_leaves, from_tiles};
use mesh_schemas::Problem;

use super::{place, print};
use crate::PlaceArgs;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: PlaceArgs,
    /// What is good
    #[arg(long, value_enum)]
    from: From,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum From {
    /// The rows of leaves: makes tiles and projections
    Leaves,
    /// Tiles and bundles: makes rows of leaves that are missing, and projections
    Tiles,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, Problem> {
    let place = place(&args.place)?;
    let rebuilt = match args.from {
        From::Leaves => from_leaves(&place).await?,
        From::Tiles => from_tiles(&place).await?,
    };
    print(&rebuilt)?;
    Ok(ExitCode::SUCCESS)
}
