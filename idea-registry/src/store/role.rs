//! A PostgreSQL role that may add to the log and never change it.

use mesh_schemas::text::shown;
use sqlx::{AssertSqlSafe, PgPool};

use super::{StoreError, sql::failed};

/// What may only be read and added to.
const APPEND_ONLY: &str = "leaf, checkpoint, log";

/// Gives the role what the registry needs; the triggers guard the rest against the tables' owner.
pub(super) async fn grant(owner: &PgPool, role: &str) -> Result<(), StoreError> {
    let doing = "granting to its role";
    if role.is_empty() || !role.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Err(StoreError::Unreadable { what: format!("a role {}", shown(role)) });
    }
    let all = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA mesh_ideas";
    let never = format!("REVOKE UPDATE, DELETE, TRUNCATE ON {APPEND_ONLY}");
    let schema = "GRANT USAGE ON SCHEMA mesh_ideas";
    for text in [
        format!("{schema} TO \"{role}\""),
        format!("{all} TO \"{role}\""),
        format!("{never} FROM \"{role}\""),
    ] {
        sqlx::query(AssertSqlSafe(text)).execute(owner).await.map_err(failed(doing))?;
    }
    Ok(())
}
