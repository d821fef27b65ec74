//! Makes an attempt's directory, with its input and its checkpoint in it.
//!
//! Attempts without either are prepared at once, a batch at a time; the others download, a few at a
//! time, and try again while the store or the orchestrator is out of reach.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use mesh_artifacts::download::{self, DownloadError};
use mesh_node_core::{Attempt, Input, Prepared};
use mesh_schemas::{
    AttemptKey, ErrorCode, Problem,
    artifact_path::ArtifactPath,
    manifest::{Manifest, ManifestRef},
};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{place::Place, port::NatsPort, spares::Spares, wire::Wire};
use crate::files::{make_private_dir, remove_tree};

/// Most attempts whose downloads run side by side.
const DOWNLOADS_MAX: usize = 4;
/// How often a download is tried before the attempt is handed back.
const TRIES_MAX: u32 = 8;
/// Bounds of the wait between two tries.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// Exit code of problems that a later try may heal.
pub(super) const UNAVAILABLE_EXIT: u8 = 7;

/// What is to be prepared.
#[derive(Debug)]
pub(super) struct Wanted {
    attempt: AttemptKey,
    place: Place,
    workdir: Option<String>,
    checkpoint_dir: Option<String>,
    input: Option<ManifestRef>,
    checkpoint: Option<ManifestRef>,
}

impl Wanted {
    pub(super) fn new(data_dir: &Path, attempt: &Attempt) -> Self {
        let (key, run) = (attempt.key(), &attempt.job.run);
        Self {
            attempt: key,
            place: Place::new(data_dir, key),
            workdir: run.workdir.clone(),
            checkpoint_dir: run.checkpoint.clone(),
            input: run.input.clone(),
            checkpoint: attempt.start.checkpoint.clone(),
        }
    }

    const fn downloads(&self) -> bool {
        self.input.is_some() || self.checkpoint.is_some()
    }
}

/// Prepares what it is told to.
pub(super) struct Preparer {
    wire: Wire,
    http: reqwest::Client,
    inputs: mpsc::Sender<Input>,
    tracker: TaskTracker,
    runtime: tokio::runtime::Handle,
    slots: Arc<Semaphore>,
    spares: Arc<Spares>,
    running: BTreeMap<AttemptKey, CancellationToken>,
}

impl Preparer {
    pub(super) fn new(
        wire: Wire,
        http: reqwest::Client,
        inputs: mpsc::Sender<Input>,
        runtime: tokio::runtime::Handle,
        spares: Arc<Spares>,
    ) -> Self {
        let slots = Arc::new(Semaphore::new(DOWNLOADS_MAX));
        let (tracker, running) = (TaskTracker::new(), BTreeMap::new());
        Self { wire, http, inputs, tracker, runtime, slots, spares, running }
    }

    /// Prepares at once what needs no download, and starts the rest.
    pub(super) fn prepare(&mut self, wanted: Vec<Wanted>) -> Vec<Input> {
        let mut done = Vec::new();
        for wanted in wanted {
            if wanted.downloads() {
                self.start(wanted);
            } else {
                let result = outcome(self.make_place(&wanted));
                done.push(Input::Prepared { attempt: wanted.attempt, result });
            }
        }
        done
    }

    /// A fresh directory, of a spare one where there is one.
    fn make_place(&self, wanted: &Wanted) -> Result<(), Problem> {
        match self.spares.take(&wanted.place.dir) {
            true => make_dirs_of_job(wanted),
            false => make_place(wanted),
        }
    }

    /// Makes a running preparation end soon.
    pub(super) fn abort(&self, attempt: AttemptKey) {
        if let Some(token) = self.running.get(&attempt) {
            token.cancel();
        }
    }

    /// A preparation has come to its end.
    pub(super) fn forget(&mut self, attempt: AttemptKey) {
        self.running.remove(&attempt);
    }

    fn start(&mut self, wanted: Wanted) {
        let stop = CancellationToken::new();
        self.running.insert(wanted.attempt, stop.clone());
        let (slots, inputs, http) =
            (Arc::clone(&self.slots), self.inputs.clone(), self.http.clone());
        let port = NatsPort { wire: self.wire.clone(), attempt: wanted.attempt };
        let work = async move {
            let download = async {
                let _slot = slots.acquire().await;
                download(&wanted, &port, &http).await
            };
            let result = tokio::select! {
                () = stop.cancelled() => Prepared::Aborted,
                done = download => outcome(done),
            };
            // The engine is gone only when the agent ends.
            let _ended = inputs.send(Input::Prepared { attempt: wanted.attempt, result }).await;
        };
        self.tracker.spawn_on(work, &self.runtime);
    }
}

fn outcome(done: Result<(), Problem>) -> Prepared {
    match done {
        Ok(()) => Prepared::Ready,
        Err(problem) if is_jobs_fault(problem.code) => Prepared::Unusable(problem.detail),
        Err(problem) => Prepared::Failed(problem.detail),
    }
}

/// True when no other node would fare better: what the job asks for is not there, or not good.
fn is_jobs_fault(code: ErrorCode) -> bool {
    [
        ErrorCode::Integrity,
        ErrorCode::NotFound,
        ErrorCode::PathEscape,
        ErrorCode::Invalid,
        ErrorCode::TooLarge,
    ]
    .contains(&code)
}

fn failed(error: &io::Error) -> Problem {
    Problem::new(ErrorCode::Io, format!("the attempt's directory cannot be made: {error}"))
}

/// A fresh directory: what an earlier life of the agent began is begun anew.
fn make_place(wanted: &Wanted) -> Result<(), Problem> {
    let place = &wanted.place;
    match make_private_dir(&place.dir) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            remove_tree(&place.dir).map_err(|error| failed(&error))?;
            make_private_dir(&place.dir).map_err(|error| failed(&error))?;
        }
        Err(error) => return Err(failed(&error)),
    }
    make_private_dir(&place.work()).map_err(|error| failed(&error))?;
    make_private_dir(&place.tmp()).map_err(|error| failed(&error))?;
    make_dirs_of_job(wanted)
}

/// The directories that the job names in its own.
fn make_dirs_of_job(wanted: &Wanted) -> Result<(), Problem> {
    let place = &wanted.place;
    for below in [&wanted.workdir, &wanted.checkpoint_dir].into_iter().flatten() {
        std::fs::create_dir_all(inside(&place.work(), below)?).map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// Joins a path of the job's spec; one that leads elsewhere is refused here as well.
fn inside(work: &Path, below: &str) -> Result<PathBuf, Problem> {
    if below == "." {
        return Ok(work.to_owned());
    }
    let trimmed = below.trim_end_matches('/');
    let path: ArtifactPath = trimmed.parse()?;
    Ok(work.join(path.as_str()))
}

async fn download(wanted: &Wanted, port: &NatsPort, http: &reqwest::Client) -> Result<(), Problem> {
    let mut wait = RETRY_MIN;
    let mut tries = 1;
    loop {
        make_place(wanted)?;
        let problem = match fetch(wanted, port, http).await {
            Ok(()) => return Ok(()),
            Err(problem) => problem,
        };
        tracing::warn!(attempt = %wanted.attempt, tries, code = %problem.code, "Not prepared yet");
        if tries >= TRIES_MAX || problem.code.exit_code() != UNAVAILABLE_EXIT {
            let detail = format!("its input cannot be fetched: {}", problem.detail);
            return Err(Problem { detail, ..problem });
        }
        tokio::time::sleep(wait).await;
        (tries, wait) = (tries + 1, (wait * 2).min(RETRY_MAX));
    }
}

async fn fetch(wanted: &Wanted, port: &NatsPort, http: &reqwest::Client) -> Result<(), Problem> {
    let work = wanted.place.work();
    if let Some(input) = &wanted.input {
        let manifest =
            download::fetch_manifest(port, http, input).await.map_err(|error| problem(&error))?;
        download::materialize(port, http, &manifest, &manifest.files, &work, |_| {})
            .await
            .map_err(|error| problem(&error))?;
    }
    if let (Some(checkpoint), Some(below)) = (&wanted.checkpoint, &wanted.checkpoint_dir) {
        let manifest = download::fetch_manifest(port, http, checkpoint)
            .await
            .map_err(|error| problem(&error))?;
        let failed = |error: io::Error| Problem::new(ErrorCode::Io, error.to_string());
        let dest = inside(&work, below)?;
        std::fs::create_dir_all(&dest).map_err(failed)?;
        download::materialize(port, http, &manifest, &manifest.checkpoint, &dest, |_| {})
            .await
            .map_err(|error| problem(&error))?;
        remember(&wanted.place, &manifest);
    }
    Ok(())
}

/// For people. Too little room is this node's trouble, unlike a manifest that is too large.
fn problem(error: &DownloadError) -> Problem {
    let problem = error.problem();
    match error {
        DownloadError::NoSpace { .. } => Problem { code: ErrorCode::Io, ..problem },
        DownloadError::Manifest(_)
        | DownloadError::Transfer(_)
        | DownloadError::Chunk { .. }
        | DownloadError::Hash { .. }
        | DownloadError::InTheWay { .. }
        | DownloadError::Write { .. }
        | DownloadError::Stopped => problem,
    }
}

/// Keeps the manifest for the uploader: what it names need not be uploaded again.
fn remember(place: &Place, manifest: &Manifest) {
    let written = serde_json::to_vec(manifest)
        .map_err(io::Error::other)
        .and_then(|text| std::fs::write(place.previous(), text));
    if let Err(error) = written {
        // Without it the same chunks are uploaded once more, nothing else.
        tracing::debug!(%error, "The previous manifest was not kept");
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use mesh_schemas::{Epoch, JobId};

    use super::*;

    fn wanted(data_dir: &Path, workdir: &str) -> Wanted {
        let job = JobId::from_uuid(uuid::Uuid::from_u128(1));
        let attempt = AttemptKey { job, task: 0, epoch: Epoch(1) };
        let (workdir, place) = (Some(workdir.to_owned()), Place::new(data_dir, attempt));
        Wanted { attempt, place, workdir, checkpoint_dir: None, input: None, checkpoint: None }
    }

    #[test]
    fn an_attempts_directories_are_for_the_nodes_user_alone() {
        let data = tempfile::tempdir().unwrap();
        let wanted = wanted(data.path(), "below");
        std::fs::create_dir(data.path().join(crate::agent::place::ATTEMPTS_DIR)).unwrap();
        for _life in 0..2 {
            make_place(&wanted).unwrap();
            for dir in [&wanted.place.dir, &wanted.place.work(), &wanted.place.tmp()] {
                let mode = std::fs::metadata(dir).unwrap().permissions().mode();
                assert_eq!(mode & 0o777, 0o700, "{}", dir.display());
            }
        }
    }

    #[test]
    fn what_a_job_asks_for_in_vain_is_its_own_error_and_trouble_of_the_node_is_not() {
        let unusable = |code| matches!(outcome(Err(Problem::new(code, ""))), Prepared::Unusable(_));
        assert!(unusable(ErrorCode::Integrity) && unusable(ErrorCode::NotFound));
        assert!(!unusable(ErrorCode::Io) && !unusable(ErrorCode::ObjectsDown));
        let full = DownloadError::NoSpace { path: "/".into(), wanted: 2, free: 1 };
        assert!(!unusable(problem(&full).code));
    }
}
