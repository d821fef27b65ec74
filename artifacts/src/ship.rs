//! Ships a directory as a job's input.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use ignore::WalkBuilder;
use mesh_schemas::{
    artifact_path::ArtifactPath,
    id::UploadId,
    manifest::{FILES_MAX, ManifestOwner, ManifestPlace, ManifestRef},
    text::shown,
};
use tokio::sync::mpsc;

use crate::{
    beneath::{Dir, Kind},
    core::state::{Contents, KeptFiles, UploadState},
    download::Progress,
    port::ObjectPort,
    transfer::Wire,
    upload::{Found, Notes, Pipeline, Producer, UploadError},
};

/// How to ship.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The upload that the URLs were asked for.
    pub upload: UploadId,
    /// Leave out what `.gitignore`, `.ignore` and the like name; `.git` is always left out.
    pub gitignore: bool,
}

/// What was shipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipped {
    /// The manifest, to put into the job's spec as its input.
    pub manifest: ManifestRef,
    /// Number of files.
    pub files: u32,
    /// Their bytes.
    pub bytes: u64,
    /// What was left out beside what is ignored, and why.
    pub skipped: Notes,
}

/// Stores the files below `dir` and a manifest of them. Links, FIFOs and devices are left out with
/// a note. `on_progress` hears of the bytes read so far, after each pack.
///
/// # Errors
/// The directory cannot be read or holds too many files, or the store or whoever presigns is out of
/// reach; a later call begins anew.
pub async fn ship_directory(
    dir: &Path,
    port: &dyn ObjectPort,
    http: &reqwest::Client,
    options: Options,
    mut on_progress: impl FnMut(Progress) + Send,
) -> Result<Shipped, UploadError> {
    let (root, gitignore) = (dir.to_owned(), options.gitignore);
    let walked = tokio::task::spawn_blocking(move || walk(&root, gitignore)).await;
    let (root, found, notes) = walked.map_err(|_| UploadError::Stopped)??;
    let bytes_total = found.iter().map(|file| file.stamp.size).sum();
    let read = Arc::new(AtomicU64::new(0));
    let mut state = UploadState::new(ManifestOwner::Upload(options.upload));
    let (sender, parcels) = mpsc::channel(1);
    let counter = Arc::clone(&read);
    let producer = Producer::new(&state.stored, sender).reporting(move |bytes| {
        counter.fetch_add(bytes, Ordering::Relaxed);
    });
    let reading = tokio::task::spawn_blocking(move || read_all(producer, &root, &found, notes));
    let mut pipeline = Pipeline { wire: Wire { port, http }, state: &mut state, state_file: None };
    let mut report = || {
        let bytes_done = read.load(Ordering::Relaxed);
        on_progress(Progress { bytes_done, bytes_total });
    };
    let stored = pipeline.store_packs(parcels, &mut report).await;
    let read_result = reading.await.map_err(|_| UploadError::Stopped)?;
    stored?;
    let (files, skipped) = read_result?;
    let summary = pipeline.publish(Contents { files, ..Contents::default() }, true).await?;
    report();
    match summary.place {
        ManifestPlace::Object(manifest) => {
            Ok(Shipped { manifest, files: summary.files, bytes: summary.bytes, skipped })
        }
        ManifestPlace::Empty | ManifestPlace::Inline(_) => Err(UploadError::Stopped),
    }
}

fn read_all(
    mut producer: Producer,
    root: &Dir,
    found: &[Found],
    mut notes: Notes,
) -> Result<(KeptFiles, Notes), UploadError> {
    let files = producer.files(root, found, &KeptFiles::new(), &mut notes)?;
    producer.finish()?;
    Ok((files, notes))
}

fn walk(path: &Path, gitignore: bool) -> Result<(Dir, Vec<Found>, Notes), UploadError> {
    let failed = |source| UploadError::Root { path: path.to_owned(), source };
    let root = Dir::open(path).map_err(failed)?;
    let (mut found, mut notes) = (Vec::new(), Notes::default());
    for entry in walker(path, gitignore).build() {
        match entry {
            Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_dir()) => {}
            Ok(entry) => found.extend(look_at(&root, path, entry.path(), &mut notes)),
            Err(error) => notes.skip("an entry", &error.to_string()),
        }
    }
    if found.len() > FILES_MAX {
        return Err(UploadError::TooManyFiles { count: found.len(), max: FILES_MAX });
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok((root, found, notes))
}

fn walker(path: &Path, gitignore: bool) -> WalkBuilder {
    let mut walk = WalkBuilder::new(path);
    walk.hidden(false)
        .follow_links(false)
        .parents(false)
        .git_global(false)
        .git_exclude(gitignore)
        .git_ignore(gitignore)
        .ignore(gitignore)
        .require_git(false)
        .filter_entry(|entry| entry.file_name() != ".git");
    walk
}

fn look_at(root: &Dir, base: &Path, path: &Path, notes: &mut Notes) -> Option<Found> {
    let below: PathBuf = path.strip_prefix(base).ok()?.to_owned();
    let shown_path = shown(&below.to_string_lossy());
    let Some(text) = below.to_str() else {
        notes.skip(&shown_path, "its name is not UTF-8");
        return None;
    };
    let checked: ArtifactPath = match text.parse() {
        Ok(checked) => checked,
        Err(problem) => {
            let problem: mesh_schemas::Problem = problem;
            notes.skip(&shown_path, &problem.detail);
            return None;
        }
    };
    let (parent, name) = text.rsplit_once('/').unwrap_or(("", text));
    match root.descend(parent).and_then(|dir| dir.kind(name)) {
        Ok(Some(Kind::File(stamp))) => Some(Found { path: checked, stamp }),
        Ok(Some(Kind::Other)) => {
            notes.skip(&shown_path, "it is neither a regular file nor a directory");
            None
        }
        Ok(Some(Kind::Dir) | None) => None,
        Err(error) => {
            notes.skip(&shown_path, &error.to_string());
            None
        }
    }
}
