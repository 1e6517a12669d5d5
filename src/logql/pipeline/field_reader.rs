//! How the stages `json`, `logfmt`, `regexp` and `pattern` take fields out of a line: compiled once, for
//! rows that go through stages (`extraction`) and for texts that the store finds in columns (`line_text`).

use crate::ast::{Extraction, StageKind};
use crate::extract::json::{self, JsonPaths};
use crate::extract::logfmt::{self, LogfmtKeys, LogfmtOptions};
use crate::extract::pattern::Pattern;
use crate::extract::regexp::RegexpFields;
use crate::extract::{Buffers, ExtractError, Fields};

#[derive(Debug)]
pub(super) enum FieldReader {
    Json,
    JsonPaths(JsonPaths),
    Logfmt(LogfmtOptions),
    LogfmtKeys { keys: LogfmtKeys, strict: bool },
    Regexp(RegexpFields),
    Pattern(Pattern),
}

/// A label and where its value is, for each expression.
fn pairs(expressions: &[Extraction]) -> impl Iterator<Item = (&str, &str)> {
    expressions.iter().map(|one| (one.label.as_str(), one.expression.as_str()))
}

impl FieldReader {
    /// `Err`: what is wrong with the stage.
    pub(super) fn new(kind: &StageKind) -> Result<Self, String> {
        Ok(match kind {
            StageKind::Json(expressions) if expressions.is_empty() => Self::Json,
            StageKind::Json(expressions) => Self::JsonPaths(JsonPaths::new(pairs(expressions))?),
            StageKind::Logfmt { strict, keep_empty, expressions } if expressions.is_empty() => {
                Self::Logfmt(LogfmtOptions { strict: *strict, keep_empty: *keep_empty })
            }
            StageKind::Logfmt { strict, expressions, .. } => {
                Self::LogfmtKeys { keys: LogfmtKeys::new(pairs(expressions))?, strict: *strict }
            }
            StageKind::Regexp(pattern) => {
                let regexp = RegexpFields::new(pattern);
                Self::Regexp(regexp.map_err(|error| format!("invalid regexp parser: {error}"))?)
            }
            StageKind::Pattern(text) => {
                let pattern = Pattern::new(text);
                Self::Pattern(pattern.map_err(|error| format!("invalid pattern parser: {error}"))?)
            }
            other => return Err(format!("{other} extracts nothing")),
        })
    }

    /// Whether lines that it can't read have errors.
    pub(super) fn can_fail(&self) -> bool {
        match self {
            Self::Json | Self::JsonPaths(_) => true,
            Self::Logfmt(LogfmtOptions { strict, .. }) | Self::LogfmtKeys { strict, .. } => *strict,
            Self::Regexp(_) | Self::Pattern(_) => false,
        }
    }

    pub(super) fn extract(
        &self,
        line: &[u8],
        buffers: &mut Buffers,
        fields: &mut impl Fields,
    ) -> Result<(), ExtractError> {
        match self {
            Self::Json => json::extract(line, buffers, fields),
            Self::JsonPaths(paths) => paths.extract(line, buffers, fields),
            Self::Logfmt(options) => logfmt::extract(line, *options, buffers, fields),
            Self::LogfmtKeys { keys, strict } => keys.extract(line, *strict, buffers, fields),
            Self::Regexp(regexp) => {
                regexp.extract(line, buffers, fields);
                Ok(())
            }
            Self::Pattern(pattern) => {
                pattern.extract(line, buffers, fields);
                Ok(())
            }
        }
    }
}
