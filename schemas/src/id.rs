//! Typed ids: a UUID behind a prefix, so that an id pasted in the wrong place fails to parse.

use std::{fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use uuid::Uuid;

/// The text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an id like {prefix}_0190f3a1b2c37d4e8f5061728394a5b6")]
pub struct IdError {
    /// What the text should have begun with.
    pub prefix: &'static str,
}

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// What the text form begins with, before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// Wraps a UUID; the shells make version 7, which sorts by time of making.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID without its kind.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.as_simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse(text, $prefix).map(Self)
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
                json_schema!({ "type": "string", "pattern": concat!("^", $prefix, "_[0-9a-f]{32}$") })
            }
        }
    };
}

typed_id!(/** What a user submitted: a spec with one task or many. */ JobId, "job");
typed_id!(/** One life of a node's journal; a wiped disk makes a new one. */ JournalId, "journal");
typed_id!(/** One machine that runs attempts. */ NodeId, "node");
typed_id!(/** One API token; never the secret itself. */ TokenId, "token");
typed_id!(/** One shipped input directory. */ UploadId, "upload");

fn parse(text: &str, prefix: &'static str) -> Result<Uuid, IdError> {
    let hex = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_'));
    let lower_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    hex.filter(|hex| hex.len() == 32 && hex.chars().all(lower_hex))
        .and_then(|hex| Uuid::try_parse(hex).ok())
        .ok_or(IdError { prefix })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips() {
        let id = JobId::from_uuid(Uuid::from_u128(7));
        assert_eq!(id.to_string(), "job_00000000000000000000000000000007");
        assert_eq!(id.to_string().parse::<JobId>(), Ok(id));
    }

    #[test]
    fn an_id_of_another_kind_or_shape_is_refused() {
        let hex = "00000000000000000000000000000007";
        for bad in [
            format!("node_{hex}"),
            format!("job_{}", &hex[1..]),
            "job_0000000000000000000000000000000G".into(),
            "job_ABCDEF00000000000000000000000000".into(),
            String::new(),
            "../x".into(),
        ] {
            assert_eq!(bad.parse::<JobId>(), Err(IdError { prefix: "job" }), "{bad}");
        }
    }
}
