//! Beats: at the rhythm that the welcome names, with jitter, and soon after something was taken.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use mesh_schemas::{
    message::{MESSAGE_VERSION, NodeBeat},
    subject,
};

use super::{Options, Wire};
use crate::agent::report::LoadMeter;

/// The rhythm until a welcome names one.
const EVERY_DEFAULT: Duration = Duration::from_secs(5);
/// Bounds of what a welcome may name.
const EVERY_MIN: Duration = Duration::from_millis(50);
const EVERY_MAX: Duration = Duration::from_secs(60);
/// What wants a beat within this time gets one for all.
const DEBOUNCE: Duration = Duration::from_millis(20);

/// The rhythm, as the last welcome named it.
pub(super) struct Beats {
    every_ms: AtomicU64,
}

impl Default for Beats {
    fn default() -> Self {
        let beats = Self { every_ms: AtomicU64::new(0) };
        beats.set_every(EVERY_DEFAULT);
        beats
    }
}

impl Beats {
    pub(super) fn set_every(&self, every: Duration) {
        let millis = every.clamp(EVERY_MIN, EVERY_MAX).as_millis();
        self.every_ms.store(u64::try_from(millis).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The next wait: 80 % to 120 % of the rhythm, so that a fleet does not beat in step.
    fn wait(&self) -> Duration {
        let every = Duration::from_millis(self.every_ms.load(Ordering::Relaxed));
        let [random] = mesh_fabric::ids::random::<1>();
        every * 4 / 5 + every * 2 / 5 * u32::from(random) / u32::from(u8::MAX)
    }
}

/// Beats until it is dropped.
pub(super) async fn run(wire: &Wire, options: &Options, beats: &Beats) {
    let mut meter = LoadMeter::new(&options.data_dir);
    loop {
        tokio::select! {
            () = tokio::time::sleep(beats.wait()) => {}
            () = wire.signals.beat.notified() => tokio::time::sleep(DEBOUNCE).await,
        }
        if wire.is_connected() {
            beat(wire, options, &mut meter).await;
        }
    }
}

async fn beat(wire: &Wire, options: &Options, meter: &mut LoadMeter) {
    let beat = NodeBeat {
        v: MESSAGE_VERSION,
        node: wire.node,
        journal: options.board.journal(),
        held: options.board.held(),
        paused: options.board.is_paused(),
        load: meter.sample(),
    };
    let payload = match serde_json::to_vec(&beat) {
        Ok(payload) => payload,
        Err(error) => return tracing::error!(%error, "A beat cannot be written"),
    };
    metrics::counter!("mesh_node_beats_total").increment(1);
    if let Err(error) = wire.client.publish(subject::node_beat(wire.node), payload.into()).await {
        tracing::debug!(%error, "A beat was not sent");
    }
}
