//! What is derived from a text: its normal form, the hash by which exact duplicates are found, its
//! title, and its words for the search.
//!
//! The normal form, in this order: NFC; lower case by the full mapping of Unicode (final sigma
//! included, no language's own rules, so `ẞ` becomes `ß` and not `ss`); NFC again; each run of
//! characters with the property `White_Space` becomes one space; none at the ends. Punctuation,
//! accents and marks stay. Two texts with one normal form are one text.
//!
//! Characters that a later Unicode assigns may change their form then; hashes of contents are
//! projections and can be made anew from the log.

use std::collections::BTreeSet;

use hmac::{Hmac, KeyInit as _, Mac as _};
use mesh_schemas::idea::Sha256;
use sha2::{Digest as _, Sha256 as Hasher};
use unicode_normalization::UnicodeNormalization as _;

use crate::fold::{fold, is_unspaced};

/// Longest title, in characters.
pub const TITLE_CHARS_MAX: usize = 120;
/// Most different words of one text that the search knows; the first ones count.
pub const WORDS_MAX: usize = 4096;
/// Longest word of the search, in characters; the rest of a longer one is cut off.
const WORD_CHARS_MAX: usize = 40;
/// What is hashed begins with this.
const CONTENT_CONTEXT: &[u8] = b"deskmesh ideas content v1\n";

/// The normal form of a text.
pub fn normal(text: &str) -> String {
    let lower = text.nfc().collect::<String>().to_lowercase();
    one_spaced(&lower.nfc().collect::<String>())
}

/// Runs of white space become one space; none at the ends.
fn one_spaced(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// The hash of a text's normal form: the same for all that are exact duplicates.
pub fn content_hash(text: &str) -> Sha256 {
    let hasher = Hasher::new().chain_update(CONTENT_CONTEXT).chain_update(normal(text));
    Sha256(hasher.finalize().into())
}

/// The same for a sealed text, keyed, so that it says nothing once the subject's key is gone.
///
/// # Panics
/// Never: HMAC takes keys of any length.
pub fn sealed_content_hash(text: &str, key: &[u8; 32]) -> Sha256 {
    let mut mac = Hmac::<Hasher>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(CONTENT_CONTEXT);
    mac.update(normal(text).as_bytes());
    Sha256(mac.finalize().into_bytes().into())
}

/// The first line that has more than white space and the marks of a Markdown heading, without those,
/// cut to [`TITLE_CHARS_MAX`] characters.
pub fn title(text: &str) -> String {
    let line = text.lines().map(|line| heading(&one_spaced(line)).to_owned());
    let line = line.into_iter().find(|line| !line.is_empty()).unwrap_or_default();
    cut(&line, TITLE_CHARS_MAX)
}

/// A line without the marks of a heading; a line without marks as it is.
fn heading(line: &str) -> &str {
    let rest = line.trim_start_matches('#');
    let marks = line.len() - rest.len();
    if !(1..=6).contains(&marks) || !(rest.is_empty() || rest.starts_with(' ')) {
        return line;
    }
    let rest = rest.trim();
    let bare = rest.trim_end_matches('#');
    if bare.is_empty() || bare.ends_with(' ') { bare.trim_end() } else { rest }
}

fn cut(line: &str, chars_max: usize) -> String {
    if line.chars().nth(chars_max).is_none() {
        return line.to_owned();
    }
    let kept: String = line.chars().take(chars_max - 1).collect();
    format!("{}…", kept.trim_end())
}

/// The words by which a text is found. Scripts without spaces give single characters and pairs.
/// Case, width, accents and Arabic marks do not count.
pub fn words(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for run in runs(&fold(text)) {
        if found.len() >= WORDS_MAX {
            break;
        }
        if run.unspaced {
            found.extend(run.text.chars().map(String::from));
            found.extend(pairs(&run.text));
        } else {
            found.insert(run.text.chars().take(WORD_CHARS_MAX).collect());
        }
    }
    found
}

/// The words that must all be among [`words`] of a text for it to be found.
pub fn query_words(query: &str) -> BTreeSet<String> {
    let mut wanted = BTreeSet::new();
    for run in runs(&fold(query)) {
        if run.unspaced && run.text.chars().nth(1).is_some() {
            wanted.extend(pairs(&run.text));
        } else {
            wanted.insert(run.text.chars().take(WORD_CHARS_MAX).collect());
        }
    }
    wanted
}

/// Each two neighbours.
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = String> {
    text.chars().zip(text.chars().skip(1)).map(|(one, two)| String::from_iter([one, two]))
}

/// Letters and digits that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) text: String,
    /// Of a script that puts no spaces between words.
    pub(crate) unspaced: bool,
}

/// Cuts a folded text into runs: at whatever is no letter and no digit, and where the kind of script
/// changes.
pub(crate) fn runs(folded: &str) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut open = false;
    for c in folded.chars() {
        if !(c.is_alphanumeric() || unicode_normalization::char::is_combining_mark(c)) {
            open = false;
            continue;
        }
        let unspaced = is_unspaced(c);
        match runs.last_mut() {
            Some(run) if open && run.unspaced == unspaced => run.text.push(c),
            Some(_) | None => runs.push(Run { text: c.into(), unspaced }),
        }
        open = true;
    }
    runs
}
