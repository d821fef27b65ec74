//! Backslashes that keep a line of a text from being read as a mark of Markdown.
//!
//! One that was written is taken away again, and no other: a line that would lose one of its own gets one more.

use super::markdown::{is_fence, item};

/// What a backslash at the beginning of a line may stand before.
const ESCAPED: [char; 7] = ['-', '*', '+', '[', '`', '~', '\\'];

/// The lines of a text below an item, the first one behind its mark, without white space at their ends.
pub(super) fn escaped_lines(text: &str) -> Vec<String> {
    let text = text.trim();
    // A fence that is never closed would swallow the items behind it.
    let keeps_fences = text.lines().filter(|line| is_fence(line.trim())).count().is_multiple_of(2);
    let mut in_fence = false;
    let mut lines = Vec::new();
    for (place, line) in text.lines().enumerate() {
        let line = line.trim_end();
        let turns = keeps_fences && is_fence(line.trim());
        let is_code = in_fence || turns;
        in_fence ^= turns;
        lines.push(if is_code { line.to_owned() } else { escaped(line, place == 0) });
    }
    lines
}

/// A line that is no code, with a backslash if it needs one.
fn escaped(line: &str, is_first: bool) -> String {
    let rest = line.trim_start();
    let is_mark = item(rest).is_some() || is_fence(rest);
    // Behind the mark of an item a box or a rule is not text either.
    let is_lost = is_first && item(&format!("- {rest}")) != Some(rest);
    if !(is_mark || is_lost || unescaped(rest) != rest) {
        return line.to_owned();
    }
    let (blank, digits) = (line.len() - rest.len(), digits(rest));
    let (before, after) = line.split_at(blank + digits);
    format!("{before}\\{after}")
}

/// A line as it was before [`escaped_lines`].
pub(super) fn unescaped(line: &str) -> String {
    let rest = line.trim_start();
    let (before, after) = line.split_at(line.len() - rest.len() + digits(rest));
    let Some(kept) = after.strip_prefix('\\') else { return line.to_owned() };
    let is_written = match digits(rest) {
        0 => kept.starts_with(ESCAPED),
        1..=9 => kept.trim_start_matches('\\').starts_with(['.', ')']),
        _ => false,
    };
    if is_written { format!("{before}{kept}") } else { line.to_owned() }
}

/// How many digits it begins with.
fn digits(line: &str) -> usize {
    line.bytes().take_while(u8::is_ascii_digit).count()
}
