//! W3C trace context, version 00: <https://www.w3.org/TR/trace-context/>.

use std::{fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The header that carries it, over HTTP and NATS alike.
pub const TRACEPARENT_HEADER: &str = "traceparent";

/// One place in one trace: a trace id and the span that is the parent of what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceParent {
    trace: u128,
    span: u64,
}

/// The text is not a `traceparent` of version 00.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a W3C traceparent, 00-<32 hex>-<16 hex>-<2 hex>")]
pub struct TraceParentError;

impl TraceParent {
    /// Takes random bits; a zero, which the standard forbids, becomes one.
    pub fn new(trace: u128, span: u64) -> Self {
        Self { trace: trace.max(1), span: span.max(1) }
    }

    /// The same trace seen from another span.
    #[must_use]
    pub fn child(self, span: u64) -> Self {
        Self::new(self.trace, span)
    }

    /// 32 hexadecimal digits.
    pub fn trace_id(self) -> String {
        format!("{:032x}", self.trace)
    }

    /// 16 hexadecimal digits.
    pub fn span_id(self) -> String {
        format!("{:016x}", self.span)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-01", self.trace, self.span)
    }
}

impl FromStr for TraceParent {
    type Err = TraceParentError;

    fn from_str(text: &str) -> Result<Self, TraceParentError> {
        let mut parts = text.split('-');
        let mut part = |len: usize| {
            let lower_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
            parts.next().filter(|p| p.len() == len && p.chars().all(lower_hex))
        };
        let (version, trace, span, _flags) =
            (part(2), part(32), part(16), part(2).ok_or(TraceParentError)?);
        let number = |hex: Option<&str>| hex.and_then(|hex| u128::from_str_radix(hex, 16).ok());
        let (trace, span) = (number(trace).unwrap_or(0), number(span).unwrap_or(0));
        let span = u64::try_from(span).unwrap_or(0);
        if version != Some("00") || parts.next().is_some() || trace == 0 || span == 0 {
            return Err(TraceParentError);
        }
        Ok(Self { trace, span })
    }
}

impl Serialize for TraceParent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TraceParent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for TraceParent {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TraceParent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traceparent_round_trips_and_bad_ones_are_refused() {
        let parent =
            TraceParent::new(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, 0x00f0_67aa_0ba9_02b7);
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(parent.to_string(), text);
        assert_eq!(text.parse(), Ok(parent));
        for bad in
            ["", "00", "01-1-1-01", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"]
        {
            assert!(bad.parse::<TraceParent>().is_err(), "{bad}");
        }
        assert!(format!("{text}-x").parse::<TraceParent>().is_err());
    }
}
