//! Nodes, and how far the journal of each is recorded.

use mesh_core::{NodeRecord, NodeSetting};
use mesh_schemas::{JournalId, NodeId, Timestamp};
use serde::Serialize;
use sqlx::FromRow;

use super::{
    json::{self, clean, int},
    value,
};
use crate::store::{
    StoreError,
    batch::Batch,
    script::Script,
    sql::{Dialects, Query, Transaction, fenced_rows},
};

const UPSERT: Dialects = fenced_rows!(
    "INSERT INTO node (id, name, public_key, joined_at, setting, report) \
     SELECT r.value->>'id', r.value->>'name', r.value->>'public_key', \
        CAST(r.value->>'joined_at' AS BIGINT), r.value->>'setting', r.value->>'report'",
    "ON CONFLICT (id) DO UPDATE SET name = excluded.name, \
        public_key = excluded.public_key, joined_at = excluded.joined_at, \
        setting = excluded.setting, report = excluded.report"
);

const UPSERT_JOURNAL: Dialects = fenced_rows!(
    "INSERT INTO journal (node, journal, seq) \
     SELECT r.value->>'node', r.value->>'journal', CAST(r.value->>'seq' AS BIGINT)",
    "ON CONFLICT (node, journal) DO UPDATE SET seq = excluded.seq"
);

const ALL: &str = "SELECT id, name, public_key, joined_at, setting, report FROM node ORDER BY id";

const ALL_JOURNALS: &str = "SELECT node, journal, seq FROM journal ORDER BY node, journal";

#[derive(Serialize)]
struct NewNode<'a> {
    id: NodeId,
    name: std::borrow::Cow<'a, str>,
    public_key: std::borrow::Cow<'a, str>,
    joined_at: i64,
    setting: &'static str,
    report: Option<String>,
}

#[derive(Serialize)]
struct NewJournal {
    node: NodeId,
    journal: JournalId,
    seq: i64,
}

const SETTINGS: [NodeSetting; 5] = [
    NodeSetting::Active,
    NodeSetting::Draining,
    NodeSetting::Paused,
    NodeSetting::Quarantined,
    NodeSetting::Revoked,
];

const fn setting_word(setting: NodeSetting) -> &'static str {
    match setting {
        NodeSetting::Active => "active",
        NodeSetting::Draining => "draining",
        NodeSetting::Paused => "paused",
        NodeSetting::Quarantined => "quarantined",
        NodeSetting::Revoked => "revoked",
    }
}

fn setting(word: &str) -> Result<NodeSetting, StoreError> {
    let known = SETTINGS.into_iter().find(|setting| setting_word(*setting) == word);
    known.ok_or_else(|| value::unreadable("node.setting", word))
}

fn new_node(node: &NodeRecord) -> Result<NewNode<'_>, StoreError> {
    Ok(NewNode {
        id: node.id,
        name: clean(&node.name),
        public_key: clean(&node.public_key),
        joined_at: node.joined_at.as_millis(),
        setting: setting_word(node.setting),
        report: node.report.as_deref().map(json::text).transpose()?,
    })
}

/// Writes new and changed nodes and journals.
pub(in crate::store) fn write(script: &mut Script, batch: &Batch<'_>) -> Result<(), StoreError> {
    let nodes: Result<Vec<_>, _> = batch.nodes.values().map(|node| new_node(node)).collect();
    script.write(UPSERT, nodes?.into_iter())?;
    let journals = batch.journals.iter().map(|((node, journal), seq)| NewJournal {
        node: *node,
        journal: *journal,
        seq: int(*seq),
    });
    script.write(UPSERT_JOURNAL, journals)
}

#[derive(FromRow)]
struct NodeRow {
    id: String,
    name: String,
    public_key: String,
    joined_at: i64,
    setting: String,
    report: Option<String>,
}

impl NodeRow {
    fn record(self) -> Result<NodeRecord, StoreError> {
        Ok(NodeRecord {
            id: value::parse("node.id", &self.id)?,
            name: self.name,
            public_key: self.public_key,
            joined_at: Timestamp::from_millis(self.joined_at),
            setting: setting(&self.setting)?,
            report: value::json_option("node.report", self.report.as_deref())?,
        })
    }
}

/// All nodes.
pub(in crate::store) async fn all(
    tx: &mut impl Transaction,
) -> Result<Vec<NodeRecord>, StoreError> {
    let rows: Vec<NodeRow> = tx.fetch(Query::new("loading", ALL)).await?;
    rows.into_iter().map(NodeRow::record).collect()
}

#[derive(FromRow)]
struct JournalRow {
    node: String,
    journal: String,
    seq: i64,
}

/// How far each node's journal is recorded.
pub(in crate::store) async fn journals(
    tx: &mut impl Transaction,
) -> Result<Vec<(NodeId, JournalId, u64)>, StoreError> {
    let rows: Vec<JournalRow> = tx.fetch(Query::new("loading", ALL_JOURNALS)).await?;
    let journal = |row: JournalRow| {
        Ok((
            value::parse("journal.node", &row.node)?,
            value::parse("journal.journal", &row.journal)?,
            value::number("journal.seq", row.seq)?,
        ))
    };
    rows.into_iter().map(journal).collect()
}
