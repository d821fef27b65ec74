//! Tokens; of their secrets only the hash.

use mesh_schemas::{Timestamp, TokenId};
use sqlx::FromRow;

use super::value;
use crate::store::{
    StoreError, TokenRow,
    sql::{Driver, Query, Transaction},
};

/// Keeping the same token again, after an unknown outcome, is not an error.
const INSERT: &str = "INSERT INTO token (id, name, scope, secret_hash, created_at, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";

const BY_HASH: &str = "SELECT id, name, scope, secret_hash, created_at, expires_at FROM token \
     WHERE secret_hash = $1";

const ALL: &str = "SELECT id, name, scope, secret_hash, created_at, expires_at FROM token \
     ORDER BY created_at, id";

const DELETE: &str = "DELETE FROM token WHERE id = $1";

#[derive(FromRow)]
struct Row {
    id: String,
    name: String,
    scope: String,
    secret_hash: String,
    created_at: i64,
    expires_at: i64,
}

impl Row {
    fn token(self) -> Result<TokenRow, StoreError> {
        Ok(TokenRow {
            id: value::parse("token.id", &self.id)?,
            name: self.name,
            scope: value::parse("token.scope", &self.scope)?,
            secret_hash: value::hash("token.secret_hash", &self.secret_hash)?,
            created_at: Timestamp::from_millis(self.created_at),
            expires_at: Timestamp::from_millis(self.expires_at),
        })
    }
}

/// Keeps a token.
pub(in crate::store) async fn insert(
    tx: &mut impl Transaction,
    token: &TokenRow,
) -> Result<(), StoreError> {
    let query = Query::new("keeping a token", INSERT)
        .text(&token.id)
        .text(&token.name)
        .text(token.scope.as_str())
        .text(&value::hash_text(token.secret_hash))
        .int(token.created_at.as_millis())
        .int(token.expires_at.as_millis());
    tx.execute(query).await.map(|_| ())
}

/// The token with this hash.
pub(in crate::store) async fn by_hash(
    db: &impl Driver,
    secret_hash: [u8; 32],
) -> Result<Option<TokenRow>, StoreError> {
    let query = Query::new("looking up a token", BY_HASH).text(&value::hash_text(secret_hash));
    let rows: Vec<Row> = db.fetch(query).await?;
    rows.into_iter().next().map(Row::token).transpose()
}

/// All tokens, oldest first.
pub(in crate::store) async fn all(db: &impl Driver) -> Result<Vec<TokenRow>, StoreError> {
    let rows: Vec<Row> = db.fetch(Query::new("listing tokens", ALL)).await?;
    rows.into_iter().map(Row::token).collect()
}

/// Forgets a token; false when it was not there.
pub(in crate::store) async fn delete(
    tx: &mut impl Transaction,
    token: TokenId,
) -> Result<bool, StoreError> {
    let deleted = tx.execute(Query::new("deleting a token", DELETE).text(&token)).await?;
    Ok(deleted == 1)
}
