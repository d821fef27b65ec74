//! Opens the store that a URL names.

use std::sync::Arc;

use super::{
    Store, StoreError, postgres::PgDatabase, sql::failed, sql_store::SqlStore, sqlite::SqliteFile,
};

/// Opens `sqlite:///path/to/mesh.db` (made when it is missing) or `postgres://user@host/database`, and
/// brings its tables up to date. The password is for PostgreSQL and goes before one in the URL.
///
/// # Errors
/// [`StoreError::Unavailable`] when it cannot be reached or the URL is of another kind, and
/// [`StoreError::Unreadable`] when newer software has migrated it.
pub async fn open(url: &str, password: Option<String>) -> Result<Arc<dyn Store>, StoreError> {
    match url.split_once(':').map(|(scheme, _)| scheme) {
        Some("sqlite") => Ok(Arc::new(SqlStore::new(SqliteFile::open(url).await?))),
        Some("postgres" | "postgresql") => {
            Ok(Arc::new(SqlStore::new(PgDatabase::open(url, password).await?)))
        }
        // The URL is not repeated: it may hold a password.
        Some(_) | None => Err(failed("choosing its kind")(sqlx::Error::Configuration(
            "a database URL begins with sqlite: or postgres:".into(),
        ))),
    }
}
