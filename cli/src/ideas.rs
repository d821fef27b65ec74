//! What the commands on ideas share: the author's key, the spool of what is not yet known to be in the log,
//! and the last head of the log that this user has seen.

mod carried;
mod drafts;
mod key;
mod log;
mod memory;
mod origin;
mod sender;
mod spool;
mod tiles;
mod witnesses;

pub(crate) use drafts::keep_unless;
pub(crate) use key::Author;
pub(crate) use log::{Log, log_key};
pub(crate) use memory::trusted;
pub(crate) use sender::{Body, Flushed, Sender, Sent, idea_id, path_part};
pub(crate) use witnesses::{WitnessArgs, Witnesses};

use std::path::PathBuf;

use mesh_schemas::{ErrorCode, Problem};

/// `$MESH_STATE_DIR`, or `deskmesh` in the user's state directory.
fn state_dir() -> Result<PathBuf, Problem> {
    let var = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let dir = var("MESH_STATE_DIR").or_else(|| {
        let state = var("XDG_STATE_HOME").or_else(|| Some(var("HOME")?.join(".local/state")))?;
        Some(state.join("deskmesh"))
    });
    dir.ok_or_else(|| {
        Problem::new(
            ErrorCode::Config,
            "there is no place to keep ideas in until they are in the log",
        )
        .hint("set HOME or MESH_STATE_DIR")
    })
}

/// A directory for this user alone.
fn private_dir(dir: PathBuf) -> Result<PathBuf, Problem> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&dir)
        .map_err(|error| crate::context::io("create", &dir, &error))?;
    Ok(dir)
}
