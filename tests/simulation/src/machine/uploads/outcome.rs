//! What becomes of a cycle, and of the attempt whose last one it was.

use mesh_node_core::Input;
use mesh_schemas::{AttemptKey, ErrorCode, manifest::ManifestSummary};

use super::{Got, Step, heals};
use crate::{
    machine::{Around, Machine},
    stats::Kind,
};

/// How often the last upload may fail in a way that waiting does not heal.
const FAILURES_MAX: u32 = 5;
/// Bounds of the wait before the last upload is begun anew, in milliseconds.
const FINAL_WAIT_MIN: u64 = 500;
const FINAL_WAIT_MAX: u64 = 30_000;

impl Machine {
    /// A cycle is given up; the next goes on from what is recorded.
    pub(super) fn cycle_failed(
        &mut self,
        around: &mut Around<'_>,
        attempt: AttemptKey,
        code: ErrorCode,
    ) {
        around.env.stats.count(Kind::CycleFailed);
        let Some(upload) = self.upload(attempt) else { return };
        (upload.step, upload.work) = (Step::Idle, None);
        if !upload.last_cycle {
            return self.next_cycle(around, attempt);
        }
        upload.failures += u32::from(!heals(code));
        if upload.failures >= FAILURES_MAX {
            around.env.stats.count(Kind::FinalGivenUp);
            let before = upload.books.as_ref().and_then(|books| books.state.last.clone());
            let manifest = upload.last.take().or(before);
            return self.tell_stored(around, attempt, manifest, Some("not all is stored".into()));
        }
        let wait = (FINAL_WAIT_MIN << upload.finals.min(6)).min(FINAL_WAIT_MAX);
        let token = self.token(attempt);
        self.expect(around.env, wait, attempt, token, Got::Now);
    }

    /// A cycle is through.
    pub(super) fn finished(
        &mut self,
        around: &mut Around<'_>,
        attempt: AttemptKey,
        manifest: Option<ManifestSummary>,
    ) {
        let Some(upload) = self.upload(attempt) else { return };
        (upload.step, upload.work) = (Step::Idle, None);
        if upload.last_cycle {
            let manifest = manifest.or_else(|| upload.last.take());
            return self.tell_stored(around, attempt, manifest, None);
        }
        let finishing = upload.finishing;
        if let Some(manifest) = manifest {
            upload.last = Some(manifest.clone());
            if !finishing {
                let manifest = Box::new(manifest);
                self.apply(around, Input::Committed { attempt, manifest });
            }
        }
        self.next_cycle(around, attempt);
    }

    fn next_cycle(&mut self, around: &mut Around<'_>, attempt: AttemptKey) {
        let Some(upload) = self.upload(attempt) else { return };
        let (finishing, every) = (upload.finishing, upload.every);
        if finishing {
            return self.begin(around, attempt);
        }
        let token = self.token(attempt);
        self.expect(around.env, every, attempt, token, Got::Now);
    }

    fn tell_stored(
        &mut self,
        around: &mut Around<'_>,
        attempt: AttemptKey,
        manifest: Option<ManifestSummary>,
        missing: Option<String>,
    ) {
        if let Some(agent) = &mut self.agent {
            agent.uploads.remove(&attempt);
        }
        let manifest = Box::new(manifest.unwrap_or_else(ManifestSummary::empty));
        if missing.is_none()
            && let Some(dir) = self.disk.dirs.get(&attempt)
        {
            around.env.observer.wrote(attempt, dir.log);
        }
        self.apply(around, Input::Stored { attempt, manifest, missing });
    }
}
