//! A witness (C2SP `tlog-witness`): cosigns checkpoints of logs that it watches, and never two that do not
//! continue each other. It belongs on another machine than the log, with a key of its own.
//!
//! What it cosigned is durable before it answers, set only if it is still what was looked up: two requests at
//! once, or a restart at any instant, cannot roll it back.

mod config;
mod http;
mod state;

pub use config::{LogConfig, TlsConfig, WitnessConfig};
pub use http::Server;

use std::path::Path;

use mesh_fabric::{
    files::{lock_dir, write_private},
    ids,
};
use mesh_schemas::{ErrorCode, Problem};
use mesh_tlog::{KeyKind, SignerKey};

use self::state::State;

/// The key's file in the data directory.
const KEY_FILE: &str = "witness.key";

/// The witness's verifier key, for the logs' configurations; the key is made when there is none. One that is there
/// is only read, also while the witness runs.
///
/// # Errors
/// `E_CONFIG`; when the key must be made also `E_LOCKED`, `E_IO`, `E_STORE_DOWN`.
pub async fn verifier(config: &WitnessConfig) -> Result<String, Problem> {
    let WitnessConfig { data, name, .. } = config;
    if data.join(KEY_FILE).exists() {
        return Ok(key(data, name, true)?.verifier().to_string());
    }
    let _lock = lock_dir(data)?;
    let state = State::open(data).await?;
    let has_state = state.is_empty().await.map(|is_empty| !is_empty);
    state.close().await;
    Ok(key(data, name, has_state?)?.verifier().to_string())
}

/// The witness's key, made at the first start.
fn key(data: &Path, name: &str, has_state: bool) -> Result<SignerKey, Problem> {
    let path = data.join(KEY_FILE);
    let shown = path.display().to_string();
    let problem = |code, what: String| Problem::new(code, format!("{shown}: {what}"));
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !has_state => {
            let made = SignerKey::new(name, KeyKind::Witness, &ids::random())
                .map_err(|error| problem(ErrorCode::Config, error.to_string()))?;
            write_private(&path, made.secret().as_bytes())
                .map_err(|error| problem(ErrorCode::Io, error.to_string()))?;
            made.secret()
        }
        Err(error) => return Err(problem(ErrorCode::Config, error.to_string())),
    };
    let key = SignerKey::parse(text.trim())
        .map_err(|error| problem(ErrorCode::Config, error.to_string()))?;
    if key.verifier().name() == name && key.verifier().kind() == KeyKind::Witness {
        return Ok(key);
    }
    let other = key.verifier().name();
    Err(problem(ErrorCode::Config, format!("it is the key of {other}, and name is {name}")))
}
