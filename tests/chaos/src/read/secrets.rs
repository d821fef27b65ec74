//! Looks for secrets in everything that a mesh writes: logs, database, broker, journals, objects, events.
//!
//! The files that exist to hold secrets are left out; each of them is private to its owner.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::{Source, objects::ObjectStore};
use crate::history::{History, Scan};

/// Names of files and directories that hold secrets on purpose.
const HOLDERS: [&str; 4] = ["cluster", "admin.token", "identity.json", "password"];
/// Shorter texts would be found by chance.
const SECRET_BYTES_MIN: usize = 12;

/// A text that must not be found.
#[derive(Debug, Clone)]
pub struct Secret {
    /// What it is, for people.
    pub name: String,
    /// The text.
    pub value: String,
    /// Also the job's own variable, which its spec and the node's journal hold on purpose.
    pub of_a_job: bool,
}

/// Searches all that there is.
pub(super) async fn scan(
    source: &Source,
    store: &ObjectStore,
    history: &History,
) -> anyhow::Result<Scan> {
    let mut secrets = kept_in(&source.data)?;
    secrets.extend(source.secrets.iter().cloned());
    secrets.retain(|secret| secret.value.len() >= SECRET_BYTES_MIN);
    let mut scan = Scan { secrets: secrets.len(), ..Scan::default() };
    let mut files = Vec::new();
    walk(&source.data, &mut files)?;
    for file in files {
        let place = file.strip_prefix(&source.data).unwrap_or(&file).display().to_string();
        // It may have gone since, or be a socket.
        let Ok(bytes) = fs::read(&file) else { continue };
        look(&secrets, &bytes, &place, &mut scan);
    }
    for key in store.keys("").await? {
        let bytes = store.get(&key).await?.unwrap_or_default();
        look(&secrets, &bytes, &format!("the object {key}"), &mut scan);
    }
    for event in &history.events {
        let detail = event.detail.as_deref().unwrap_or_default();
        look(&secrets, detail.as_bytes(), &format!("the event {}", event.seq), &mut scan);
    }
    Ok(scan)
}

fn look(secrets: &[Secret], bytes: &[u8], place: &str, scan: &mut Scan) {
    scan.bytes += bytes.len() as u64;
    let is_of_jobs = ["orchestrator/", "journal.log"].iter().any(|part| place.contains(part));
    for secret in secrets.iter().filter(|secret| !(secret.of_a_job && is_of_jobs)) {
        if memchr::memmem::find(bytes, secret.value.as_bytes()).is_some() {
            scan.found.push((secret.name.clone(), place.to_owned()));
        }
    }
}

/// The files below a directory, but for those that hold secrets on purpose and the embedded store's,
/// which is read through its own door.
fn walk(dir: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let holds = HOLDERS.iter().any(|holder| name == *holder);
        if holds || path.join("buckets").is_dir() {
            continue;
        }
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&path, files)?;
        } else if kind.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

/// The secrets of a cluster, from the files that hold them.
fn kept_in(data: &Path) -> anyhow::Result<Vec<Secret>> {
    let mut secrets = Vec::new();
    let mut add = |name: String, value: &str| {
        secrets.push(Secret { name, value: value.trim().to_owned(), of_a_job: false });
    };
    if let Ok(token) = fs::read_to_string(data.join("admin.token")) {
        add("the administrator's token".into(), &token);
    }
    for dir in [data.join("cluster")].into_iter().chain(super::node_dirs(data)?) {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let Ok(text) = fs::read_to_string(entry.path()) else { continue };
            let file = entry.path();
            let file = file.strip_prefix(data).unwrap_or(&file).display().to_string();
            if file.ends_with(".log") || file.ends_with(".toml") || file.ends_with(".conf") {
                continue;
            }
            for value in secret_words(&text) {
                add(format!("a secret of {file}"), value);
            }
        }
    }
    Ok(secrets)
}

/// NKey seeds (`SU…`, `SA…`, `SO…`) and the store's secret key.
fn secret_words(text: &str) -> impl Iterator<Item = &str> {
    let is_seed = |word: &&str| {
        let kind = ["SU", "SA", "SO"].iter().any(|kind| word.starts_with(kind));
        let base32 = |c: char| c.is_ascii_uppercase() || ('2'..='7').contains(&c);
        kind && word.len() == 58 && word.chars().all(base32)
    };
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(is_seed);
    let key = text.split_once("\"secret_key\"").and_then(|(_, rest)| rest.split('"').nth(1));
    words.chain(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_and_keys_are_found_among_other_words() {
        let seed = format!("SU{}", "A".repeat(56));
        let text = format!("-----BEGIN-----\n{seed}\n--- {{\"secret_key\": \"hush-hush-1234\"}}");
        let words: Vec<_> = secret_words(&text).collect();
        assert_eq!(words, [seed.as_str(), "hush-hush-1234"]);
    }

    #[test]
    fn a_jobs_own_variable_may_be_in_its_spec_and_nowhere_else() {
        let secret = Secret { name: "canary".into(), value: "canary-value".into(), of_a_job: true };
        let mut scan = Scan::default();
        look(std::slice::from_ref(&secret), b"x canary-value x", "orchestrator/mesh.db", &mut scan);
        assert_eq!(scan.found, []);
        look(&[secret], b"x canary-value x", "node-1.log", &mut scan);
        assert_eq!(scan.found, [("canary".into(), "node-1.log".into())]);
    }
}
