//! `mesh-ideas restart-origin`.

use std::process::ExitCode;

use mesh_ideas::{
    config::Config,
    restart::{Others, Silent, restart_origin},
};
use mesh_schemas::Problem;

use super::{place, print};
use crate::PlaceArgs;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: PlaceArgs,
    /// Begin the new log though a witness or the object store does not answer: if it knows of a later head, the new
    /// log will not name it
    #[arg(long)]
    pass_over_silent: bool,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, Problem> {
    let silent = if args.pass_over_silent { Silent::PassOver } else { Silent::Refuse };
    let others = match (&args.place.config, &args.place.data) {
        (config, None) => Others::of(&Config::load(config.as_deref())?, silent)?,
        // Without a configuration there is nobody to ask.
        (_, Some(_)) => Others::none(),
    };
    print(&restart_origin(&place(&args.place)?, &others).await?)?;
    Ok(ExitCode::SUCCESS)
}
