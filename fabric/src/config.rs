//! Configuration: a TOML file, then environment variables over it.
//! The target type refuses unknown keys (`#[serde(deny_unknown_fields)]`); this module says where the
//! mistake is and which key was probably meant.

use std::path::Path;

use mesh_schemas::{ErrorCode, Problem};
use serde::de::DeserializeOwned;

/// Reads the file, when there is one, and the variables `PREFIX__SECTION__KEY` over it.
///
/// # Errors
/// `E_CONFIG`, with line and column when the mistake is in the file.
pub fn load<T: DeserializeOwned>(file: Option<&Path>, env_prefix: &str) -> Result<T, Problem> {
    let _ = (file, env_prefix);
    Err(Problem::new(ErrorCode::Internal, "not written yet"))
}
