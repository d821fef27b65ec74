//! One cycle: look, read what changed, upload what is new, name it all in a manifest.

use std::{io, path::Path};

use mesh_fabric::time;
use mesh_schemas::manifest::{FILES_MAX, LogStream, ManifestSummary};
use tokio::sync::mpsc;

use super::{
    AttemptUploader, Limits, Options, Pipeline, Producer, UploadError, notes::Notes, scan::Found,
    scan::Scan,
};
use crate::{
    beneath::Dir,
    core::{
        log::{Growth, Plan, plan},
        select::Selection,
        state::{Contents, KeptFiles},
    },
    transfer::Wire,
};

/// The blocking half of a cycle, with all it needs.
pub(super) struct Look {
    options: Options,
    outputs: Selection,
    before: Contents,
    stdout: Plan,
    stderr: Plan,
}

/// Files that were found, with the directories they were found in.
pub(super) struct Sight {
    root: Dir,
    pub(super) files: Vec<Found>,
    checkpoint: Option<(Dir, Vec<Found>)>,
}

impl Sight {
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.checkpoint.as_ref().is_none_or(|(_, files)| files.is_empty())
    }
}

impl AttemptUploader {
    pub(super) async fn cycle(
        &mut self,
        wire: Wire<'_>,
        complete: bool,
    ) -> Result<Option<ManifestSummary>, UploadError> {
        let look = self.look();
        let (sender, parcels) = mpsc::channel(1);
        let producer = Producer::new(&self.state.stored, sender);
        let reading = tokio::task::spawn_blocking(move || look.read(producer));
        let packs_before = self.state.stored.packs.len();
        let state_file = Some(self.options.state_file.as_path());
        let mut pipeline = Pipeline { wire, state: &mut self.state, state_file };
        let stored = pipeline.store_packs(parcels, || {}).await;
        let read = reading.await.map_err(|_| UploadError::Stopped)?;
        // When uploading fails, reading is stopped by it: the upload's error is the cause.
        stored?;
        let (contents, notes) = read?;
        let new_packs = pipeline.state.stored.packs.iter().skip(packs_before);
        self.outcome.uploaded_bytes = new_packs.map(|pack| pack.size).sum();
        self.outcome.skipped = notes;
        if !pipeline.state.is_news(&contents, complete) {
            // Files that were read again and had not changed need not be read a third time.
            pipeline.state.contents = contents;
            return Ok(None);
        }
        let summary = pipeline.publish(contents, complete).await?;
        self.stdout.stored_up_to(self.state.contents.stdout.size);
        self.stderr.stored_up_to(self.state.contents.stderr.size);
        Ok(Some(summary))
    }

    fn look(&self) -> Look {
        let before = self.state.contents.clone();
        let planned =
            |log: &LogStream, growth: &Growth| plan(log, growth, growth.seen(), time::now());
        Look {
            stdout: planned(&before.stdout, &self.stdout),
            stderr: planned(&before.stderr, &self.stderr),
            before,
            options: self.options.clone(),
            outputs: self.outputs.clone(),
        }
    }
}

impl Look {
    fn read(self, mut producer: Producer) -> Result<(Contents, Notes), UploadError> {
        let Self { options, outputs, before, stdout, stderr } = self;
        let mut notes = Notes::default();
        // Logs first: they are small, and what people look at.
        let stdout = producer.log(&options.stdout, &before.stdout, stdout)?;
        let stderr = producer.log(&options.stderr, &before.stderr, stderr)?;
        let sight = look_around(&options, &outputs, &mut notes)?;
        let (mut files, mut checkpoint) = (KeptFiles::new(), KeptFiles::new());
        if let Some(sight) = sight {
            if let Some((dir, found)) = &sight.checkpoint {
                checkpoint = producer.files(dir, found, &before.checkpoint, &mut notes)?;
            }
            files = producer.files(&sight.root, &sight.files, &before.files, &mut notes)?;
        }
        producer.finish()?;
        Ok((Contents { files, checkpoint, stdout, stderr }, notes))
    }
}

/// Finds the wanted files; none when nothing is wanted, or nothing can be looked at.
pub(super) fn look_around(
    options: &Options,
    outputs: &Selection,
    notes: &mut Notes,
) -> Result<Option<Sight>, UploadError> {
    if outputs.roots().is_empty() && options.checkpoint.is_none() {
        return Ok(None);
    }
    let Some(root) = open_root(&options.root, notes)? else { return Ok(None) };
    let mut limits = options.limits;
    limits.files_max = limits.files_max.min(FILES_MAX);
    let checkpoint = match &options.checkpoint {
        Some(path) => look_into(&root, path, limits, notes)?,
        None => None,
    };
    limits.files_max -= checkpoint.as_ref().map_or(0, |(_, files)| files.len());
    let files = Scan::new(limits, notes).select(&root, outputs);
    Ok(Some(Sight { root, files, checkpoint }))
}

fn look_into(
    root: &Dir,
    path: &str,
    limits: Limits,
    notes: &mut Notes,
) -> Result<Option<(Dir, Vec<Found>)>, UploadError> {
    let everything = Selection::new(&[".".to_owned()]).map_err(UploadError::Pattern)?;
    match root.descend(path) {
        Ok(dir) => {
            let found = Scan::new(limits, notes).select(&dir, &everything);
            Ok(Some((dir, found)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            notes.skip(path, &error.to_string());
            Ok(None)
        }
    }
}

/// The work directory; none when the job itself has removed or closed it, which is no error of ours.
fn open_root(path: &Path, notes: &mut Notes) -> Result<Option<Dir>, UploadError> {
    match Dir::open(path) {
        Ok(dir) => Ok(Some(dir)),
        Err(error)
            if [io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied]
                .contains(&error.kind()) =>
        {
            notes.skip("the work directory", &error.to_string());
            Ok(None)
        }
        Err(source) => Err(UploadError::Root { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_work_directory_that_the_job_removed_is_a_note_and_one_that_is_no_directory_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let mut notes = Notes::default();
        assert!(open_root(dir.path(), &mut notes).unwrap().is_some());
        assert!(open_root(&dir.path().join("gone"), &mut notes).unwrap().is_none());
        assert_eq!(notes.count(), 1);
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(open_root(&file, &mut notes).is_err());
    }
}
