//! `mesh-ideas verify`.

use std::process::ExitCode;

use mesh_ideas::verify::{Remote, local, remote};
use mesh_schemas::{ErrorCode, Problem};

use super::{objects, place, print};
use crate::PlaceArgs;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: PlaceArgs,
    /// Where a log is served: the prefix of `checkpoint` and `tile/…`
    #[arg(long, value_name = "URL", requires = "key", conflicts_with_all = ["config", "data"])]
    url: Option<String>,
    /// The log's verifier key
    #[arg(long, value_name = "KEY", requires = "url")]
    key: Option<String>,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, Problem> {
    mesh_fabric::tls::install_provider();
    let report = match args.url.zip(args.key) {
        Some((url, key)) => remote(&Remote { url, key }).await?,
        None => local(&place(&args.place)?, objects(&args.place)?.as_ref()).await?,
    };
    print(&report)?;
    let bad = ExitCode::from(ErrorCode::Integrity.exit_code());
    Ok(if report.ok { ExitCode::SUCCESS } else { bad })
}
