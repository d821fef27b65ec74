//! A pack as bytes: a line of JSON for each text, and a last line with the hash of those before.

use mesh_ideas_core::body_hash;
use mesh_schemas::idea::Sha256;
use serde::{Deserialize, Serialize};

use crate::store::Body;

/// What the last line begins with.
const LAST_LINE: &str = "sha256 ";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    hash: Sha256,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
}

/// What lies in a pack's file, whether or not it is what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// Of each line but the last the text; nothing where it is none.
    pub(crate) lines: Vec<Option<Body>>,
    /// The last line is the hash of those before.
    pub(crate) whole: bool,
}

/// The bytes of a pack of these texts.
pub(crate) fn encode(bodies: &[Body]) -> Vec<u8> {
    let mut text = String::new();
    for Body { hash, text: plain, sealed, subject } in bodies.iter().cloned() {
        let line = Line { hash, text: plain, sealed, subject };
        text.push_str(&serde_json::to_string(&line).expect("texts are plain JSON"));
        text.push('\n');
    }
    let hash = body_hash(&text, None);
    text.push_str(&format!("{LAST_LINE}{hash}\n"));
    text.into_bytes()
}

/// Reads what [`encode`] wrote, and of what was damaged since as much as there is.
pub(crate) fn decode(bytes: &[u8]) -> Decoded {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.strip_suffix('\n').unwrap_or(&text);
    let before = lines.rfind('\n').map_or("", |at| lines.split_at(at + 1).0);
    let expected = format!("{LAST_LINE}{}\n", body_hash(before, None));
    let whole = bytes == [before.as_bytes(), expected.as_bytes()].concat();
    Decoded { lines: before.lines().map(body).collect(), whole }
}

fn body(line: &str) -> Option<Body> {
    let Line { hash, text, sealed, subject } = serde_json::from_str(line).ok()?;
    let one = text.is_some() != sealed.is_some() && sealed.is_some() == subject.is_some();
    one.then_some(Body { hash, text, sealed, subject })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_noticed() {
        let plain = Body {
            hash: body_hash("ü\n\"", None),
            text: Some("ü\n\"".into()),
            sealed: None,
            subject: None,
        };
        let sealed = Body {
            hash: Sha256([1; 32]),
            text: None,
            sealed: Some("AAAA".into()),
            subject: Some("someone".into()),
        };
        let bytes = encode(&[plain.clone(), sealed.clone()]);
        let good = Decoded { lines: vec![Some(plain), Some(sealed)], whole: true };
        assert_eq!(decode(&bytes), good);
        for place in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[place / 8] ^= 1 << (place % 8);
            assert!(!decode(&flipped).whole, "bit {place}");
        }
        for length in 0..bytes.len() {
            assert!(!decode(&bytes[..length]).whole, "cut to {length}");
        }
        assert!(decode(&encode(&[])).whole);
    }
}
