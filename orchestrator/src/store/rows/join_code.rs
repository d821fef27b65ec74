//! Join codes: a row is a code that has not been used. Of the code only the hash.

use mesh_schemas::Timestamp;

use super::value;
use crate::store::{
    StoreError,
    sql::{Query, Transaction},
};

const INSERT: &str =
    "INSERT INTO join_code (code_hash, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";

/// One statement looks and takes: of two callers at once one gets it.
const USE: &str = "DELETE FROM join_code WHERE code_hash = $1 AND expires_at > $2";

/// Keeps a code.
pub(in crate::store) async fn insert(
    tx: &mut impl Transaction,
    code_hash: [u8; 32],
    expires_at: Timestamp,
) -> Result<(), StoreError> {
    let query = Query::new("keeping a join code", INSERT)
        .text(&value::hash_text(code_hash))
        .int(expires_at.as_millis());
    tx.execute(query).await.map(|_| ())
}

/// Uses a code up: true exactly once, and only before it expires.
pub(in crate::store) async fn use_up(
    tx: &mut impl Transaction,
    code_hash: [u8; 32],
    now: Timestamp,
) -> Result<bool, StoreError> {
    let query = Query::new("using a join code", USE)
        .text(&value::hash_text(code_hash))
        .int(now.as_millis());
    Ok(tx.execute(query).await? == 1)
}
