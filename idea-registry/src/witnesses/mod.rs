//! Asking witnesses to cosign what was signed. Appends never wait for them: one that is away too long is an
//! alarm. What a witness has of this log is compared with the log, and if the two cannot both be, the log halts.

mod client;
mod service;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mesh_schemas::Timestamp;
use mesh_tlog::VerifierKey;

pub(crate) use client::Witness;
pub(crate) use service::{Options, Service};

/// A witness that has not cosigned the newest checkpoint for so long is an alarm.
const AWAY_MAX: Duration = Duration::from_secs(600);

/// Since when each witness is behind, by its name; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Behind(Arc<Mutex<BTreeMap<String, Timestamp>>>);

impl Behind {
    /// It cannot be reached or will not cosign.
    pub(crate) fn fell(&self, witness: &VerifierKey, now: Timestamp) {
        self.with(|behind| {
            behind.entry(witness.name().to_owned()).or_insert(now);
        });
    }

    /// It has cosigned the newest checkpoint.
    pub(crate) fn caught_up(&self, witness: &VerifierKey) {
        self.with(|behind| {
            behind.remove(witness.name());
        });
    }

    /// Witnesses that are away too long.
    pub(crate) fn alarms(&self, now: Timestamp) -> Vec<String> {
        let away = |(name, since): (&String, &Timestamp)| {
            let minutes = now.since(*since).as_secs() / 60;
            (now.since(*since) >= AWAY_MAX)
                .then(|| format!("the witness {name} has not cosigned for {minutes} minutes"))
        };
        self.with(|behind| behind.iter().filter_map(away).collect())
    }

    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<String, Timestamp>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use mesh_tlog::{KeyKind, SignerKey};

    use super::*;

    #[test]
    fn a_witness_is_an_alarm_after_ten_minutes_and_no_more_when_it_is_back() {
        let key = SignerKey::new("example.org/witness", KeyKind::Witness, &[1; 32]).unwrap();
        let (behind, start) = (Behind::default(), Timestamp::from_millis(1_000));
        behind.fell(key.verifier(), start);
        behind.fell(key.verifier(), start + Duration::from_secs(300));
        assert_eq!(behind.alarms(start + Duration::from_secs(599)), Vec::<String>::new());
        let alarms = behind.alarms(start + Duration::from_secs(601));
        assert_eq!(alarms, ["the witness example.org/witness has not cosigned for 10 minutes"]);
        behind.caught_up(key.verifier());
        assert_eq!(behind.alarms(start + Duration::from_secs(9_999)), Vec::<String>::new());
    }
}
