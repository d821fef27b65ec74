//! The one row that fences: who leads, how far the stream and the event log are.

use sqlx::FromRow;

use super::{json::int, value::number};
use crate::store::{
    Round, StoreError,
    sql::{Query, Transaction},
};

const TAKE_LEAD: &str = "UPDATE meta SET leader = leader + 1, lead_until = 0, lead_holder = '', \
    lead_url = '' RETURNING leader";

const FENCE: &str = "UPDATE meta SET event_seq = event_seq + $1, position = COALESCE($2, position) \
    WHERE leader = $3 RETURNING event_seq";

const POSITION: &str = "SELECT position FROM meta";

#[derive(FromRow)]
struct Leader {
    leader: i64,
}

#[derive(FromRow)]
struct Fenced {
    event_seq: i64,
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

/// Holds the row until the round ends and takes numbers for its events: the last one, or `None` when
/// another leader is in charge.
pub(in crate::store) async fn fence(
    tx: &mut impl Transaction,
    round: &Round<'_>,
    events: usize,
) -> Result<Option<u64>, StoreError> {
    let query = Query::new("writing a round", FENCE)
        .int(i64::try_from(events).unwrap_or(i64::MAX))
        .int(round.position.map(int))
        .int(int(round.leader));
    let rows: Vec<Fenced> = tx.fetch(query).await?;
    rows.first().map(|row| number("meta.event_seq", row.event_seq)).transpose()
}

/// The position in the stream NODE_EVENT.
pub(in crate::store) async fn position(tx: &mut impl Transaction) -> Result<u64, StoreError> {
    let rows: Vec<Position> = tx.fetch(Query::new("loading", POSITION)).await?;
    rows.first().map_or_else(|| Err(no_row()), |row| number("meta.position", row.position))
}

fn no_row() -> StoreError {
    StoreError::Unreadable { what: "no row in meta".into() }
}
