//! What a configuration asks for and Mirador does not do.

use std::fmt;
use std::path::{Path, PathBuf};
use yaml::Node;

/// Something that is read and has no effect, or another one than in Prometheus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    pub file: PathBuf,
    pub line: usize,
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}: {}", self.file.display(), self.line, self.message)
    }
}

/// The file that is read.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    file: PathBuf,
}

impl Place {
    pub(crate) fn new(file: &Path) -> Self {
        Self { file: file.to_owned() }
    }

    /// A path that the file names.
    pub(crate) fn path(&self, text: &str) -> PathBuf {
        self.folder().join(text)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    pub(crate) fn warning(&self, node: &Node, message: impl Into<String>) -> Warning {
        Warning { file: self.file.clone(), line: node.line(), message: message.into() }
    }
}
