//! The one row that fences: who leads, how far the stream and the event log are. Rounds move it themselves.

use sqlx::FromRow;

use super::value::number;
use crate::store::{
    StoreError,
    sql::{Query, Transaction},
};

const TAKE_LEAD: &str = "UPDATE meta SET leader = leader + 1, lead_until = 0, lead_holder = '', \
    lead_url = '' RETURNING leader";

const NEXT_LOAD: &str = "UPDATE meta SET loads = loads + 1 RETURNING loads";

const POSITION: &str = "SELECT position FROM meta";

#[derive(FromRow)]
struct Leader {
    leader: i64,
}

#[derive(FromRow)]
struct Load {
    loads: i64,
}

#[derive(FromRow)]
struct Position {
    position: i64,
}

/// The next leader's epoch.
pub(in crate::store) async fn take_lead(tx: &mut impl Transaction) -> Result<u64, StoreError> {
    let rows: Vec<Leader> = tx.fetch(Query::new("taking the lead", TAKE_LEAD)).await?;
    rows.first().map_or_else(|| Err(no_row()), |row| number("meta.leader", row.leader))
}

/// The number of the next load. Only within a transaction that holds the row since [`super::lead::fence`]:
/// a statement of this one that was given up in the network cannot come later then.
pub(in crate::store) async fn next_load(tx: &mut impl Transaction) -> Result<u64, StoreError> {
    let rows: Vec<Load> = tx.fetch(Query::new("settling what was given up", NEXT_LOAD)).await?;
    rows.first().map_or_else(|| Err(no_row()), |row| number("meta.loads", row.loads))
}

/// The position in the stream NODE_EVENT.
pub(in crate::store) async fn position(tx: &mut impl Transaction) -> Result<u64, StoreError> {
    let rows: Vec<Position> = tx.fetch(Query::new("loading", POSITION)).await?;
    rows.first().map_or_else(|| Err(no_row()), |row| number("meta.position", row.position))
}

fn no_row() -> StoreError {
    StoreError::Unreadable { what: "no row in meta".into() }
}
