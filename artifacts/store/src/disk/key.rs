//! Keys as paths. Every key has a path of its own, no path leaves the bucket's directory, and no
//! object's file can be in the way of another's directory.

use std::path::{Path, PathBuf};

/// Ends the name of an object's file; encoded names never hold it.
const OBJECT: char = '@';
/// Stands for a part without characters, as in `a//b`.
const EMPTY: &str = "%";
/// File systems allow 255.
const NAME_BYTES_MAX: usize = 254;

/// A part of the key is too long for a file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a part of the key, percent-encoded, is longer than {NAME_BYTES_MAX} bytes")]
pub struct KeyTooLong;

/// A name as a file's name.
pub(super) fn encode(part: &str) -> Result<String, KeyTooLong> {
    let mut name = String::new();
    for (index, byte) in part.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if plain || (byte == b'.' && index > 0) {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    if name.is_empty() {
        name.push_str(EMPTY);
    }
    if name.len() > NAME_BYTES_MAX { Err(KeyTooLong) } else { Ok(name) }
}

/// The name that a file's name stands for; none when we did not make it.
pub(super) fn decode(name: &str) -> Option<String> {
    if name == EMPTY {
        return Some(String::new());
    }
    let mut bytes = Vec::new();
    let mut rest = name.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let (hex, after) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

/// Where an object's file is.
pub(super) fn object_path(bucket: &Path, key: &str) -> Result<PathBuf, KeyTooLong> {
    let mut path = bucket.to_path_buf();
    let mut parts = key.split('/').peekable();
    while let Some(part) = parts.next() {
        let mut name = encode(part)?;
        if parts.peek().is_none() {
            name.push(OBJECT);
        }
        path.push(name);
    }
    Ok(path)
}

/// What a file's name says: an object's last part.
pub(super) fn object_name(name: &str) -> Option<String> {
    name.strip_suffix(OBJECT).and_then(decode)
}

#[cfg(test)]
mod tests {
    use std::path::Component;

    use super::*;

    #[test]
    fn every_key_has_its_own_path_below_the_bucket() {
        let root = Path::new("/b");
        let keys = [
            "a", "a/", "a//b", "/a", "a/b", "../x", "..", ".", "a/../b", "a%2Fb", "a@", "@", "ä",
            "A", "a b", "a\0b", "%", "a\\b", "", "/", "//",
        ];
        let mut paths = std::collections::BTreeSet::new();
        for key in keys {
            let path = object_path(root, key).unwrap();
            assert!(path.starts_with(root) && path != root, "{key:?}");
            let plain = |c: Component<'_>| matches!(c, Component::Normal(_) | Component::RootDir);
            assert!(path.components().all(plain), "{key:?} -> {path:?}");
            assert!(paths.insert(path), "{key:?} shares a path");
        }
    }

    #[test]
    fn names_round_trip_and_long_ones_are_refused() {
        for name in ["a", "", ".", "..", "a.b", "ä", "a%b", "@", "a/b", "\u{1}"] {
            assert_eq!(decode(&encode(name).unwrap()).as_deref(), Some(name));
        }
        assert_eq!(encode(&"x".repeat(255)), Err(KeyTooLong));
        assert_eq!(decode("%zz"), None);
        assert_eq!(decode("%4"), None);
    }
}
