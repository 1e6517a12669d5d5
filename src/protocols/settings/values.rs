//! Single values that are more than a text or a number: a tenant, a secret, a time zone's offset, a share.

use model::TenantId;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// The tenant that data is for which names none: `"default"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantName(pub TenantId);

impl Default for TenantName {
    fn default() -> Self {
        Self(TenantId::default_tenant())
    }
}

impl<'de> Deserialize<'de> for TenantName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        TenantId::new(&name)
            .map(Self)
            .map_err(|error| de::Error::custom(format!("{name:?} is no name of a tenant: {error}")))
    }
}

impl Serialize for TenantName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

/// A secret, which is never shown. Empty: there is none.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    fn shown(&self) -> &'static str {
        if self.0.is_empty() { "" } else { "***" }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.shown())
    }
}

/// How far a clock is ahead of UTC: `"+09:00"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UtcOffset {
    pub seconds: i64,
}

impl std::str::FromStr for UtcOffset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (sign, rest) = match text.split_at_checked(1)? {
                ("+", rest) => (1, rest),
                ("-", rest) => (-1, rest),
                _ => return None,
            };
            let (hours, minutes) = rest.split_once(':')?;
            let number = |text: &str, limit: i64| {
                let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
                text.parse::<i64>().ok().filter(|value| is_number && *value < limit)
            };
            let seconds = number(hours, 24)? * 3_600 + number(minutes, 60)? * 60;
            Some(Self { seconds: sign * seconds })
        };
        parse().ok_or_else(|| format!("{text:?} is no offset: write \"+09:00\" or \"-05:30\""))
    }
}

impl fmt::Display for UtcOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.seconds < 0 { '-' } else { '+' };
        let minutes = self.seconds.abs() / 60;
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

impl Serialize for UtcOffset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UtcOffset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A share of what there is: a number from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share(pub f64);

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match f64::deserialize(deserializer)? {
            share @ 0.0..=1.0 => Ok(Self(share)),
            share => {
                Err(de::Error::custom(format!("{share} is no share: write a number from 0 to 1")))
            }
        }
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_read_and_written() {
        for (text, seconds) in [("+00:00", 0), ("+09:00", 32_400), ("-05:30", -19_800)] {
            let offset: UtcOffset = text.parse().unwrap();
            assert_eq!((offset.seconds, &*offset.to_string()), (seconds, text));
        }
        for text in ["", "9", "09:00", "+9:00", "+24:00", "+00:60", "+0+:00", "한국"] {
            assert!(text.parse::<UtcOffset>().unwrap_err().contains("+09:00"), "{text}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let secret: Secret = serde_json::from_str("\"key\"").unwrap();
        assert_eq!(secret.as_bytes(), b"key");
        assert_eq!(
            format!("{secret:?} {}", serde_json::to_string(&secret).unwrap()),
            "*** \"***\""
        );
        assert_eq!(serde_json::to_string(&Secret::default()).unwrap(), "\"\"");
    }

    #[test]
    fn shares_are_from_0_to_1() {
        for (text, share) in [("0", 0.0), ("1", 1.0), ("0.01", 0.01)] {
            assert_eq!(serde_json::from_str::<Share>(text).unwrap(), Share(share));
        }
        for text in ["-0.1", "1.01", "\"1%\""] {
            assert!(serde_json::from_str::<Share>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn tenants_are_checked() {
        let name: TenantName = serde_json::from_str("\"team-a\"").unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"team-a\"");
        let error = serde_json::from_str::<TenantName>("\"../a\"").unwrap_err();
        assert!(error.to_string().contains("is no name of a tenant"), "{error}");
    }
}
