//! The commands, one file each.

pub(crate) mod keys;
pub(crate) mod rebuild;
pub(crate) mod restart;
pub(crate) mod serve;
pub(crate) mod verify;
pub(crate) mod witness;

use std::io::Write as _;

use mesh_ideas::{
    app,
    config::{Config, ObjectsConfig},
    registry::Place,
};
use mesh_schemas::{ErrorCode, Problem};
use serde::Serialize;

use crate::PlaceArgs;

/// Where the arguments say that the log lies.
fn place(args: &PlaceArgs) -> Result<Place, Problem> {
    match (&args.config, &args.data) {
        (config, None) => app::place(&Config::load(config.as_deref())?),
        (_, Some(data)) if data.is_dir() => Ok(Place::in_directory(data)),
        (_, Some(data)) => {
            let detail = format!("there is no directory {}", data.display());
            Err(Problem::new(ErrorCode::NotFound, detail).at("data"))
        }
    }
}

/// Where the arguments say that the copy lies; with a directory alone nobody knows of one.
fn objects(args: &PlaceArgs) -> Result<Option<ObjectsConfig>, Problem> {
    mesh_fabric::tls::install_provider();
    match &args.data {
        None => Ok(Config::load(args.config.as_deref())?.objects),
        Some(_) => Ok(None),
    }
}

/// A result on standard output, as JSON.
fn print<T: Serialize>(result: &T) -> Result<(), Problem> {
    let text = serde_json::to_string_pretty(result)
        .map_err(|error| Problem::new(ErrorCode::Internal, error.to_string()))?;
    print_line(&text)
}

/// A text on standard output, as it is, with a line feed behind it.
fn print_line(text: &str) -> Result<(), Problem> {
    match writeln!(std::io::stdout(), "{text}") {
        // A reader that closed the pipe has seen enough.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Problem::new(ErrorCode::File, format!("cannot write the result: {error}")))
        }
        _ => Ok(()),
    }
}
