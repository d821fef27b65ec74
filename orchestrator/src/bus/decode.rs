//! From bytes to messages, under limits. Whatever comes, this does not panic and does not grow.

use std::{
    collections::BTreeSet,
    sync::{LazyLock, Mutex, PoisonError},
};

use mesh_schemas::{
    NodeId,
    message::{EVENTS_MAX, MESSAGE_BYTES_MAX, MESSAGE_VERSION, NodeBeat, NodeEvents, NodeReport},
    subject,
    text::{check_label, check_name},
};
use metrics::counter;
use serde::{Deserialize, de::DeserializeOwned};
use tracing::warn;

/// Most labels of one node.
const LABELS_MAX: usize = 64;
/// Most pools of one node.
const POOLS_MAX: usize = 64;

/// Why a message was passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub(super) enum BadMessage {
    #[error("its subject names no node")]
    Subject,
    #[error("it is empty")]
    Empty,
    #[error("it is longer than the limit")]
    TooLarge,
    #[error("it cannot be read")]
    Unreadable,
    #[error("it has no version that ever was")]
    Version,
    /// Its sender is newer than this orchestrator; it stays in its stream.
    #[error("a newer version wrote it")]
    Newer,
    #[error("its body names another node than its subject")]
    WrongNode,
    #[error("it holds more entries than the limit")]
    TooMany,
    #[error("its numbers cannot be")]
    Numbers,
    #[error("a name, label or pool in it is not allowed")]
    Name,
    #[error("its sender sends too many")]
    TooOften,
}

impl BadMessage {
    /// The label of its metric.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Empty => "empty",
            Self::TooLarge => "too_large",
            Self::Unreadable => "unreadable",
            Self::Version => "version",
            Self::Newer => "newer",
            Self::WrongNode => "wrong_node",
            Self::TooMany => "too_many",
            Self::Numbers => "numbers",
            Self::Name => "name",
            Self::TooOften => "too_often",
        }
    }

    /// Counts it; logs the first of its kind, as garbage may come in any amount.
    pub(super) fn note(self, subject: &str) {
        static LOGGED: LazyLock<Mutex<BTreeSet<BadMessage>>> = LazyLock::new(Mutex::default);
        counter!("mesh_bad_messages_total", "reason" => self.as_str()).increment(1);
        if LOGGED.lock().unwrap_or_else(PoisonError::into_inner).insert(self) {
            warn!(
                reason = self.as_str(),
                "Passed over a message on {}: {self}; more of this kind are only counted",
                mesh_schemas::text::shown(subject)
            );
        }
    }
}

/// A message on which version it is and who says it can be checked.
trait Spoken: DeserializeOwned {
    fn version(&self) -> u32;
    fn speaker(&self) -> NodeId;
}

macro_rules! spoken {
    ($($name:ty),*) => {
        $(impl Spoken for $name {
            fn version(&self) -> u32 {
                self.v
            }

            fn speaker(&self) -> NodeId {
                self.node
            }
        })*
    };
}
spoken!(NodeBeat, NodeEvents, NodeReport);

/// Reads events: a run of the journal's numbers, neither empty nor too long.
pub(super) fn events(subject: &str, payload: &[u8]) -> Result<Box<NodeEvents>, BadMessage> {
    let events: NodeEvents = spoken(subject, payload)?;
    if events.events.len() > EVENTS_MAX {
        return Err(BadMessage::TooMany);
    }
    let count = u64::try_from(events.events.len()).map_err(|_| BadMessage::TooMany)?;
    if count == 0 || events.first_seq == 0 || events.first_seq.checked_add(count).is_none() {
        return Err(BadMessage::Numbers);
    }
    Ok(Box::new(events))
}

/// Reads a beat.
pub(super) fn beat(subject: &str, payload: &[u8]) -> Result<Box<NodeBeat>, BadMessage> {
    spoken(subject, payload).map(Box::new)
}

/// Checks a report that came inside an ask: what it names is kept, matched and shown to people.
pub(super) fn check_report(node: NodeId, report: &NodeReport) -> Result<(), BadMessage> {
    check(node, report)?;
    let (labels, pools) = (&report.labels, &report.capacity.pools);
    if labels.len() > LABELS_MAX || pools.len() > POOLS_MAX {
        return Err(BadMessage::TooMany);
    }
    check_name("name", &report.name)
        .and_then(|()| labels.iter().try_for_each(|(key, value)| check_label("labels", key, value)))
        .and_then(|()| pools.keys().try_for_each(|pool| check_name("pools", pool)))
        .map_err(|_| BadMessage::Name)
}

/// Reads a message that carries neither version nor speaker.
pub(super) fn plain<T: DeserializeOwned>(payload: &[u8]) -> Result<T, BadMessage> {
    check_len(payload)?;
    serde_json::from_slice(payload).map_err(|_| BadMessage::Unreadable)
}

fn spoken<T: Spoken>(subject: &str, payload: &[u8]) -> Result<T, BadMessage> {
    let node = subject::node_of(subject).ok_or(BadMessage::Subject)?;
    check_len(payload)?;
    let message: T = serde_json::from_slice(payload).map_err(|_| why_unreadable(payload))?;
    check(node, &message)?;
    Ok(message)
}

fn check<T: Spoken>(node: NodeId, message: &T) -> Result<(), BadMessage> {
    check_version(message.version())?;
    if message.speaker() == node { Ok(()) } else { Err(BadMessage::WrongNode) }
}

fn check_len(payload: &[u8]) -> Result<(), BadMessage> {
    match payload.len() {
        0 => Err(BadMessage::Empty),
        1..=MESSAGE_BYTES_MAX => Ok(()),
        _ => Err(BadMessage::TooLarge),
    }
}

const fn check_version(v: u32) -> Result<(), BadMessage> {
    if v == MESSAGE_VERSION {
        Ok(())
    } else if v > MESSAGE_VERSION {
        Err(BadMessage::Newer)
    } else {
        Err(BadMessage::Version)
    }
}

/// A newer version may look entirely different but for its `v`.
fn why_unreadable(payload: &[u8]) -> BadMessage {
    #[derive(Deserialize)]
    struct OnlyVersion {
        #[serde(default)]
        v: u32,
    }
    match serde_json::from_slice::<OnlyVersion>(payload).map(|only| check_version(only.v)) {
        Ok(Err(reason)) => reason,
        Ok(Ok(())) | Err(_) => BadMessage::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mesh_schemas::{
        AttemptKey, Epoch, JobId, JournalId, Timestamp,
        message::{Capacity, Enforcement, NodeEvent},
    };
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn node() -> NodeId {
        NodeId::from_uuid(Uuid::from_u128(1))
    }

    fn good(first_seq: u64, count: usize) -> NodeEvents {
        let attempt =
            AttemptKey { job: JobId::from_uuid(Uuid::from_u128(2)), task: 0, epoch: Epoch(1) };
        let event = NodeEvent::AttemptStarted { attempt, at: Timestamp::from_millis(0) };
        NodeEvents {
            v: 1,
            node: node(),
            journal: JournalId::from_uuid(Uuid::from_u128(3)),
            first_seq,
            events: vec![event; count],
        }
    }

    fn report() -> NodeReport {
        NodeReport {
            v: 1,
            node: node(),
            journal: JournalId::from_uuid(Uuid::from_u128(3)),
            name: "desk".into(),
            version: "0.1.0".into(),
            labels: BTreeMap::from([("os".into(), "linux".into()), ("bare".into(), "".into())]),
            capacity: Capacity {
                pools: BTreeMap::from([("licence/a".into(), 1)]),
                ..Capacity::default()
            },
            enforces: Enforcement::default(),
            held: Vec::new(),
            paused: false,
        }
    }

    #[test]
    fn a_report_holds_a_bounded_number_of_names_that_may_be_shown() {
        let with = |change: fn(&mut NodeReport)| {
            let mut report = report();
            change(&mut report);
            check_report(node(), &report).err()
        };
        let mut large = report();
        large.labels = (0..65).map(|i| (i.to_string(), "x".into())).collect();
        assert_eq!(check_report(node(), &large), Err(BadMessage::TooMany));
        let mut large = report();
        large.capacity.pools = (0..65).map(|i| (i.to_string(), 1)).collect();
        assert_eq!(check_report(node(), &large), Err(BadMessage::TooMany));
        let name = Some(BadMessage::Name);
        assert_eq!(with(|_| {}), None);
        assert_eq!(with(|r| r.name = "a\u{1b}[31m".into()), name);
        assert_eq!(with(|r| r.labels = BTreeMap::from([("a b".into(), "c".into())])), name);
        assert_eq!(with(|r| r.labels = BTreeMap::from([("a".into(), "c\n".into())])), name);
        assert_eq!(with(|r| r.capacity.pools = BTreeMap::from([("".into(), 1)])), name);
    }

    fn read(events: &NodeEvents) -> Result<Box<NodeEvents>, BadMessage> {
        super::events(&subject::node_event(node()), &serde_json::to_vec(events).unwrap())
    }

    #[test]
    fn a_good_message_is_read_and_no_prefix_of_it_is() {
        let text = serde_json::to_vec(&good(1, 2)).unwrap();
        let subject = subject::node_event(node());
        assert_eq!(*super::events(&subject, &text).unwrap(), good(1, 2));
        for len in 0..text.len() {
            assert!(super::events(&subject, &text[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn each_kind_of_garbage_has_its_reason() {
        let with = |change: fn(&mut NodeEvents)| {
            let mut events = good(1, 1);
            change(&mut events);
            read(&events).unwrap_err()
        };
        assert_eq!(with(|e| e.v = 0), BadMessage::Version);
        assert_eq!(with(|e| e.v = 2), BadMessage::Newer);
        assert_eq!(with(|e| e.node = NodeId::from_uuid(Uuid::nil())), BadMessage::WrongNode);
        assert_eq!(with(|e| e.first_seq = 0), BadMessage::Numbers);
        assert_eq!(with(|e| e.first_seq = u64::MAX), BadMessage::Numbers);
        assert_eq!(with(|e| e.events.clear()), BadMessage::Numbers);
        assert_eq!(read(&good(1, EVENTS_MAX + 1)).unwrap_err(), BadMessage::TooMany);
        let subject = subject::node_event(node());
        assert_eq!(super::events(&subject, b"").unwrap_err(), BadMessage::Empty);
        assert_eq!(super::events(&subject, b"{\"v\":7,\"x\":{}}").unwrap_err(), BadMessage::Newer);
        assert_eq!(super::events(&subject, b"{}").unwrap_err(), BadMessage::Version);
        let long = vec![b' '; MESSAGE_BYTES_MAX + 1];
        assert_eq!(super::events(&subject, &long).unwrap_err(), BadMessage::TooLarge);
        let deep = "[".repeat(100_000);
        assert_eq!(super::events(&subject, deep.as_bytes()).unwrap_err(), BadMessage::Unreadable);
        for bad in ["", "mesh.v1.up.*.event", "mesh.v1.up..event", "mesh.v1.cmd.x"] {
            assert_eq!(super::events(bad, b"{}").unwrap_err(), BadMessage::Subject, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn random_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let subject = subject::node_event(node());
            prop_assert!(super::events(&subject, &bytes).is_err());
            prop_assert!(super::beat(&subject::node_beat(node()), &bytes).is_err());
            prop_assert!(super::plain::<mesh_schemas::message::NodeAsk>(&bytes).is_err());
        }
    }
}
