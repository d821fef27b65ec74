//! One node that talks too much must not keep the others from being heard.

use std::{collections::HashMap, time::Instant};

use mesh_schemas::NodeId;

/// Messages that a node may send at once after it was silent.
const BURST: f64 = 400.0;
/// Messages a second that a node may send for long.
const RATE: f64 = 100.0;
/// Nodes that are remembered; all are forgotten when there are more.
const NODES_KEPT_MAX: usize = 65_536;

/// What each node may still send.
#[derive(Debug, Default)]
pub(super) struct Throttle(HashMap<NodeId, (f64, Instant)>);

impl Throttle {
    /// True when the node may send one more now.
    pub(super) fn admit(&mut self, node: NodeId, now: Instant) -> bool {
        if self.0.len() >= NODES_KEPT_MAX {
            self.0.clear();
        }
        let (left, at) = self.0.entry(node).or_insert((BURST, now));
        *left = (*left + now.duration_since(*at).as_secs_f64() * RATE).min(BURST);
        *at = now;
        let admitted = *left >= 1.0;
        if admitted {
            *left -= 1.0;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_flood_from_one_node_is_cut_and_others_are_heard() {
        let node = |n| NodeId::from_uuid(Uuid::from_u128(n));
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        let admitted = |throttle: &mut Throttle, n, at| {
            (0..10_000).filter(|_| throttle.admit(node(n), at)).count()
        };
        assert_eq!(admitted(&mut throttle, 1, start), 400);
        assert!(throttle.admit(node(2), start));
        assert_eq!(admitted(&mut throttle, 1, start + Duration::from_secs(1)), 100);
        assert_eq!(admitted(&mut throttle, 1, start + Duration::from_secs(60)), 400);
    }
}
