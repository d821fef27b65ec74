//! What the two databases have in common: a statement with its arguments.
//!
//! Columns are whole numbers, texts and truth values alone, so that one text serves both dialects. They
//! differ in one thing, how to read the rows of a JSON array, and [`from_rows`] writes both texts.

use std::borrow::Cow;

use serde::Serialize;
use sqlx::{
    AssertSqlSafe, Decode, FromRow, Postgres, SqlSafeStr as _, SqlStr, Sqlite, Type,
    error::BoxDynError,
    postgres::{PgRow, PgTypeInfo, PgValueRef},
    sqlite::{SqliteRow, SqliteTypeInfo, SqliteValueRef},
};

use super::StoreError;

/// A text for each dialect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dialects {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

/// A statement over the rows `r` of the JSON array in `$1`; `r.value->>'x'` is a text or, in SQLite, a
/// number, and `CAST(… AS BIGINT)` makes it a number in both. Rows of tables are found with `IN`: of a join
/// SQLite may read the table first, and all of it.
macro_rules! from_rows {
    ($head:expr, $tail:expr) => {
        $crate::store::sql::Dialects {
            sqlite: concat!($head, " FROM jsonb_each($1) AS r ", $tail),
            postgres: concat!($head, " FROM jsonb_array_elements($1::jsonb) AS r(value) ", $tail),
        }
    };
}
pub(crate) use from_rows;

/// A statement that looks for the values of the JSON array in `$1`, each in an array of its own, with an index. As
/// an array PostgreSQL looks each of them up; as a join it may read the whole table.
macro_rules! among {
    ($head:expr, $value:expr, $tail:expr) => {
        $crate::store::sql::Dialects {
            sqlite: concat!($head, " IN (SELECT ", $value, " FROM jsonb_each($1) AS r) ", $tail),
            postgres: concat!(
                $head,
                " = ANY(ARRAY(SELECT ",
                $value,
                " FROM jsonb_array_elements($1::jsonb) AS r(value))) ",
                $tail
            ),
        }
    };
}
pub(crate) use among;

/// One argument of a statement.
#[derive(Debug, Clone)]
pub(crate) enum Arg {
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
pub(crate) struct Query {
    pub(super) doing: &'static str,
    text: Text,
    pub(super) args: Vec<Arg>,
}

impl Query {
    /// One text for both dialects.
    pub(crate) fn new(doing: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self { doing, text: Text::Common(text.into()), args: Vec::new() }
    }

    /// A text of its own for each dialect.
    pub(crate) fn either(doing: &'static str, text: Dialects) -> Self {
        Self { doing, text: Text::Dialects(text), args: Vec::new() }
    }

    /// Over the rows of a JSON array, which becomes `$1`.
    pub(crate) fn over<R: Serialize + ?Sized>(
        doing: &'static str,
        text: Dialects,
        rows: &R,
    ) -> Result<Self, StoreError> {
        let rows = serde_json::to_string(rows)
            .map_err(|_| StoreError::Unreadable { what: "a value without a JSON form".into() })?;
        Ok(Self { doing, text: Text::Dialects(text), args: vec![Arg::Text(Some(rows))] })
    }

    /// The next argument is a text.
    pub(crate) fn text(mut self, text: &(impl ToString + ?Sized)) -> Self {
        self.args.push(Arg::Text(Some(text.to_string())));
        self
    }

    /// The next argument is a number.
    pub(crate) fn int(mut self, number: impl Into<Option<i64>>) -> Self {
        self.args.push(Arg::Int(number.into()));
        self
    }

    /// The next argument is a number that SQL can hold; larger ones become the largest.
    pub(crate) fn count(self, number: u64) -> Self {
        self.int(int(number))
    }

    /// SQLite runs the statements of one text one after the other.
    pub(super) fn in_turn(queries: Vec<Self>) -> Option<Self> {
        Self::put_together(queries, |texts| texts.sqlite, |texts| texts.join("; "))
    }

    /// PostgreSQL runs the parts of one statement, which do not see each other's rows.
    pub(super) fn as_parts(queries: Vec<Self>) -> Option<Self> {
        let with = |texts: Vec<String>| {
            let parts: Vec<String> = texts
                .iter()
                .enumerate()
                .map(|(number, text)| format!("part{number} AS ({text})"))
                .collect();
            format!("WITH {} SELECT 1", parts.join(", "))
        };
        Self::put_together(queries, |texts| texts.postgres, with)
    }

    fn put_together(
        queries: Vec<Self>,
        choose: fn(&Dialects) -> &'static str,
        join: impl FnOnce(Vec<String>) -> String,
    ) -> Option<Self> {
        let doing = queries.first()?.doing;
        let (mut texts, mut args) = (Vec::new(), Vec::new());
        for query in queries {
            let text = match &query.text {
                Text::Common(text) => text.as_ref(),
                Text::Dialects(dialects) => choose(dialects),
            };
            texts.push(numbered_from(text, args.len()));
            args.extend(query.args);
        }
        Some(Self { doing, text: Text::Common(join(texts).into()), args })
    }

    /// The text in the wanted dialect; all texts are put together from literals of this crate.
    pub(super) fn sql(&mut self, choose: fn(&Dialects) -> &'static str) -> SqlStr {
        match &mut self.text {
            Text::Dialects(dialects) => SqlStr::from_static(choose(dialects)),
            Text::Common(Cow::Borrowed(text)) => SqlStr::from_static(text),
            Text::Common(Cow::Owned(text)) => AssertSqlSafe(std::mem::take(text)).into_sql_str(),
        }
    }
}

/// The text with each argument's number so much larger. A dollar stands in front of nothing else.
fn numbered_from(text: &str, first: usize) -> String {
    let mut parts = text.split('$');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = part.split_at(digits);
        let number = number.parse::<usize>().unwrap_or_default() + first;
        out.push_str(&format!("${number}{rest}"));
    }
    out
}

/// A row that both drivers can read.
pub(crate) trait Record:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin + 'static
{
}

impl<T> Record for T where
    T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin + 'static
{
}

/// A bound statement: sqlx's arguments are of another type for each driver.
macro_rules! bound {
    ($statement:expr, $query:ident) => {{
        let statement = $statement;
        $query.args.into_iter().fold(statement, |statement, arg| match arg {
            $crate::store::sql::Arg::Int(number) => statement.bind(number),
            $crate::store::sql::Arg::Text(text) => statement.bind(text),
        })
    }};
}
pub(super) use bound;

/// A text as it lies there: a flipped bit may have made bytes of it that are no text, and whoever looks for damage must
/// be able to say of which row.
#[derive(Debug)]
pub(crate) struct AnyText(Vec<u8>);

impl AnyText {
    /// The text; of a `column`, when it is none.
    pub(crate) fn whole(self, column: &str) -> Result<String, StoreError> {
        String::from_utf8(self.0)
            .map_err(|bytes| unreadable(column, &String::from_utf8_lossy(bytes.as_bytes())))
    }

    /// Its bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text, with marks in place of what is none.
    pub(crate) fn lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl Type<Sqlite> for AnyText {
    fn type_info() -> SqliteTypeInfo {
        <String as Type<Sqlite>>::type_info()
    }

    fn compatible(other: &SqliteTypeInfo) -> bool {
        <String as Type<Sqlite>>::compatible(other)
    }
}

impl<'r> Decode<'r, Sqlite> for AnyText {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        <Vec<u8> as Decode<'r, Sqlite>>::decode(value).map(Self)
    }
}

impl Type<Postgres> for AnyText {
    fn type_info() -> PgTypeInfo {
        <String as Type<Postgres>>::type_info()
    }

    fn compatible(other: &PgTypeInfo) -> bool {
        <String as Type<Postgres>>::compatible(other)
    }
}

impl<'r> Decode<'r, Postgres> for AnyText {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        value.as_bytes().map(|bytes| Self(bytes.to_vec()))
    }
}

/// An error of the driver, by what it says about the state of things.
pub(super) fn failed(doing: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |source| {
        if let sqlx::Error::ColumnDecode { index, .. } = &source {
            return StoreError::Unreadable { what: format!("a value in the column {index}") };
        }
        match source.as_database_error().map_or(Says::Nothing, says) {
            Says::No => StoreError::Refused { doing, source },
            Says::Damaged => StoreError::Damaged { what: format!("{source}, while {doing}") },
            Says::Nothing => StoreError::Unavailable { doing, source },
        }
    }
}

/// What the database means by an error of its own.
enum Says {
    /// It has read the statement and will not do it, however often it is asked: a constraint, a trigger of an
    /// append-only table, a right.
    No,
    /// Its files are damaged, which does not heal by asking again.
    Damaged,
    /// Anything else.
    Nothing,
}

fn says(error: &(dyn sqlx::error::DatabaseError + 'static)) -> Says {
    let Some(code) = error.code() else { return Says::Nothing };
    if error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
        // The lowest byte of an extended code is the plain one.
        return match code.parse::<u32>().map_or(0, |code| code & 0xff) {
            // SQLITE_CONSTRAINT; SQLITE_CORRUPT and SQLITE_NOTADB.
            19 => Says::No,
            11 | 26 => Says::Damaged,
            _ => Says::Nothing,
        };
    }
    match &*code {
        "P0001" | "42501" => Says::No,
        // Integrity constraints.
        code if code.starts_with("23") => Says::No,
        "XX001" | "XX002" => Says::Damaged,
        _ => Says::Nothing,
    }
}

/// A number that SQL can hold; larger ones become the largest.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number of the wanted size, from a column.
pub(crate) fn number<T: TryFrom<i64>>(column: &str, number: i64) -> Result<T, StoreError> {
    T::try_from(number).map_err(|_| unreadable(column, &number.to_string()))
}

/// An id or a word, from a column.
pub(crate) fn parse<T: std::str::FromStr>(column: &str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| unreadable(column, text))
}

fn unreadable(column: &str, text: &str) -> StoreError {
    StoreError::Unreadable { what: format!("a {column} {}", mesh_schemas::text::shown(text)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_that_are_put_together_keep_their_arguments() {
        let one = || Query::new("a", "INSERT INTO a SELECT $1, $2, $1").text("x").int(7);
        let two = || Query::new("b", "INSERT INTO b SELECT $1").text("y");
        let mut turn = Query::in_turn(vec![one(), two()]).unwrap();
        let text = "INSERT INTO a SELECT $1, $2, $1; INSERT INTO b SELECT $3";
        assert_eq!(turn.sql(|texts| texts.sqlite).as_str(), text);
        assert_eq!(turn.args.len(), 3);
        let mut parts = Query::as_parts(vec![two(), one()]).unwrap();
        let text = "WITH part0 AS (INSERT INTO b SELECT $1), \
            part1 AS (INSERT INTO a SELECT $2, $3, $2) SELECT 1";
        assert_eq!(parts.sql(|texts| texts.postgres).as_str(), text);
    }
}
