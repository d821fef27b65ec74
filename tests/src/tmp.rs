//! Temporary directories.

use tempfile::TempDir;

/// A directory that goes away with its value. `MESH_KEEP_TMP=1` keeps it, to look at it afterwards.
pub fn dir(name: &str) -> TempDir {
    let mut dir = tempfile::Builder::new().prefix(&format!("mesh-{name}-")).tempdir().unwrap();
    dir.disable_cleanup(std::env::var_os("MESH_KEEP_TMP").is_some());
    dir
}
