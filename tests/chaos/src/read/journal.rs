//! A node's journal: which of its events no confirmation covers.

use std::{collections::VecDeque, path::Path};

use anyhow::Context as _;
use mesh_schemas::{NodeId, message::NodeEvent};
use serde::Deserialize;

use crate::history::NodeJournal;

/// Who the node is.
const IDENTITY_FILE: &str = "identity.json";
const JOURNAL_FILE: &str = "journal.log";

#[derive(Deserialize)]
struct Identity {
    node: NodeId,
}

/// A line, as far as it matters here.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line {
    Opened {},
    Accepted {},
    Stopping {},
    Event { seq: u64, event: NodeEvent },
    Recorded { seq: u64 },
    Dropped {},
    Tombstones {},
}

/// The directory is that of a node that has joined; other parts have identities of other forms.
pub(super) fn is_node(dir: &Path) -> bool {
    let identity = std::fs::read(dir.join(IDENTITY_FILE)).unwrap_or_default();
    serde_json::from_slice::<Identity>(&identity).is_ok()
}

/// Reads the journal in a node's directory; none when the node never wrote one.
pub(super) fn read(dir: &Path) -> anyhow::Result<Option<NodeJournal>> {
    let identity = std::fs::read(dir.join(IDENTITY_FILE)).context(IDENTITY_FILE)?;
    let Identity { node } = serde_json::from_slice(&identity).context(IDENTITY_FILE)?;
    let Ok(text) = std::fs::read(dir.join(JOURNAL_FILE)) else { return Ok(None) };
    let (unrecorded, damaged) = replay(&text);
    Ok(Some(NodeJournal { node, unrecorded, damaged }))
}

fn replay(text: &[u8]) -> (Vec<String>, bool) {
    let mut pending: VecDeque<(u64, NodeEvent)> = VecDeque::new();
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let lines = text.get(..whole).unwrap_or_default().split_inclusive(|byte| *byte == b'\n');
    for line in lines {
        let Ok(line) = serde_json::from_slice(line) else { return (shown(&pending), true) };
        match line {
            // Numbers begin anew; what was unrecorded keeps its order.
            Line::Opened {} => {
                for (number, (seq, _)) in (1..).zip(&mut pending) {
                    *seq = number;
                }
            }
            Line::Event { seq, event } => pending.push_back((seq, event)),
            Line::Recorded { seq } => pending.retain(|(number, _)| *number > seq),
            // What a fenced attempt had to say is said all the same, and refused.
            Line::Dropped {} | Line::Accepted {} | Line::Stopping {} | Line::Tombstones {} => {}
        }
    }
    (shown(&pending), false)
}

fn shown(pending: &VecDeque<(u64, NodeEvent)>) -> Vec<String> {
    let text = |(seq, event): &(u64, NodeEvent)| {
        let kind = match event {
            NodeEvent::AttemptStarted { .. } => "attempt_started",
            NodeEvent::ManifestCommitted { .. } => "manifest_committed",
            NodeEvent::AttemptEnded(_) => "attempt_ended",
        };
        format!("{} {kind} ({seq})", event.attempt())
    };
    pending.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use mesh_schemas::{AttemptKey, Epoch, JobId, Timestamp};

    use super::*;

    fn event(seq: u64, epoch: u32) -> String {
        let job = JobId::from_uuid(uuid::Uuid::from_u128(1));
        let attempt = AttemptKey { job, task: 0, epoch: Epoch(epoch) };
        let event = NodeEvent::AttemptStarted { attempt, at: Timestamp::from_millis(1) };
        serde_json::json!({ "kind": "event", "seq": seq, "event": event }).to_string() + "\n"
    }

    #[test]
    fn what_no_confirmation_covers_is_found_also_after_numbers_began_anew() {
        let opened = "{\"kind\":\"opened\",\"journal\":\"x\",\"boot\":\"y\"}\n";
        let recorded = |seq: u64| format!("{{\"kind\":\"recorded\",\"seq\":{seq}}}\n");
        let text = [opened.into(), event(1, 1), event(2, 2), recorded(1), opened.into()].concat();
        let (unrecorded, damaged) = replay(text.as_bytes());
        assert_eq!((unrecorded.len(), damaged), (1, false));
        assert!(unrecorded[0].contains("#2 attempt_started (1)"), "{unrecorded:?}");
        let all = text + &recorded(1);
        assert_eq!(replay(all.as_bytes()), (Vec::new(), false));
    }

    #[test]
    fn a_torn_end_is_no_damage_and_a_bad_line_is() {
        let good = event(1, 1);
        assert_eq!(replay(format!("{good}{{\"ki").as_bytes()).0.len(), 1);
        assert!(replay(format!("{{]\n{good}").as_bytes()).1);
    }
}
