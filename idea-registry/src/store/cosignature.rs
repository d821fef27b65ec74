//! What witnesses have cosigned.

use mesh_schemas::{Timestamp, idea::Sha256};
use sqlx::FromRow;

use super::{
    Store, StoreError, Tx,
    sql::{AnyText, Query, number, parse},
};

/// The newest cosignature of a witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosigned {
    /// The witness's verifier key.
    pub witness: String,
    /// Size of what it cosigned.
    pub size: u64,
    /// Root of what it cosigned.
    pub root: Sha256,
    /// Its line below the checkpoint.
    pub line: String,
    /// When, by our clock.
    pub at: Timestamp,
}

/// The same as its row has it, whether or not that can be read.
#[derive(Debug, FromRow)]
pub(crate) struct CosignedRecord {
    pub(crate) witness: String,
    pub(crate) size: i64,
    root: AnyText,
    line: AnyText,
    made_at: i64,
}

impl Store {
    /// The newest cosignature of each witness.
    pub async fn cosigned(&self, log: u32) -> Result<Vec<Cosigned>, StoreError> {
        self.cosigned_records(log).await?.into_iter().map(Cosigned::try_from).collect()
    }

    /// The same as rows.
    pub(crate) async fn cosigned_records(
        &self,
        log: u32,
    ) -> Result<Vec<CosignedRecord>, StoreError> {
        let text = "SELECT witness, size, root, line, made_at FROM cosignature \
            WHERE log = $1 ORDER BY witness";
        self.db.fetch(Query::new("reading cosignatures", text).int(i64::from(log))).await
    }
}

impl Tx {
    /// Keeps what a witness has cosigned.
    pub(crate) async fn set_cosigned(
        &mut self,
        log: u32,
        cosigned: &Cosigned,
    ) -> Result<(), StoreError> {
        let text = "INSERT INTO cosignature (log, witness, size, root, line, made_at) \
            VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (log, witness) DO UPDATE SET \
            size = EXCLUDED.size, root = EXCLUDED.root, line = EXCLUDED.line, \
            made_at = EXCLUDED.made_at";
        let query = Query::new("keeping a cosignature", text)
            .int(i64::from(log))
            .text(&cosigned.witness)
            .count(cosigned.size)
            .text(&cosigned.root)
            .text(&cosigned.line)
            .int(cosigned.at.as_millis());
        self.execute(query).await.map(drop)
    }
}

impl TryFrom<CosignedRecord> for Cosigned {
    type Error = StoreError;

    fn try_from(row: CosignedRecord) -> Result<Self, StoreError> {
        Ok(Self {
            witness: row.witness,
            size: number("cosignature.size", row.size)?,
            root: parse("cosignature.root", &row.root.lossy())?,
            line: row.line.whole("cosignature.line")?,
            at: Timestamp::from_millis(row.made_at),
        })
    }
}
