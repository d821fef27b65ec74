//! Canonical JSON by RFC 8785, for values without fractions: sorted keys, no white space.
//!
//! Keys are sorted here and not left to the map of `serde_json`, whose order depends on a feature that
//! any other crate may switch on. RFC 8785 sorts by UTF-16 units; all our keys are ASCII, where bytes
//! give the same order. Numbers are integers of at most [`INTEGER_MAX`], so that every reader agrees.

use serde::Serialize;
use serde_json::Value;

/// Largest integer that every JSON reader keeps exactly: 2⁵³ − 1.
pub const INTEGER_MAX: u64 = (1 << 53) - 1;

/// The canonical form of a value of ours.
///
/// # Panics
/// When the value cannot be JSON at all, such as a map with keys that are no text; none of ours is.
pub fn canonical<T: Serialize>(value: &T) -> Vec<u8> {
    let value = serde_json::to_value(value).expect("wire types are plain JSON");
    let mut out = Vec::with_capacity(512);
    write(&value, &mut out);
    out
}

pub(crate) fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            out.extend_from_slice(value.to_string().as_bytes());
        }
        Value::String(text) => write_text(text, out),
        Value::Array(items) => {
            list(b'[', items.iter(), b']', out, write);
        }
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| *name);
            list(b'{', sorted.into_iter(), b'}', out, |(name, value), out| {
                write_text(name, out);
                out.push(b':');
                write(value, out);
            });
        }
    }
}

fn list<T>(
    open: u8,
    items: impl Iterator<Item = T>,
    close: u8,
    out: &mut Vec<u8>,
    mut each: impl FnMut(T, &mut Vec<u8>),
) {
    out.push(open);
    for (place, item) in items.enumerate() {
        if place > 0 {
            out.push(b',');
        }
        each(item, out);
    }
    out.push(close);
}

/// `"`, `\` and the control characters below U+0020 are escaped, the shortest way; nothing else is.
fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            '\r' => out.extend_from_slice(b"\\r"),
            c if u32::from(c) < 0x20 => {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes());
            }
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_form_is_that_of_the_rfc() {
        let value = json!({ "b": [1, -2, true, null], "a": { "z": "€\u{f}\n'\"\\/", "A": "" } });
        let text = String::from_utf8(canonical(&value)).unwrap();
        assert_eq!(
            text,
            "{\"a\":{\"A\":\"\",\"z\":\"€\\u000f\\n'\\\"\\\\/\"},\"b\":[1,-2,true,null]}"
        );
    }
}
