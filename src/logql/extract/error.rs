//! What is wrong with a line, in the words that Loki's users know.

use std::fmt;

/// Why not all of a line could be extracted. The fields before the mistake have been given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtractError {
    Json(JsonMistake),
    Logfmt {
        /// In bytes, from 1.
        position: usize,
        mistake: LogfmtMistake,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonMistake {
    /// No object, or one that does not go on or end as an object does.
    Object,
    /// The line ends where a value or a comma should follow, or an array does not end.
    Array,
    /// The line ends within a key or behind it.
    Line,
    Text,
    /// A value that is neither a text nor a number nor a name of JSON.
    Value,
    Escape,
    /// The line is no JSON at all. Loki gives no details here.
    Start,
    /// `unpack` takes objects only.
    NotPacked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogfmtMistake {
    Unexpected(char),
    /// The key is no text.
    Key,
    OpenQuote,
    /// An escape that there is not.
    Quote,
}

impl ExtractError {
    /// What `__error__` says.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Json(_) => "JSONParserErr",
            Self::Logfmt { .. } => "LogfmtParserErr",
        }
    }

    /// What `__error_details__` says.
    pub fn details(&self) -> Option<String> {
        match self {
            Self::Json(JsonMistake::Start) => None,
            error => Some(error.to_string()),
        }
    }
}

impl fmt::Display for ExtractError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(mistake) => mistake.fmt(f),
            Self::Logfmt { position, mistake } => {
                write!(f, "logfmt syntax error at pos {position} : {mistake}")
            }
        }
    }
}

impl std::error::Error for ExtractError {}

impl From<JsonMistake> for ExtractError {
    fn from(mistake: JsonMistake) -> Self {
        Self::Json(mistake)
    }
}

impl fmt::Display for JsonMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Object => "Value looks like object, but can't find closing '}' symbol",
            Self::Array => "Value is array, but can't find closing ']' symbol",
            Self::Line => "Malformed JSON error",
            Self::Text => "Value is string, but can't find closing '\"' symbol",
            Self::Value => "Unknown value type",
            Self::Escape => "Encountered an invalid escape sequence in a string",
            Self::Start => "the line is no JSON",
            Self::NotPacked => "expecting json object(6), but it is not",
        })
    }
}

impl fmt::Display for LogfmtMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unexpected(character) => write!(f, "unexpected {character:?}"),
            Self::Key => f.write_str("invalid key"),
            Self::OpenQuote => f.write_str("unterminated quoted value"),
            Self::Quote => f.write_str("invalid quoted value"),
        }
    }
}
