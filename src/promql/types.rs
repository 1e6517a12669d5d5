//! What the tree of a query, its functions and its values have in common.

use query::Position;

/// What an expression evaluates to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    None,
    Scalar,
    Vector,
    Matrix,
    String,
}

impl ValueType {
    /// As the API names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Scalar => "scalar",
            Self::Vector => "vector",
            Self::Matrix => "matrix",
            Self::String => "string",
        }
    }

    /// As the documentation names it.
    pub fn documented(self) -> &'static str {
        match self {
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            other => other.as_str(),
        }
    }
}

/// Escapes can make any bytes, so this need not be text.
#[derive(Clone, Debug)]
pub struct StringLiteral {
    pub bytes: Vec<u8>,
    pub position: Position,
}

impl PartialEq for StringLiteral {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl StringLiteral {
    /// Bytes that are not text show as replacement characters.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub fn is_text(&self) -> bool {
        std::str::from_utf8(&self.bytes).is_ok()
    }
}

/// What a selector does at the edges of its window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Edges {
    #[default]
    Plain,
    Anchored,
    Smoothed,
}
