//! Nodes and their journals.

use std::collections::BTreeMap;

use mesh_core::{Change, NodeRecord, NodeSetting};
use mesh_schemas::{
    JournalId, NodeId,
    message::{Capacity, Enforcement, MESSAGE_VERSION, NodeReport},
};
use uuid::Uuid;

use super::{
    build::{at, node_id},
    database::Database,
};

pub(crate) fn report(node: NodeId, journal: JournalId) -> NodeReport {
    NodeReport {
        v: MESSAGE_VERSION,
        node,
        journal,
        name: "desk".into(),
        version: "0.1.0".into(),
        labels: BTreeMap::from([("os".into(), "linux".into())]),
        capacity: Capacity { gpu: 1, ..Capacity::default() },
        enforces: Enforcement::default(),
        held: Vec::new(),
        paused: false,
    }
}

pub(crate) fn journal_id(number: u128) -> JournalId {
    JournalId::from_uuid(Uuid::from_u128(number))
}

pub(crate) async fn nodes_and_journals_are_loaded_as_last_written(database: Database) {
    let leader = database.lead().await;
    let settings = [
        NodeSetting::Active,
        NodeSetting::Draining,
        NodeSetting::Paused,
        NodeSetting::Quarantined,
        NodeSetting::Revoked,
    ];
    let mut expected = Vec::new();
    for (number, setting) in (1..).zip(settings) {
        let id = node_id(number);
        let joined = NodeRecord {
            id,
            name: "a\0b".into(),
            public_key: format!("U{number}"),
            joined_at: at(1),
            setting: NodeSetting::Active,
            report: None,
        };
        leader.commit(&[Change::Node(Box::new(joined.clone()))]).await;
        let report = Some(Box::new(report(id, journal_id(number))));
        let now = NodeRecord { name: "desk".into(), setting, report, ..joined };
        leader.commit(&[Change::Node(Box::new(now.clone()))]).await;
        expected.push(now);
    }
    let heard = |node, journal, seq| Change::NodeJournal {
        node: node_id(node),
        journal: journal_id(journal),
        seq,
    };
    leader.commit(&[heard(1, 1, 5), heard(1, 1, 6), heard(2, 2, 1)]).await;
    // A wiped disk has a new journal; the old one may still be on the way.
    leader.commit(&[heard(2, 9, 0)]).await;

    let (snapshot, _) = leader.store.load().await.unwrap();
    assert_eq!(snapshot.nodes, expected);
    let journals = [
        (node_id(1), journal_id(1), 6),
        (node_id(2), journal_id(2), 1),
        (node_id(2), journal_id(9), 0),
    ];
    assert_eq!(snapshot.journals, journals);
}
