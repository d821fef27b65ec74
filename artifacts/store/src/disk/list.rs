//! Listing: walks a bucket in the order of its keys, and only where the answer can be.

use std::{fs, io, ops::ControlFlow, path::Path};

use super::{
    key::{decode, object_name},
    object::{Meta, OpenObject},
};

/// What is wanted.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Keys begin with this.
    pub prefix: String,
    /// Keys (and common prefixes) come after this.
    pub after: String,
    /// Keys that hold this after the prefix are rolled up to it.
    pub delimiter: Option<String>,
    /// Most keys and common prefixes together.
    pub limit: usize,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Listed {
    /// Keys with what is known of the objects.
    pub objects: Vec<(String, Meta)>,
    /// Common prefixes, ending with the delimiter.
    pub prefixes: Vec<String>,
    /// Where the next page begins, when there is more.
    pub next: Option<String>,
}

pub(super) fn list(bucket: &Path, query: &ListQuery) -> io::Result<Listed> {
    let mut walk = Walk { query, found: Listed::default(), last: String::new() };
    if query.limit > 0 {
        let _stopped = walk.dir(bucket, "")?;
    }
    Ok(walk.found)
}

struct Walk<'a> {
    query: &'a ListQuery,
    found: Listed,
    last: String,
}

/// A directory's entries sort as keys do when a directory's name ends with its slash.
enum Entry {
    Object(String),
    Dir(String),
}

impl Entry {
    fn key(&self) -> &str {
        match self {
            Self::Object(key) | Self::Dir(key) => key,
        }
    }
}

impl Walk<'_> {
    fn dir(&mut self, path: &Path, above: &str) -> io::Result<ControlFlow<()>> {
        for (name, entry) in entries(path, above)? {
            let flow = match &entry {
                Entry::Dir(key) if self.leads_on(key) => self.dir(&path.join(name), key)?,
                Entry::Object(key) if self.is_wanted(key) => self.object(&path.join(name), key)?,
                Entry::Dir(_) | Entry::Object(_) => ControlFlow::Continue(()),
            };
            if flow.is_break() {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn leads_on(&self, dir: &str) -> bool {
        let (prefix, after) = (self.query.prefix.as_str(), self.query.after.as_str());
        let within = dir.starts_with(prefix) || prefix.starts_with(dir);
        within && (dir > after || after.starts_with(dir))
    }

    fn is_wanted(&self, key: &str) -> bool {
        key.starts_with(&self.query.prefix) && key > self.query.after.as_str()
    }

    fn object(&mut self, path: &Path, key: &str) -> io::Result<ControlFlow<()>> {
        let rolled = self.rolled_up(key);
        let name = rolled.as_deref().unwrap_or(key);
        let seen = name <= self.query.after.as_str()
            || self.found.prefixes.last().is_some_and(|p| p == name);
        if rolled.is_some() && seen {
            return Ok(ControlFlow::Continue(()));
        }
        if self.found.objects.len() + self.found.prefixes.len() >= self.query.limit {
            self.found.next = Some(self.last.clone());
            return Ok(ControlFlow::Break(()));
        }
        match rolled {
            Some(prefix) => self.found.prefixes.push(prefix.clone()),
            // An object that was removed while we walked is simply not there.
            None => match OpenObject::open(path)? {
                Some(object) => self.found.objects.push((key.to_owned(), object.meta)),
                None => return Ok(ControlFlow::Continue(())),
            },
        }
        self.last = self.rolled_up(key).unwrap_or_else(|| key.to_owned());
        Ok(ControlFlow::Continue(()))
    }

    fn rolled_up(&self, key: &str) -> Option<String> {
        let delimiter = self.query.delimiter.as_deref().filter(|text| !text.is_empty())?;
        let from = self.query.prefix.len();
        let end = from + key.get(from..)?.find(delimiter)? + delimiter.len();
        key.get(..end).map(str::to_owned)
    }
}

fn entries(path: &Path, above: &str) -> io::Result<Vec<(String, Entry)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let found = if entry.file_type()?.is_dir() {
            decode(&name).map(|part| Entry::Dir(format!("{above}{part}/")))
        } else {
            object_name(&name).map(|part| Entry::Object(format!("{above}{part}")))
        };
        entries.extend(found.map(|found| (name, found)));
    }
    entries.sort_by(|(_, a), (_, b)| a.key().cmp(b.key()));
    Ok(entries)
}
