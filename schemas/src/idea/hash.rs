//! Names that are hashes or keys: whoever has the bytes can make them, and nobody can take another's.

use std::{fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The text is not the wanted prefix and lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {prefix} and {digits} lower-case hex digits")]
pub struct HashError {
    /// What the text should have begun with.
    pub prefix: &'static str,
    /// How many digits should have followed.
    pub digits: usize,
}

macro_rules! hex_name {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            /// What the text form begins with.
            pub const PREFIX: &'static str = $prefix;
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = HashError;

            fn from_str(text: &str) -> Result<Self, HashError> {
                let wrong = || HashError { prefix: $prefix, digits: 2 * $bytes };
                let mut bytes = [0; $bytes];
                unhex(text.strip_prefix($prefix).ok_or_else(wrong)?, &mut bytes).ok_or_else(wrong)?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": format!("^{}[0-9a-f]{{{}}}$", $prefix, 2 * $bytes) })
            }
        }
    };
}

hex_name!(/** The Ed25519 public key of whoever says something. */ AuthorId, 32, "author_");
hex_name!(/** SHA-256 of an entry's canonical JSON without its signature. */ EntryId, 32, "entry_");
hex_name!(/** The [`EntryId`] of the entry that filed the idea. */ IdeaId, 32, "idea_");
hex_name!(/** A SHA-256 hash. */ Sha256, 32, "");
hex_name!(/** An Ed25519 signature. */ Signature, 64, "");

impl From<EntryId> for IdeaId {
    fn from(entry: EntryId) -> Self {
        Self(entry.0)
    }
}

impl From<IdeaId> for EntryId {
    fn from(idea: IdeaId) -> Self {
        Self(idea.0)
    }
}

fn unhex(text: &str, bytes: &mut [u8]) -> Option<()> {
    let digits = text.as_bytes();
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(())
}

const fn digit(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_round_trips_and_has_one_spelling() {
        let id = IdeaId([0xab; 32]);
        assert_eq!(id.to_string(), format!("idea_{}", "ab".repeat(32)));
        assert_eq!(id.to_string().parse::<IdeaId>(), Ok(id));
        for bad in [
            format!("idea_{}", "AB".repeat(32)),
            format!("entry_{}", "ab".repeat(32)),
            format!("idea_{}", "ab".repeat(31)),
            format!("idea_{}ä", "ab".repeat(31)),
            "idea_".into(),
            String::new(),
        ] {
            assert_eq!(
                bad.parse::<IdeaId>(),
                Err(HashError { prefix: "idea_", digits: 64 }),
                "{bad}"
            );
        }
    }
}
