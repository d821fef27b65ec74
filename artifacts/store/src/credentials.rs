//! The one key pair that may use the store.

use std::{fmt, fs, path::Path};

use mesh_schemas::{ErrorCode, Problem};
use serde::Deserialize;

/// An access key and its secret.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// Named in each request.
    pub access_key: String,
    /// Signs each request.
    pub secret_key: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Reads a JSON file `{"access_key": …, "secret_key": …}`.
    ///
    /// # Errors
    /// `E_CONFIG` when it cannot be read or a key is shorter than it may be.
    pub fn load(path: &Path) -> Result<Self, Problem> {
        let refused = |why: String| {
            let detail = format!("the credentials file {} cannot be used: {why}", path.display());
            Problem::new(ErrorCode::Config, detail)
                .hint("it must hold {\"access_key\": \"…\", \"secret_key\": \"…\"}")
        };
        let text = fs::read(path).map_err(|error| refused(error.to_string()))?;
        let keys: Self = serde_json::from_slice(&text).map_err(|e| refused(e.to_string()))?;
        if keys.access_key.len() < 3 || keys.secret_key.len() < 8 {
            return Err(refused("a key is too short".into()));
        }
        Ok(keys)
    }
}
