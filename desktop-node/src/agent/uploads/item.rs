//! One attempt that the uploads look after.

use mesh_artifacts::upload::AttemptUploader;
use mesh_schemas::{Timestamp, manifest::ManifestSummary};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{OBSERVE_EVERY, Subject};

pub(super) struct Item {
    pub(super) subject: Subject,
    pub(super) slot: Slot,
    /// When an upload last began; the start counts.
    pub(super) stored_at: Instant,
    /// What is stored by now.
    pub(super) last: Option<ManifestSummary>,
    /// Cancelled when nobody wants its uploads any more.
    pub(super) stop: CancellationToken,
    /// It is over; the last upload is wanted.
    pub(super) finishing: bool,
    since: Instant,
    log_bytes: u64,
}

/// Where the uploader is.
pub(super) enum Slot {
    /// Not opened yet: short attempts never need one.
    Closed,
    Idle(Box<AttemptUploader>),
    /// In an upload, which gives it back.
    Busy,
}

impl Item {
    pub(super) fn new(subject: Subject) -> Self {
        let now = Instant::now();
        Self {
            subject,
            slot: Slot::Closed,
            stored_at: now,
            last: None,
            stop: CancellationToken::new(),
            finishing: false,
            since: now,
            log_bytes: 0,
        }
    }

    /// Whether its logs grew since the last look; asked only when somebody waits for that.
    pub(super) fn grew(&mut self) -> bool {
        if !self.subject.stall {
            return false;
        }
        let bytes = self.subject.log_bytes();
        let grew = bytes > self.log_bytes;
        self.log_bytes = bytes;
        grew
    }

    /// Notes what the logs did, and whether an upload is due.
    pub(super) fn is_due(&mut self, now: Timestamp) -> bool {
        if matches!(self.slot, Slot::Closed) && self.since.elapsed() >= OBSERVE_EVERY {
            match self.subject.open() {
                Ok(uploader) => self.slot = Slot::Idle(Box::new(uploader)),
                Err(error) => {
                    tracing::warn!(attempt = %self.subject.attempt, %error, "No uploader");
                    // Tried again, but not at each look.
                    self.since = Instant::now() + OBSERVE_EVERY * 50;
                }
            }
        }
        let Slot::Idle(uploader) = &mut self.slot else { return false };
        uploader.observe(now);
        let policy = &self.subject.policy;
        self.stored_at.elapsed() >= policy.every.duration()
            || uploader.new_log_bytes() >= policy.bytes.0
    }
}
