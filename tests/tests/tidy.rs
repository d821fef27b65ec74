//! The rules of the house that no compiler knows.

#![expect(clippy::unwrap_used, reason = "a test may panic, also in what it calls")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use mesh_tests::bins::root;

/// A longer file is two rooms.
const FILE_LINES_MAX: usize = 500;

/// What git tracks, with these endings.
fn tracked(endings: &[&str]) -> Vec<(PathBuf, String)> {
    let output = Command::new("git").args(["ls-files"]).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "the tidy test needs the checkout");
    let names = String::from_utf8(output.stdout).unwrap();
    let wanted = |name: &&str| endings.iter().any(|ending| name.ends_with(ending));
    let read =
        |name: &str| Some((PathBuf::from(name), fs::read_to_string(root().join(name)).ok()?));
    names.lines().filter(wanted).filter_map(read).collect()
}

fn offenders(files: &[(PathBuf, String)], offends: impl Fn(&Path, &str) -> bool) -> Vec<String> {
    let named = |(path, text): &(PathBuf, String)| {
        offends(path, text).then(|| path.to_string_lossy().into_owned())
    };
    files.iter().filter_map(named).collect()
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let files = tracked(&[".rs"]);
    assert!(files.len() > 100, "only {} files", files.len());
    let none: Vec<String> = Vec::new();
    assert_eq!(offenders(&files, |_, text| text.lines().count() > FILE_LINES_MAX), none);
    assert_eq!(offenders(&files, |_, text| !text.starts_with("//!")), none);
}

#[test]
fn nothing_is_left_for_later_or_left_out() {
    let words =
        ["TO-DO", "FIX-ME", "todo-!(", "unimplemented-!(", "#[ig-nore"].map(|w| w.replace('-', ""));
    let found =
        offenders(&tracked(&[".rs", ".sh"]), |_, text| words.iter().any(|w| text.contains(w)));
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn cores_see_schemas_alone() {
    let of_ideas: &[&str] = &["csv", "ed25519-dalek", "hmac", "sha2", "unicode-normalization"];
    let cores: [(&str, &[&str]); 4] = [
        ("orchestrator/core", &[]),
        ("desktop-node/core", &[]),
        ("idea-registry/core", of_ideas),
        ("idea-registry/log", &["data-encoding", "ed25519-dalek", "sha2"]),
    ];
    for (core, libraries) in cores {
        let manifest = fs::read_to_string(root().join(core).join("Cargo.toml")).unwrap();
        let section = manifest.split("[dependencies]").nth(1).unwrap();
        let section = section.split("\n[").next().unwrap();
        for line in section.lines().filter(|line| line.contains('=')) {
            let name = line.split(['.', ' ', '=']).next().unwrap();
            let pure = ["mesh-schemas", "serde", "serde_json", "thiserror"];
            let allowed = pure.contains(&name) || libraries.contains(&name);
            assert!(allowed, "{core} depends on {name}");
        }
    }
}

#[test]
fn arrows_between_packages_point_one_way() {
    let below: [(&str, &[&str]); 4] = [
        ("schemas", &[]),
        ("fabric", &["mesh-schemas"]),
        ("artifacts", &["mesh-artifacts-core", "mesh-fabric", "mesh-schemas"]),
        ("artifacts/core", &["mesh-schemas"]),
    ];
    for (package, allowed) in below {
        let manifest = fs::read_to_string(root().join(package).join("Cargo.toml")).unwrap();
        let section = manifest.split("[dependencies]").nth(1).unwrap();
        let section = section.split("\n[").next().unwrap();
        let ours = section.lines().filter(|line| line.starts_with("mesh-"));
        for name in ours.filter_map(|line| line.split(['.', ' ', '=']).next()) {
            assert!(allowed.contains(&name), "{package} depends on {name}");
        }
    }
}

#[test]
fn no_machine_is_named() {
    let paths = ["/ro-ot/", "/wo-rk/", "/ho-me/"].map(|path| path.replace('-', ""));
    let files = tracked(&[".rs", ".sh", ".toml", ".md", ".json", "run"]);
    let found = offenders(&files, |_, text| paths.iter().any(|path| text.contains(path)));
    assert_eq!(found, Vec::<String>::new());
}
