//! `mesh-ideas keys`.

use std::{path::PathBuf, process::ExitCode};

use clap::Subcommand;
use mesh_ideas::keys::{export, import};
use mesh_schemas::Problem;

use super::{place, print};
use crate::PlaceArgs;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Writes the keys to a file that only you may read: whoever has it can read every sealed text
    Export(FileArgs),
    /// Takes the keys from such a file that open a text of the database and are missing there
    Import(FileArgs),
}

#[derive(Debug, clap::Args)]
struct FileArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// The file
    file: PathBuf,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, Problem> {
    match args.what {
        What::Export(FileArgs { place: at, file }) => {
            let keys = export(&place(&at)?, &file).await?;
            print(&serde_json::json!({ "keys": keys }))?;
        }
        What::Import(FileArgs { place: at, file }) => {
            print(&import(&place(&at)?, &file).await?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
