//! Ideas as people see them.

use mesh_ideas_core::ledger::IdeaRow;
use mesh_schemas::idea::{EntryId, IdeaId, IdeaQuery, IdeaView};
use sqlx::FromRow;

use crate::store::{
    Store, StoreError,
    rows::IdeaRecord,
    sql::{Dialects, Query, among, number, parse},
};

const COLUMNS: &str = "SELECT i.id, i.idx, i.author, i.author_name, i.time, i.tags, i.source, \
    i.text_entry, i.sealed, i.title, i.holder, i.head, i.status, i.seen_again, \
    (SELECT CAST(COALESCE(SUM(o.vote), 0) AS BIGINT) FROM opinion o WHERE o.idea = i.id) AS votes";

/// The columns of a view over the rows of a JSON array of ids.
const OF_IDS: Dialects = among!(
    "SELECT i.id, i.idx, i.author, i.author_name, i.time, i.tags, i.source, i.text_entry, i.sealed, \
        i.title, i.holder, i.head, i.status, i.seen_again, \
        (SELECT CAST(COALESCE(SUM(o.vote), 0) AS BIGINT) FROM opinion o WHERE o.idea = i.id) AS votes \
     FROM idea i WHERE i.id",
    "r.value->>0",
    "ORDER BY i.idx"
);
const WITH_WORDS: Dialects = Dialects {
    sqlite: "SELECT i.id FROM words w JOIN idea i ON i.idx = w.rowid \
        WHERE words MATCH $1 ORDER BY w.rowid DESC LIMIT $2",
    postgres: "SELECT i.id FROM words w JOIN idea i ON i.idx = w.idx \
        WHERE w.list @> string_to_array($1, ' ') ORDER BY w.idx DESC LIMIT $2",
};

#[derive(FromRow)]
struct Row {
    #[sqlx(flatten)]
    idea: IdeaRecord,
    votes: i64,
}

#[derive(FromRow)]
struct Id {
    id: String,
}

#[derive(FromRow)]
struct Ends {
    text_entry: String,
    head: String,
}

#[derive(FromRow)]
struct Count {
    count: i64,
}

/// Which ideas to list, newest first.
#[derive(Debug)]
pub(crate) struct Listing<'a> {
    pub(crate) query: &'a IdeaQuery,
    /// Only older ones than the one with this index.
    pub(crate) before: Option<u64>,
    pub(crate) limit: u32,
}

impl Store {
    /// A page of ideas, newest first.
    pub(crate) async fn list_ideas(
        &self,
        listing: &Listing<'_>,
    ) -> Result<Vec<IdeaView>, StoreError> {
        self.views(list_query(listing)).await
    }

    /// These ideas, as far as they are there, in the order of the log.
    pub(crate) async fn ideas(&self, ids: Vec<IdeaId>) -> Result<Vec<IdeaView>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows: Vec<[IdeaId; 1]> = ids.into_iter().map(|id| [id]).collect();
        self.views(Query::over("reading ideas", OF_IDS, &rows)?).await
    }

    /// The entry that has an idea's latest text, and the end of its chain of holders.
    pub(crate) async fn text_and_head(
        &self,
        idea: IdeaId,
    ) -> Result<Option<(EntryId, EntryId)>, StoreError> {
        let text = "SELECT text_entry, head FROM idea WHERE id = $1";
        let rows: Vec<Ends> =
            self.db.fetch(Query::new("reading an idea", text).text(&idea)).await?;
        let ends = |row: &Ends| {
            Ok((parse("idea.text_entry", &row.text_entry)?, parse("idea.head", &row.head)?))
        };
        rows.first().map(ends).transpose()
    }

    /// Ideas whose text has all these words, newest first.
    pub(crate) async fn ideas_with(
        &self,
        words: &[String],
        limit: u32,
    ) -> Result<Vec<IdeaId>, StoreError> {
        let wanted = match self.kind() {
            "sqlite" => words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>(),
            _ => words.to_vec(),
        };
        let query = Query::either("searching ideas", WITH_WORDS);
        let query = query.text(&wanted.join(" ")).int(i64::from(limit));
        let rows: Vec<Id> = self.db.fetch(query).await?;
        rows.iter().map(|row| parse("idea.id", &row.id)).collect()
    }

    /// Ideas whose id begins so; no more than two.
    pub(crate) async fn ideas_like(&self, beginning: &str) -> Result<Vec<IdeaId>, StoreError> {
        let text = "SELECT id FROM idea WHERE id >= $1 AND id < $2 ORDER BY id LIMIT 2";
        // `g` comes behind all digits.
        let query = Query::new("finding an idea", text).text(beginning);
        let rows: Vec<Id> = self.db.fetch(query.text(&format!("{beginning}g"))).await?;
        rows.iter().map(|row| parse("idea.id", &row.id)).collect()
    }

    /// How many ideas there are.
    pub(crate) async fn count_ideas(&self) -> Result<u64, StoreError> {
        let query = Query::new("counting ideas", "SELECT COUNT(*) AS count FROM idea");
        let counts: Vec<Count> = self.db.fetch(query).await?;
        number("ideas", counts.first().map_or(0, |row| row.count))
    }

    fn views(&self, query: Query) -> crate::store::db::Pending<'_, Vec<IdeaView>> {
        Box::pin(async move {
            let rows: Vec<Row> = self.db.fetch(query).await?;
            rows.into_iter().map(view).collect()
        })
    }
}

fn list_query(listing: &Listing<'_>) -> Query {
    let Listing { query: wanted, before, limit } = listing;
    let mut text = format!("{COLUMNS} FROM idea i WHERE i.idx < $1");
    let mut args: Vec<String> = Vec::new();
    let mut place = |condition: &str, arg: Option<String>| {
        if let Some(arg) = arg {
            args.push(arg);
            text.push_str(&condition.replace("{}", &format!("${}", args.len() + 1)));
        }
    };
    place(" AND i.status = {}", wanted.status.map(|status| status.to_string()));
    place(
        // Each half has an index of its own.
        " AND i.idx IN (SELECT idx FROM idea WHERE author = {} AND holder = author AND idx < $1 \
            UNION ALL SELECT idx FROM idea WHERE holder = {} AND holder <> author AND idx < $1)",
        wanted.holder.map(|holder| holder.to_string()),
    );
    place(" AND i.author = {}", wanted.author.map(|author| author.to_string()));
    place(
        " AND EXISTS (SELECT 1 FROM tag t WHERE t.tag = {} AND t.idx = i.idx)",
        wanted.tag.clone(),
    );
    place(
        " AND EXISTS (SELECT 1 FROM edge e WHERE e.relation = {} \
            AND (e.source = i.id OR e.target = i.id))",
        wanted.relation.map(|relation| relation.to_string()),
    );
    text.push_str(&format!(" ORDER BY i.idx DESC LIMIT {limit}"));
    let query = Query::new("listing ideas", text).count(before.unwrap_or(u64::MAX));
    args.iter().fold(query, |query, arg| query.text(arg))
}

fn view(row: Row) -> Result<IdeaView, StoreError> {
    let votes = row.votes;
    let row = IdeaRow::try_from(row.idea)?;
    Ok(IdeaView {
        id: row.id,
        index: row.index,
        title: row.title,
        author: row.author,
        author_name: row.author_name,
        holder: row.holder.author,
        status: row.status,
        tags: row.tags,
        time: row.time,
        seen_again: row.seen_again,
        votes,
    })
}
