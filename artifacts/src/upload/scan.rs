//! Finds the files that a job wants to keep.

use std::io;

use mesh_schemas::{artifact_path::ArtifactPath, text::shown};

use super::{Limits, notes::Notes};
use crate::{
    beneath::{Dir, Kind},
    core::{select::Selection, state::Stamp},
};

/// Most names looked at in one scan.
const NAMES_MAX: usize = 1_000_000;

/// A file that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) path: ArtifactPath,
    pub(crate) stamp: Stamp,
}

/// What a scan is about: where it stands, and what it may still take.
pub(crate) struct Scan<'a> {
    limits: Limits,
    notes: &'a mut Notes,
    names: usize,
    bytes: u64,
    files: usize,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(limits: Limits, notes: &'a mut Notes) -> Self {
        Self { limits, notes, names: 0, bytes: 0, files: 0 }
    }

    /// The regular files below `root` that `selection` wants, in the order of their paths.
    pub(crate) fn select(&mut self, root: &Dir, selection: &Selection) -> Vec<Found> {
        let mut found = Vec::new();
        for start in selection.roots() {
            let wanted = |path: &str| selection.is_match(path);
            match start.rsplit_once('/') {
                _ if start.is_empty() => self.dir(root, "", &wanted, &mut found),
                Some((parent, name)) => match root.descend(parent) {
                    Ok(dir) => self.name(&dir, parent, name, &wanted, &mut found),
                    Err(error) => self.unreadable(parent, &error),
                },
                None => self.name(root, "", start, &wanted, &mut found),
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        found
    }

    fn dir(&mut self, dir: &Dir, at: &str, wanted: &dyn Fn(&str) -> bool, found: &mut Vec<Found>) {
        let mut names = Vec::new();
        let listed = dir.for_each_name(|name| match name {
            Ok(name) => names.push(name.to_owned()),
            Err(name) => self.notes.skip(&shown(&name), "its name is not UTF-8"),
        });
        if let Err(error) = listed {
            self.unreadable(at, &error);
        }
        for name in names {
            self.name(dir, at, &name, wanted, found);
        }
    }

    fn name(
        &mut self,
        dir: &Dir,
        at: &str,
        name: &str,
        wanted: &dyn Fn(&str) -> bool,
        found: &mut Vec<Found>,
    ) {
        self.names += 1;
        if self.names > NAMES_MAX {
            return self.notes.skip(&shown(at), "there are too many names to look at");
        }
        let path = if at.is_empty() { name.to_owned() } else { format!("{at}/{name}") };
        match dir.kind(name) {
            Ok(Some(Kind::File(stamp))) if wanted(&path) => self.file(&path, stamp, found),
            Ok(Some(Kind::Other)) if wanted(&path) => {
                self.notes.skip(&shown(&path), "it is neither a regular file nor a directory");
            }
            Ok(Some(Kind::Dir)) => self.below(dir, name, &path, wanted, found),
            Ok(Some(Kind::File(_) | Kind::Other) | None) => {}
            Err(error) => self.unreadable(&path, &error),
        }
    }

    fn below(
        &mut self,
        dir: &Dir,
        name: &str,
        path: &str,
        wanted: &dyn Fn(&str) -> bool,
        found: &mut Vec<Found>,
    ) {
        // A directory that no artifact's path can pass through is not worth walking.
        if let Err(problem) = path.parse::<ArtifactPath>() {
            return self.notes.skip(&shown(path), &problem.detail);
        }
        match dir.dir(name) {
            Ok(inner) => self.dir(&inner, path, wanted, found),
            Err(error) => self.unreadable(path, &error),
        }
    }

    fn file(&mut self, path: &str, stamp: Stamp, found: &mut Vec<Found>) {
        let path: ArtifactPath = match path.parse() {
            Ok(path) => path,
            Err(problem) => return self.notes.skip(&shown(path), &problem.detail),
        };
        let Limits { file_bytes_max, total_bytes_max, files_max } = self.limits;
        if stamp.size > file_bytes_max || self.bytes.saturating_add(stamp.size) > total_bytes_max {
            return self.notes.skip(path.as_str(), "it is larger than the limit");
        }
        if self.files >= files_max {
            return self.notes.skip(path.as_str(), "there are more files than the limit");
        }
        self.files += 1;
        self.bytes += stamp.size;
        found.push(Found { path, stamp });
    }

    fn unreadable(&mut self, path: &str, error: &io::Error) {
        // What vanished is not there to be kept.
        if error.kind() != io::ErrorKind::NotFound {
            self.notes.skip(&shown(path), &error.to_string());
        }
    }
}
