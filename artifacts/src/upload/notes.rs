//! What was left out, and why: a bounded list for people, and a count.

/// Most lines kept.
const LINES_MAX: usize = 100;

/// What an upload left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    lines: Vec<String>,
    count: u64,
}

impl Notes {
    /// The first hundred, one line each.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// How many things were left out.
    pub const fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn skip(&mut self, what: &str, why: &str) {
        self.count += 1;
        if self.lines.len() < LINES_MAX {
            self.lines.push(format!("{what} is left out: {why}"));
        }
    }
}
