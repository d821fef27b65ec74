//! The author's key: made at first use, readable by this user alone, never printed.

use std::path::PathBuf;

use data_encoding::HEXLOWER;
use mesh_ideas_core::{SigningKey, Unsigned, author_of, sign};
use mesh_schemas::{
    ErrorCode, Problem,
    idea::{AuthorId, Entry, Say},
};

use crate::context::{io, read_text};

/// Who signs.
pub(crate) struct Author {
    key: SigningKey,
    name: Option<String>,
    /// Where the key lies.
    pub(crate) file: PathBuf,
}

impl Author {
    /// The key of `$MESH_AUTHOR_KEY_FILE`, or of `author.key` beside the context file. The name is that of
    /// `$MESH_AUTHOR_NAME`, or none.
    pub(crate) fn load_or_make() -> Result<Self, Problem> {
        let file =
            crate::context::config_file("MESH_AUTHOR_KEY_FILE", "author.key").ok_or_else(|| {
                Problem::new(ErrorCode::Config, "there is no place for the author's key")
                    .hint("set HOME or MESH_AUTHOR_KEY_FILE")
            })?;
        if !file.exists() {
            make(&file)?;
        }
        let text = read_text(&file)?;
        let seed = HEXLOWER.decode(text.trim().as_bytes()).ok();
        let seed: Option<[u8; 32]> = seed.and_then(|seed| seed.try_into().ok());
        let seed = seed.ok_or_else(|| {
            Problem::new(ErrorCode::Config, format!("{} is not an author's key", file.display()))
                .hint("it has 64 hexadecimal digits; restore it from a backup, or move it away for a new one")
        })?;
        let name = std::env::var("MESH_AUTHOR_NAME").ok().filter(|name| !name.is_empty());
        Ok(Self { key: SigningKey::from_bytes(&seed), name, file })
    }

    /// The public half.
    pub(crate) fn id(&self) -> AuthorId {
        author_of(&self.key)
    }

    /// An entry of now.
    pub(crate) fn sign(&self, say: Say) -> Entry {
        let unsigned = Unsigned { name: self.name.clone(), time: mesh_fabric::time::now(), say };
        sign(unsigned, &self.key)
    }
}

fn make(file: &std::path::Path) -> Result<(), Problem> {
    if let Some(dir) = file.parent() {
        std::fs::create_dir_all(dir).map_err(|error| io("create", dir, &error))?;
    }
    let seed: [u8; 32] = mesh_fabric::ids::random();
    let text = HEXLOWER.encode(&seed) + "\n";
    mesh_fabric::files::write_private(file, text.as_bytes())
        .map_err(|error| io("write", file, &error))?;
    crate::output::note(format!("a new author's key lies in {}; keep a copy", file.display()));
    Ok(())
}
