//! `mesh-ideas restart-origin`.

use std::process::ExitCode;

use mesh_ideas::restart::restart_origin;
use mesh_schemas::Problem;

use super::{place, print};
use crate::PlaceArgs;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: PlaceArgs,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, Problem> {
    print(&restart_origin(&place(&args.place)?).await?)?;
    Ok(ExitCode::SUCCESS)
}
