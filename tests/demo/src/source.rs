//! The software that the demo builds: a known command-line tool with a test suite of its own, fetched from
//! the Rust package registry by cargo.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, ensure};

use crate::say;

/// A hex viewer with unit and integration tests.
const NAME: &str = "hexyl";
const VERSION: &str = "0.17.0";

/// Cargo needs a package to fetch for; this one does nothing.
const MANIFEST: &str = "[package]\nname = \"fetch\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\
                        [workspace]\n[dependencies]\n";

/// Fetches the source into a directory of its own.
pub(crate) fn fetch(begun: Instant, root: &Path) -> anyhow::Result<PathBuf> {
    say(begun, format_args!("fetching {NAME} {VERSION} from the package registry"));
    let scratch = root.join("fetch");
    fs::create_dir_all(scratch.join("src"))?;
    fs::write(scratch.join("src/lib.rs"), "")?;
    fs::write(scratch.join("Cargo.toml"), format!("{MANIFEST}{NAME} = \"={VERSION}\"\n"))?;
    let status = Command::new("cargo")
        .args(["vendor", "--quiet", "--versioned-dirs", "vendor"])
        .current_dir(&scratch)
        .stdout(std::process::Stdio::null())
        .status()
        .context("running cargo")?;
    ensure!(status.success(), "cargo could not fetch {NAME}: {status}");
    let source = root.join(NAME);
    fs::rename(scratch.join("vendor").join(format!("{NAME}-{VERSION}")), &source)?;
    fs::remove_dir_all(scratch)?;
    // Left by vendoring; the tool's own directory does not have it.
    let _ = fs::remove_file(source.join(".cargo-checksum.json"));
    Ok(source)
}

/// Where the cargo that this demo finds lies.
pub(crate) fn cargo_directory() -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).find(|dir| dir.join("cargo").is_file());
    found.context("there is no cargo on PATH")
}
