//! JSON that is safe to hand to a reader: bounded depth, bounded keys, no key twice.
//!
//! serde keeps the last of two equal keys of a map in silence, and two readers may disagree on which
//! one counts; so a text is walked once before it is read for its meaning.

use std::{borrow::Cow, collections::HashSet, fmt};

use mesh_schemas::{ErrorCode, Problem, text::shown};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor,
};

/// Deepest nesting of any body.
pub(super) const DEPTH_MAX: usize = 16;
/// Most keys of one object: twice what the largest map of a job spec may hold.
pub(super) const KEYS_MAX: usize = 2_048;

/// Reads a body after [`check`].
///
/// # Errors
/// `E_SYNTAX`, `E_TOO_DEEP`, `E_TOO_LARGE`, `E_UNKNOWN_FIELD`, `E_INVALID`; the field when known.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    check(bytes)?;
    serde_json::from_slice(bytes).map_err(|error| problem_of(&error))
}

/// Walks a text: it is one JSON value within the limits, and no object has a key twice.
///
/// # Errors
/// `E_SYNTAX`, `E_TOO_DEEP`, `E_TOO_LARGE`.
pub(super) fn check(bytes: &[u8]) -> Result<(), Problem> {
    check_depth(bytes)?;
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    Walk.deserialize(&mut reader).and_then(|()| reader.end()).map_err(|error| problem_of(&error))
}

/// Counts brackets outside strings, so that a deep text never reaches a recursive reader.
fn check_depth(bytes: &[u8]) -> Result<(), Problem> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Err(Problem::new(
                ErrorCode::TooDeep,
                format!("the body nests deeper than {DEPTH_MAX} levels"),
            ));
        }
    }
    Ok(())
}

const TWICE: &str = "duplicate key ";
const MANY: &str = "too many keys";

fn problem_of(error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    if text.starts_with(MANY) {
        let detail = format!("an object of the body has more than {KEYS_MAX} keys");
        return Problem::new(ErrorCode::TooLarge, detail);
    }
    if text.starts_with(TWICE) {
        return Problem::new(ErrorCode::Syntax, format!("the body has a {text}"));
    }
    let name = text.split('`').nth(1).map(|name| name.chars().take(64).collect::<String>());
    match (error.classify(), name) {
        (serde_json::error::Category::Data, Some(name)) if text.starts_with("unknown field") => {
            Problem::new(ErrorCode::UnknownField, format!("there is no field {}", shown(&name)))
                .at(name)
        }
        (serde_json::error::Category::Data, Some(name)) if text.starts_with("missing field") => {
            Problem::invalid(name.clone(), format!("the field {name} is missing"))
        }
        (serde_json::error::Category::Data, _) => Problem::new(ErrorCode::Invalid, bounded(&text)),
        (
            serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof
            | serde_json::error::Category::Io,
            _,
        ) => Problem::new(
            ErrorCode::Syntax,
            format!("the body is not well-formed JSON: {}", bounded(&text)),
        ),
    }
}

/// At most 200 characters, without any that could do harm in a terminal.
fn bounded(text: &str) -> String {
    text.chars()
        .take(200)
        .map(|c| if mesh_schemas::text::is_unsafe_char(c) { '?' } else { c })
        .collect()
}

/// Visits every value and keeps none.
struct Walk;

impl<'de> DeserializeSeed<'de> for Walk {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

macro_rules! passes {
    ($($method:ident: $type:ty),*) => {
        $(fn $method<E: de::Error>(self, _: $type) -> Result<(), E> {
            Ok(())
        })*
    };
}

impl<'de> Visitor<'de> for Walk {
    type Value = ();

    passes!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if seen.len() >= KEYS_MAX {
                return Err(de::Error::custom(MANY));
            }
            if seen.contains(&key) {
                return Err(de::Error::custom(format!("{TWICE}{}", shown(&key))));
            }
            seen.insert(key);
            map.next_value_seed(Self)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_texts_get_one_code_each() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let many = (0..=KEYS_MAX).map(|i| format!("\"{i}\":0")).collect::<Vec<_>>().join(",");
        for (text, code) in [
            ("".to_owned(), ErrorCode::Syntax),
            ("{\"a\":1,}".into(), ErrorCode::Syntax),
            ("{\"a\":1}{".into(), ErrorCode::Syntax),
            ("{\"a\":NaN}".into(), ErrorCode::Syntax),
            ("{\"a\":1e400}".into(), ErrorCode::Syntax),
            ("{\"a\":\"\\ud800\"}".into(), ErrorCode::Syntax),
            ("{\"a\":1,\"a\":2}".into(), ErrorCode::Syntax),
            ("{\"x\":{\"a\":1,\"\\u0061\":2}}".into(), ErrorCode::Syntax),
            (deep(DEPTH_MAX + 1), ErrorCode::TooDeep),
            ("[".repeat(100_000), ErrorCode::TooDeep),
            (format!("{{{many}}}"), ErrorCode::TooLarge),
        ] {
            let problem = check(text.as_bytes()).unwrap_err();
            assert_eq!(
                problem.code,
                code,
                "{}: {}",
                text.chars().take(40).collect::<String>(),
                problem.detail
            );
        }
        for fine in ["{}", "[-0, 9007199254740993, 1.5, null, true, \"\\u0000\"]", &deep(DEPTH_MAX)]
        {
            assert_eq!(check(fine.as_bytes()), Ok(()), "{fine}");
        }
    }

    #[test]
    fn a_field_that_does_not_fit_is_named() {
        use mesh_schemas::api::DownloadRequest;
        let unknown = read::<DownloadRequest>(br#"{"keys":[],"bogus":1}"#).unwrap_err();
        assert_eq!(
            (unknown.code, unknown.field.as_deref()),
            (ErrorCode::UnknownField, Some("bogus"))
        );
        let missing = read::<DownloadRequest>(b"{}").unwrap_err();
        assert_eq!((missing.code, missing.field.as_deref()), (ErrorCode::Invalid, Some("keys")));
    }
}
