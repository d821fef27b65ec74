//! The text of a checkpoint (C2SP `tlog-checkpoint`): which log, how large, which root.

use std::{fmt, str::FromStr};

use crate::{
    hash::{HashError, TreeHead},
    text::{self, DecimalError},
};

/// What a log says about itself, without signatures. Its text form is three lines and the extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    head: TreeHead,
    extensions: Vec<String>,
}

/// Why a text is not that of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Fewer than three lines, or the last does not end.
    #[error("a checkpoint has at least three lines, each with a newline")]
    Lines,
    /// The origin is empty or has a control character in it.
    #[error("a checkpoint's origin is not empty and has no control characters")]
    Origin,
    /// The size is no number, has leading zeros, or is larger than any log.
    #[error("a checkpoint's size: {0}")]
    Size(DecimalError),
    /// The root is no hash.
    #[error("a checkpoint's root: {0}")]
    Root(HashError),
    /// A line behind the third is empty.
    #[error("a checkpoint has no empty lines")]
    Extension,
}

impl Checkpoint {
    /// What the log called `origin` says of itself at this head.
    pub fn new(origin: &str, head: TreeHead) -> Result<Self, CheckpointError> {
        if origin.is_empty() || origin.contains(|c: char| c.is_ascii_control()) {
            return Err(CheckpointError::Origin);
        }
        if head.size > text::SIZE_MAX {
            return Err(CheckpointError::Size(DecimalError::TooLarge));
        }
        Ok(Checkpoint { origin: origin.to_owned(), head, extensions: Vec::new() })
    }

    /// Which log this is about.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// How large the log is, and its root.
    pub fn head(&self) -> TreeHead {
        self.head
    }

    /// Further lines, which nobody can check. Ours have none.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let text = text.strip_suffix('\n').ok_or(CheckpointError::Lines)?;
        let mut lines = text.split('\n');
        let mut next = || lines.next().ok_or(CheckpointError::Lines);
        let (origin, size, root) = (next()?, next()?, next()?);
        let size = text::decimal(size).map_err(CheckpointError::Size)?;
        let root = root.parse().map_err(CheckpointError::Root)?;
        let mut checkpoint = Checkpoint::new(origin, TreeHead { size, root })?;
        for line in lines {
            if line.is_empty() {
                return Err(CheckpointError::Extension);
            }
            checkpoint.extensions.push(line.to_owned());
        }
        Ok(checkpoint)
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.head.size, self.head.root)?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
