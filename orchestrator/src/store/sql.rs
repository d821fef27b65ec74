//! What the two databases have in common: a statement with its arguments, and transactions to run it in.
//!
//! Columns are whole numbers, texts and truth values alone, so that one text serves both dialects. They
//! differ in one thing, how to read the rows of a JSON array, and [`from_rows`] writes both texts.

use std::{borrow::Cow, fmt::Debug, future::Future};

use sqlx::{
    AssertSqlSafe, FromRow, SqlSafeStr as _, SqlStr, migrate::MigrateError, postgres::PgRow,
    sqlite::SqliteRow,
};

use super::{StoreError, script::Script};

/// A text for each dialect.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dialects {
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
}

/// A statement over the rows `r` of the JSON array in `$1`; `r.value->>'x'` is a text or, in SQLite, a
/// number, and `CAST(… AS BIGINT)` makes it a number in both. In SQLite each value stays binary (`jsonb_each`), as
/// `json_each` would have its text parsed again for every row.
macro_rules! from_rows {
    ($head:literal, $tail:literal) => {
        $crate::store::sql::Dialects {
            sqlite: concat!($head, " FROM jsonb_each($1) AS r ", $tail),
            postgres: concat!($head, " FROM jsonb_array_elements($1::jsonb) AS r(value) ", $tail),
        }
    };
}
pub(super) use from_rows;

/// A statement of a round: over the rows `r` of the JSON array whose argument `{rows}` stands for, and
/// without effect under a lead or a load that is over ([`super::script`]).
macro_rules! fenced_rows {
    ($head:literal, $tail:literal) => {
        $crate::store::sql::Dialects {
            sqlite: concat!(
                $head,
                " FROM jsonb_each({rows}) AS r \
                  WHERE (SELECT leader = $1 AND loads = $4 FROM meta) ",
                $tail
            ),
            postgres: concat!(
                $head,
                " FROM jsonb_array_elements({rows}::jsonb) AS r(value) \
                  WHERE EXISTS (SELECT FROM fence) ",
                $tail
            ),
        }
    };
}
pub(super) use fenced_rows;

/// One argument of a statement.
#[derive(Debug, Clone)]
pub(super) enum Arg {
    Int(Option<i64>),
    Text(Option<String>),
}

#[derive(Debug)]
enum Text {
    Common(Cow<'static, str>),
    Dialects(Dialects),
}

/// A statement with its arguments, `$1` first, and what it is for.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) doing: &'static str,
    text: Text,
    pub(super) args: Vec<Arg>,
}

impl Query {
    /// One text for both dialects.
    pub(super) fn new(doing: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self { doing, text: Text::Common(text.into()), args: Vec::new() }
    }

    /// A text of its own for each dialect.
    pub(super) fn either(doing: &'static str, text: Dialects) -> Self {
        Self { doing, text: Text::Dialects(text), args: Vec::new() }
    }

    /// Over the rows of a JSON array, which becomes `$1`.
    pub(super) fn over(doing: &'static str, text: Dialects, rows: String) -> Self {
        Self { doing, text: Text::Dialects(text), args: vec![Arg::Text(Some(rows))] }
    }

    /// The next argument is a text. PostgreSQL has no NUL in texts, so it becomes U+FFFD in both.
    pub(super) fn text(mut self, text: &(impl ToString + ?Sized)) -> Self {
        let text = text.to_string();
        let text = if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text };
        self.args.push(Arg::Text(Some(text)));
        self
    }

    /// The next argument is a number.
    pub(super) fn int(mut self, number: impl Into<Option<i64>>) -> Self {
        self.args.push(Arg::Int(number.into()));
        self
    }

    /// The text in the wanted dialect; all texts are put together from literals of this module's files.
    pub(super) fn sql(&mut self, choose: fn(&Dialects) -> &'static str) -> SqlStr {
        match &mut self.text {
            Text::Dialects(dialects) => SqlStr::from_static(choose(dialects)),
            Text::Common(Cow::Borrowed(text)) => SqlStr::from_static(text),
            Text::Common(Cow::Owned(text)) => AssertSqlSafe(std::mem::take(text)).into_sql_str(),
        }
    }
}

/// A row that both drivers can read.
pub(super) trait Record:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin + 'static
{
}

impl<T> Record for T where
    T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin + 'static
{
}

/// An open transaction; dropped, it is rolled back.
pub(super) trait Transaction: Send {
    /// Runs a statement; the number of rows that it touched.
    fn execute(&mut self, query: Query) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Runs a statement for its rows.
    fn fetch<T: Record>(
        &mut self,
        query: Query,
    ) -> impl Future<Output = Result<Vec<T>, StoreError>> + Send;

    /// Durable when this returns. After an error the outcome is unknown.
    fn commit(self, doing: &'static str) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Ends it at once, so that nobody waits for its locks.
    fn rollback(self, doing: &'static str) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// One of the two databases.
pub(super) trait Driver: Debug + Send + Sync + 'static {
    /// Its name, as shown to people.
    const KIND: &'static str;
    /// Its transactions.
    type Transaction: Transaction;

    /// Runs a round in one transaction and one exchange: the last number of the event log, durable when
    /// this returns, or `None` when another leader is in charge.
    fn round(&self, script: Script)
    -> impl Future<Output = Result<Option<i64>, StoreError>> + Send;

    /// A transaction that writes. SQLite has one at a time: others wait.
    fn write(
        &self,
        doing: &'static str,
    ) -> impl Future<Output = Result<Self::Transaction, StoreError>> + Send;

    /// A transaction that sees one state of everything and cannot write.
    fn read(
        &self,
        doing: &'static str,
    ) -> impl Future<Output = Result<Self::Transaction, StoreError>> + Send;

    /// One statement that only reads.
    fn fetch<T: Record>(
        &self,
        query: Query,
    ) -> impl Future<Output = Result<Vec<T>, StoreError>> + Send;
}

/// A bound statement: sqlx's arguments are of another type for each driver.
macro_rules! bound {
    ($statement:expr, $args:expr) => {
        $args.into_iter().fold($statement, |statement, arg| match arg {
            $crate::store::sql::Arg::Int(number) => statement.bind(number),
            $crate::store::sql::Arg::Text(text) => statement.bind(text),
        })
    };
}
pub(super) use bound;

/// An error of the driver, by what it says about the state of things.
pub(super) fn failed(doing: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |source| {
        if let sqlx::Error::ColumnDecode { index, .. } = &source {
            return StoreError::Unreadable { what: format!("a value in the column {index}") };
        }
        if source.as_database_error().is_some_and(is_damage) {
            return StoreError::Damaged { what: format!("{source}, while {doing}") };
        }
        StoreError::Unavailable { doing, source }
    }
}

/// The database has found its own files damaged: that does not heal by asking again.
fn is_damage(error: &(dyn sqlx::error::DatabaseError + 'static)) -> bool {
    const SQLITE_CORRUPT: u32 = 11;
    const SQLITE_NOTADB: u32 = 26;
    let Some(code) = error.code() else { return false };
    if error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
        // The lowest byte of an extended code is the plain one.
        let plain = code.parse::<u32>().map_or(0, |code| code & 0xff);
        return [SQLITE_CORRUPT, SQLITE_NOTADB].contains(&plain);
    }
    // PostgreSQL's data_corrupted and index_corrupted.
    code == "XX001" || code == "XX002"
}

/// An error of a migration. A database that newer software has migrated is left alone.
pub(super) fn migration_failed(error: MigrateError) -> StoreError {
    if let MigrateError::VersionMissing(version) | MigrateError::VersionMismatch(version) = &error {
        return StoreError::Unreadable { what: format!("tables of version {version}") };
    }
    failed("bringing its tables up to date")(sqlx::Error::from(error))
}
