//! `mesh-ideas rebuild`.

use std::process::ExitCode;

use clap::ValueEnum;
use mesh_ideas::rebuild::{from_leaves, from_objects, from_tiles};
use mesh_schemas::{ErrorCode, Problem};

use super::{objects, place, print};
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
    /// The rows: makes tiles, packs of texts and projections
    Leaves,
    /// The files on disk: makes rows of leaves and texts that are missing, and projections
    Tiles,
    /// The copy in the object store of the configuration: makes the files on disk, and from these the rows
    Objects,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, Problem> {
    let (place, store) = (place(&args.place)?, objects(&args.place)?);
    let rebuilt = match args.from {
        From::Leaves => from_leaves(&place).await?,
        From::Tiles => from_tiles(&place).await?,
        From::Objects => from_objects(&place, &store.ok_or_else(no_store)?).await?,
    };
    print(&rebuilt)?;
    Ok(ExitCode::SUCCESS)
}

fn no_store() -> Problem {
    Problem::new(ErrorCode::Config, "the configuration names no object store")
        .at("objects")
        .hint("give `--config` a file with `[objects]`")
}
