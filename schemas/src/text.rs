//! Rules for short texts that people choose: names, label keys and values, variables.

use crate::error::Problem;

/// Longest name of a job, node, project or pool, and longest label value, in bytes.
pub const NAME_BYTES_MAX: usize = 63;

/// Letters, digits, `-`, `_`, `.` and `/`; 1 to 63 bytes; begins and ends with a letter or digit.
///
/// # Errors
/// `E_INVALID` naming `field`.
pub fn check_name(field: &str, text: &str) -> Result<(), Problem> {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"-_./".contains(&b);
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    let fits = bytes.len() <= NAME_BYTES_MAX && bytes.iter().all(|b| inner(*b));
    if fits && edge(bytes.first()) && edge(bytes.last()) {
        return Ok(());
    }
    Err(Problem::invalid(
        field,
        format!(
            "{field} is {}; allowed are 1 to {NAME_BYTES_MAX} letters, digits, '-', '_', '.', '/', \
             beginning and ending with a letter or digit",
            shown(text)
        ),
    ))
}

/// A label key follows the rule of names; a value may also be empty.
///
/// # Errors
/// `E_INVALID` naming `field`.
pub fn check_label(field: &str, key: &str, value: &str) -> Result<(), Problem> {
    check_name(field, key)?;
    if value.is_empty() { Ok(()) } else { check_name(&format!("{field}.{key}"), value) }
}

/// Quoted, cut to 64 characters, control and bidi characters escaped: safe in a terminal and a log.
pub fn shown(text: &str) -> String {
    let cut: String = text.chars().take(64).collect();
    let more = if text.chars().nth(64).is_some() { "…" } else { "" };
    format!("{cut:?}{more}")
}

/// Control characters except tab and newline, and the characters that turn the writing direction.
pub fn is_unsafe_char(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_their_rule() {
        for good in ["a", "build-1", "team/x_y.z", &"a".repeat(63)] {
            assert!(check_name("name", good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "a b", "a\nb", "ä", "a\u{202e}b", "a=b", &"a".repeat(64)] {
            let problem = check_name("name", bad).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some("name"), "{bad}");
            assert!(!problem.detail.contains(is_unsafe_char));
        }
    }
}
