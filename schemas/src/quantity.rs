//! Amounts that carry their unit in their text: `"30s"`, `"8MiB"`, `0.5` processors.

use std::{fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The text is not an amount of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {allowed}, got {got:?}")]
pub struct QuantityError {
    /// What would have been taken.
    pub allowed: &'static str,
    /// What was given, cut to 64 characters.
    pub got: String,
}

fn refused(allowed: &'static str, got: &str) -> QuantityError {
    QuantityError { allowed, got: got.chars().take(64).collect() }
}

/// A length of time, written like `"30s"`, `"5m"`, `"1h 30m"`; millisecond precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(Duration);

impl Span {
    const ALLOWED: &'static str = "a time span such as \"30s\", \"5m\" or \"1h 30m\"";

    /// From whole milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// From whole seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// As the standard type.
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl FromStr for Span {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let parsed = humantime::parse_duration(text).map_err(|_| refused(Self::ALLOWED, text))?;
        let millis = u64::try_from(parsed.as_millis()).map_err(|_| refused(Self::ALLOWED, text))?;
        Ok(Self::from_millis(millis))
    }
}

/// A number of bytes, written like `"8MiB"`, `"1.5GB"` or a plain integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(pub u64);

impl ByteSize {
    const ALLOWED: &'static str = "a size such as \"512MiB\", \"8GB\" or a number of bytes";
    const UNITS: [(&'static str, u64); 9] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("B", 1),
    ];

    /// So many mebibytes.
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = |unit: u64| self.0 >= unit && self.0.is_multiple_of(unit);
        match Self::UNITS[..4].iter().rev().find(|(_, unit)| exact(*unit)) {
            Some((name, unit)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl FromStr for ByteSize {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let bad = || refused(Self::ALLOWED, text);
        let trimmed = text.trim();
        let split = trimmed.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(split);
        let unit = match unit {
            "" => 1,
            name => Self::UNITS.iter().find(|(n, _)| *n == name).ok_or_else(bad)?.1,
        };
        let (thousandths, _) = parse_thousandths(number.trim()).ok_or_else(bad)?;
        let bytes = u128::from(thousandths) * u128::from(unit) / 1_000;
        u64::try_from(bytes).ok().filter(|b| i64::try_from(*b).is_ok()).map(Self).ok_or_else(bad)
    }
}

/// An amount of processor, in thousandths of one; written as a number such as `0.5` or `2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpu(pub u32);

impl Cpu {
    /// One whole processor: what a job gets that does not say.
    pub const ONE: Self = Self(1_000);
    const ALLOWED: &'static str = "a number of processors such as 0.5 or 2, in steps of 0.001";
}

impl Default for Cpu {
    fn default() -> Self {
        Self::ONE
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1_000, self.0 % 1_000);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        write!(f, "{whole}.{}", format!("{rest:03}").trim_end_matches('0'))
    }
}

impl FromStr for Cpu {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let bad = || refused(Self::ALLOWED, text);
        let (thousandths, exact) = parse_thousandths(text.trim()).ok_or_else(bad)?;
        u32::try_from(thousandths).ok().filter(|_| exact).map(Self).ok_or_else(bad)
    }
}

/// Reads a plain decimal number as thousandths; the flag says that no digit was cut off.
fn parse_thousandths(text: &str) -> Option<(u64, bool)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let kept: String = fraction.chars().chain("000".chars()).take(3).collect();
    let exact = fraction.bytes().skip(3).all(|b| b == b'0');
    let thousandths = whole.parse::<u64>().ok()?.checked_mul(1_000)?;
    Some((thousandths.checked_add(kept.parse().ok()?)?, exact))
}

/// Text or a plain number in, text out.
struct TextOrNumber<T>(std::marker::PhantomData<T>);

impl<T: FromStr<Err = QuantityError>> de::Visitor<'_> for TextOrNumber<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount as text or a number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

macro_rules! quantity_serde {
    ($name:ident, $schema:tt) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(TextOrNumber(std::marker::PhantomData))
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

quantity_serde!(Span, { "type": "string", "examples": ["30s", "5m", "1h 30m"] });
quantity_serde!(ByteSize, { "type": ["string", "integer"], "examples": ["8MiB", 4096] });
quantity_serde!(Cpu, { "type": ["string", "number"], "examples": [0.5, 2] });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_round_trip_through_their_text() {
        for text in ["0", "0.5", "2", "1.25", "0.001"] {
            assert_eq!(text.parse::<Cpu>().unwrap().to_string(), text);
        }
        for (text, bytes) in [("8MiB", 8 << 20), ("1.5GB", 1_500_000_000), ("7", 7), ("0B", 0)] {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!(size.0, bytes);
            assert_eq!(size.to_string().parse(), Ok(size));
        }
        assert_eq!("1h 30m".parse::<Span>().unwrap().duration().as_secs(), 5_400);
    }

    #[test]
    fn amounts_out_of_shape_are_refused() {
        for bad in ["", "-1", "1e99", "NaN", "0.0001", "1.", ".5", "99999999999"] {
            assert!(bad.parse::<Cpu>().is_err(), "{bad}");
        }
        for bad in ["", "-1", "8XB", "99999999999GiB", "1e9", "MiB"] {
            assert!(bad.parse::<ByteSize>().is_err(), "{bad}");
        }
        for bad in ["", "-1s", "5parsecs", "1e99s", "99999999999999999999y"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }
}
