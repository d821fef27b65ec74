//! Where the servers' programs are: a variable, `PATH`, or `.tools/bin` of the checkout.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::bins;

/// The oldest nats-server that will do: major and minor.
const NATS_VERSION_MIN: (u32, u32) = (2, 12);

/// nats-server: `MESH_NATS_SERVER`, or 2.12 and newer in `PATH`, or `.tools/bin`.
///
/// # Panics
/// When there is none.
pub fn nats_server() -> PathBuf {
    find_nats_server().unwrap_or_else(|| missing("nats-server"))
}

/// As [`nats_server`]; `None` when there is none.
pub fn find_nats_server() -> Option<PathBuf> {
    find("MESH_NATS_SERVER", "nats-server", |path| {
        nats_version(path).is_some_and(|version| version >= NATS_VERSION_MIN)
    })
}

/// SeaweedFS: `MESH_WEED`, `weed` in `PATH`, or `.tools/bin`.
///
/// # Panics
/// When there is none.
pub fn weed() -> PathBuf {
    find("MESH_WEED", "weed", |_| true).unwrap_or_else(|| missing("weed"))
}

fn missing(name: &str) -> ! {
    panic!("{name} is missing or too old; hint: run ./run test")
}

fn find(variable: &str, name: &str, will_do: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Some(path.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates = std::env::split_paths(&path)
        .chain([bins::root().join(".tools/bin")])
        .map(|dir| dir.join(name));
    candidates.find(|path| path.is_file() && will_do(path))
}

fn nats_version(path: &Path) -> Option<(u32, u32)> {
    let output = Command::new(path).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut numbers = text.trim().rsplit_once('v')?.1.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}
