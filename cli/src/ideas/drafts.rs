//! Texts that are no entries yet, as nobody could say which idea they are about. They are kept, for their author to
//! say them again: what was typed must not be lost because the mesh was away.

use std::path::{Path, PathBuf};

use mesh_ideas_core::body_hash;
use mesh_schemas::{ErrorCode, Problem};

use super::{private_dir, state_dir};
use crate::context::io;

/// Keeps the text when the answer that it needed was not had, and says so.
pub(crate) fn keep_unless<T>(done: Result<T, Problem>, text: &str) -> Result<T, Problem> {
    let Err(problem) = done else { return done };
    // Whoever has mistyped an id sees it and says it again.
    if matches!(problem.code, ErrorCode::NotFound | ErrorCode::Invalid) {
        return Err(problem);
    }
    let file = keep(&private_dir(state_dir()?.join("drafts"))?, text)?;
    Err(problem.hint(format!(
        "the text is kept in {0}: say it again with `--file {0}` once the mesh answers, or name ideas by their whole ids, so \
         that it waits in the spool",
        file.display()
    )))
}

/// Named by what it says, so that the same text is kept once.
fn keep(dir: &Path, text: &str) -> Result<PathBuf, Problem> {
    let hash = body_hash(text, None).to_string();
    let name: String = hash.chars().take(16).collect();
    let file = dir.join(format!("{name}.md"));
    mesh_fabric::files::write_private(&file, text.as_bytes())
        .map_err(|error| io("write", &file, &error))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_whole_and_once() {
        let dir = tempfile::tempdir().unwrap();
        let text = "A plan\n\nwith a body, and ünïcode";
        let file = keep(dir.path(), text).unwrap();
        assert_eq!(keep(dir.path(), text).unwrap(), file);
        assert_eq!(std::fs::read_to_string(file).unwrap(), text);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
