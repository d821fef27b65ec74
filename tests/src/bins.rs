//! The workspace's built programs. Nothing is built here: `./run` does that before the tests.

use std::path::{Path, PathBuf};

/// The program `name` of this build profile: it lies beside the test executable's directory.
///
/// # Panics
/// When it has not been built.
pub fn path(name: &str) -> PathBuf {
    let path = dir().join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.is_file(), "{name} has not been built; hint: run ./run test");
    path
}

/// Where the programs lie, `target/debug` for instance.
pub fn dir() -> PathBuf {
    let executable = std::env::current_exe().unwrap();
    let dir = executable.parent().unwrap();
    // Tests lie in `deps`, programs one above.
    let dir = if dir.ends_with("deps") { dir.parent().unwrap() } else { dir };
    dir.to_owned()
}

/// The root of the checkout that the tests were built in.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
