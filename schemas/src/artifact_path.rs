//! Names of files in artifacts: relative, UTF-8, and safe on every system a reader may have.

use std::{fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    error::{ErrorCode, Problem},
    text::{is_unsafe_char, shown},
};

/// Longest path, in bytes.
pub const PATH_BYTES_MAX: usize = 1_024;
/// Longest part of a path, in bytes.
pub const PART_BYTES_MAX: usize = 255;
/// Deepest nesting.
pub const PATH_PARTS_MAX: usize = 64;

/// A checked relative path with `/` between its parts. Holding one proves that joining it to a
/// directory stays inside that directory (as long as no part is a symbolic link).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArtifactPath(String);

impl ArtifactPath {
    /// The text, parts joined by `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ArtifactPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ArtifactPath {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let why = if text.is_empty() || text.len() > PATH_BYTES_MAX {
            Some("1 to 1024 bytes are allowed")
        } else if text.split('/').count() > PATH_PARTS_MAX {
            Some("at most 64 levels are allowed")
        } else {
            text.split('/').find_map(part_is_wrong)
        };
        match why {
            None => Ok(Self(text.to_owned())),
            Some(why) => Err(Problem::new(
                ErrorCode::PathEscape,
                format!("the path {} cannot name an artifact: {why}", shown(text)),
            )),
        }
    }
}

/// Names that Windows reserves for devices, with or without an extension.
const DEVICES: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8",
    "com9", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

fn part_is_wrong(part: &str) -> Option<&'static str> {
    let stem = part.split('.').next().unwrap_or("").to_ascii_lowercase();
    if part.is_empty() {
        Some("it has an empty part or is absolute")
    } else if part == "." || part == ".." {
        Some("'.' and '..' are not allowed")
    } else if part.len() > PART_BYTES_MAX {
        Some("a part may have at most 255 bytes")
    } else if part.contains(['\\', ':', '\n', '\t']) || part.contains(is_unsafe_char) {
        Some("backslash, colon, control and direction characters are not allowed")
    } else if part.ends_with(['.', ' ']) {
        Some("a part may not end with a dot or a space")
    } else if DEVICES.contains(&stem.as_str()) {
        Some("it is a device name on some systems")
    } else {
        None
    }
}

impl Serialize for ArtifactPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ArtifactPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(|problem: Problem| D::Error::custom(problem.detail))
    }
}

impl JsonSchema for ArtifactPath {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ArtifactPath".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": PATH_BYTES_MAX })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_relative_paths_are_taken() {
        for good in ["a", "a/b.txt", "-rf", "~", ".hidden", "ä/😀", "a b", &"x".repeat(255)] {
            assert!(good.parse::<ArtifactPath>().is_ok(), "{good}");
        }
    }

    #[test]
    fn paths_that_could_escape_or_cannot_exist_everywhere_are_refused() {
        let deep = vec!["d"; 65].join("/");
        let long = "x".repeat(256);
        for bad in [
            "",
            ".",
            "..",
            "a/../b",
            "/abs",
            "C:\\x",
            "\\\\srv\\x",
            "a\\..\\b",
            "a//b",
            "a.",
            "a ",
            "CON",
            "NUL.txt",
            "a:b",
            "a\nb",
            "a\0b",
            "a\u{202e}b",
            "a/",
            &deep,
            &long,
        ] {
            let problem = bad.parse::<ArtifactPath>().unwrap_err();
            assert_eq!(problem.code, ErrorCode::PathEscape, "{bad:?}");
        }
    }
}
