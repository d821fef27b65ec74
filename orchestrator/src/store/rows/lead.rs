//! The lead: `meta` says who leads and, by the database's own clock, until when.
//!
//! Two orchestrators never compare clocks with each other. Each asks the database, and each takes, keeps
//! and gives up the lead by one statement.

use std::time::Duration;

use sqlx::FromRow;

use super::{json::int, value::number};
use crate::store::{
    Claim, Lead, StoreError,
    sql::{Dialects, Driver, Query, Transaction},
};

/// No lease is as long. One that seems to be is of before the database's clock was set back.
const LEASE_MAX: Duration = Duration::from_secs(120);

/// A statement with the database's time, in milliseconds, between its pieces: the time of that moment, as
/// PostgreSQL's `now()` is that of the transaction's begin, and a statement may wait for the row.
macro_rules! by_the_clock {
    ($head:literal $(, $piece:literal)+) => {
        Dialects {
            sqlite: concat!(
                $head $(, "CAST(unixepoch('subsec') * 1000 AS INTEGER)", $piece)+
            ),
            postgres: concat!(
                $head $(, "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)", $piece)+
            ),
        }
    };
}

const CLAIM: Dialects = by_the_clock!(
    "UPDATE meta SET leader = leader + 1, lead_holder = $1, lead_url = $2, lead_until = ",
    " + $3 WHERE lead_until <= ",
    " OR lead_until > ",
    " + $5 OR lead_holder = $4 RETURNING leader"
);

const RENEW: Dialects = by_the_clock!("UPDATE meta SET lead_until = ", " + $1 WHERE leader = $2");

const RELEASE: &str = "UPDATE meta SET lead_until = 0 WHERE leader = $1";

const LOOK: Dialects =
    by_the_clock!("SELECT leader, lead_holder, lead_url, lead_until - ", " AS left_ms FROM meta");

/// Changes nothing and holds the row, so that nobody takes the lead before the transaction ends.
const FENCE: &str = "UPDATE meta SET leader = leader WHERE leader = $1";

#[derive(FromRow)]
struct Leader {
    leader: i64,
}

#[derive(FromRow)]
struct Row {
    leader: i64,
    lead_holder: String,
    lead_url: String,
    left_ms: i64,
}

/// Takes the lead unless somebody holds it: the new leader's epoch.
pub(in crate::store) async fn claim(
    tx: &mut impl Transaction,
    claim: &Claim<'_>,
) -> Result<Option<u64>, StoreError> {
    // No holder has an empty name, so nobody follows it.
    let follows = if claim.follows_itself { claim.holder } else { "" };
    let query = Query::either("taking the lead", CLAIM)
        .text(claim.holder)
        .text(claim.url)
        .int(millis(claim.ttl))
        .text(follows)
        .int(millis(LEASE_MAX));
    let rows: Vec<Leader> = tx.fetch(query).await?;
    rows.first().map(|row| number("meta.leader", row.leader)).transpose()
}

/// Holds the lead for `ttl` from now on; false when another leader is in charge.
pub(in crate::store) async fn renew(
    tx: &mut impl Transaction,
    leader: u64,
    ttl: Duration,
) -> Result<bool, StoreError> {
    let query = Query::either("renewing the lead", RENEW).int(millis(ttl)).int(int(leader));
    Ok(tx.execute(query).await? == 1)
}

/// Ends the lease now. Another's is left alone.
pub(in crate::store) async fn release(
    tx: &mut impl Transaction,
    leader: u64,
) -> Result<(), StoreError> {
    let query = Query::new("giving up the lead", RELEASE).int(int(leader));
    tx.execute(query).await.map(drop)
}

/// Refuses the rest of the transaction when another leader is in charge.
pub(in crate::store) async fn fence(
    tx: &mut impl Transaction,
    leader: u64,
) -> Result<(), StoreError> {
    let query = Query::new("looking who leads", FENCE).int(int(leader));
    if tx.execute(query).await? == 1 {
        return Ok(());
    }
    Err(StoreError::NotLeader { mine: leader })
}

/// Who leads.
pub(in crate::store) async fn look(db: &impl Driver) -> Result<Lead, StoreError> {
    let rows: Vec<Row> = db.fetch(Query::either("looking who leads", LOOK)).await?;
    let row = rows.into_iter().next();
    let row = row.ok_or_else(|| StoreError::Unreadable { what: "no row in meta".into() })?;
    let left = Duration::from_millis(u64::try_from(row.left_ms).unwrap_or(0));
    Ok(Lead {
        leader: number("meta.leader", row.leader)?,
        holder: row.lead_holder,
        url: row.lead_url,
        left: if left > LEASE_MAX { Duration::ZERO } else { left },
    })
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
