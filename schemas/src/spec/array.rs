//! Arrays: a range of indices, or one task for each line of a file.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::TASKS_MAX;

/// Indices from `first` to `last`, both included; `first <= last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArrayRange {
    /// The smallest index.
    pub first: u32,
    /// The largest index.
    pub last: u32,
}

impl ArrayRange {
    /// How many.
    pub const fn count(self) -> u32 {
        self.last - self.first + 1
    }

    /// True when the index is one of them.
    pub const fn contains(self, index: u32) -> bool {
        self.first <= index && index <= self.last
    }
}

impl fmt::Display for ArrayRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// The text is not a range of indices.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a range such as \"0-99\", first not above last, at most {TASKS_MAX} tasks")]
pub struct ArrayRangeError;

impl FromStr for ArrayRange {
    type Err = ArrayRangeError;

    fn from_str(text: &str) -> Result<Self, ArrayRangeError> {
        let (first, last) = text.split_once('-').ok_or(ArrayRangeError)?;
        let number = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            part.parse::<u32>().ok().filter(|_| digits).ok_or(ArrayRangeError)
        };
        let (first, last) = (number(first)?, number(last)?);
        if first > last || last - first >= TASKS_MAX {
            return Err(ArrayRangeError);
        }
        Ok(Self { first, last })
    }
}

/// Which tasks an array has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArraySpec {
    /// Written as text, `"0-99999"`.
    Range(ArrayRange),
    /// Written as a list: one task for each, its text in `MESH_ITEM`, its position its index.
    Items(Vec<String>),
}

impl ArraySpec {
    /// The indices.
    pub fn range(&self) -> ArrayRange {
        match self {
            Self::Range(range) => *range,
            Self::Items(items) => {
                let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
                ArrayRange { first: 0, last: count.saturating_sub(1) }
            }
        }
    }
}

impl Serialize for ArraySpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Range(range) => serializer.collect_str(range),
            Self::Items(items) => items.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ArraySpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = ArraySpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a range such as \"0-99\" or a list of texts")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ArraySpec, E> {
                text.parse().map(ArraySpec::Range).map_err(E::custom)
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<ArraySpec, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element::<String>()? {
                    items.push(item);
                }
                Ok(ArraySpec::Items(items))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for ArraySpec {
    fn schema_name() -> Cow<'static, str> {
        "ArraySpec".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [
            { "type": "string", "pattern": "^[0-9]+-[0-9]+$", "examples": ["0-99999"] },
            { "type": "array", "items": { "type": "string" }, "minItems": 1 },
        ]})
    }
}
