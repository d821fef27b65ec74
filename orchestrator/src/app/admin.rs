//! The first administrator's token: without it nobody could make the others.

use std::time::Duration;

use mesh_fabric::{ids, time};
use mesh_schemas::{ErrorCode, Problem, api::Scope};
use tracing::info;

use super::open;
use crate::{
    config::Config,
    store::{Store, TokenRow},
};

/// Shortest secret that is taken; ours have 56 characters.
const SECRET_CHARS_MIN: usize = 32;
/// It ends when its row is deleted, not by time: it is the way back in when all others have ended.
const TTL: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

/// Keeps the hash of the token in the configured file, unless it is there.
pub(super) async fn keep_token(
    config: &Config,
    store: &dyn Store,
    leader: u64,
) -> Result<(), Problem> {
    let Some(admin) = &config.admin else { return Ok(()) };
    let secret = open::secret("admin.token_file", &admin.token_file)?;
    if secret.len() < SECRET_CHARS_MIN {
        let detail = format!(
            "{} holds no token; at least {SECRET_CHARS_MIN} characters are needed",
            admin.token_file.display()
        );
        return Err(Problem::new(ErrorCode::Config, detail).at("admin.token_file"));
    }
    let secret_hash = ids::sha256(secret.as_bytes());
    let known = store.token_by_hash(secret_hash).await;
    if known.map_err(|error| open::store_problem(&error))?.is_some() {
        return Ok(());
    }
    let created_at = time::now();
    let token = TokenRow {
        id: ids::token_id(),
        name: "admin".into(),
        scope: Scope::Admin,
        secret_hash,
        created_at,
        expires_at: created_at + TTL,
    };
    store.insert_token(leader, &token).await.map_err(|error| open::store_problem(&error))?;
    info!(token.id = %token.id, "Kept the administrator's token");
    Ok(())
}
