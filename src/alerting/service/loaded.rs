//! A configuration with its templates, ready to be used.

use crate::config::Config;
use crate::notify::Templates;
use platform::{glob_outside, read_outside_text};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use yaml::Node;

const CONFIG_MAX: usize = 16 << 20;
const TEMPLATE_MAX: usize = 4 << 20;

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("can't read {path}: {source}")]
    Read { path: String, source: io::Error },
    #[error("{path}: {source}")]
    Config { path: String, source: yaml::Error },
    #[error("{path}: {message}")]
    Template { path: String, message: String },
}

#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Arc<Config>,
    pub templates: Templates,
    /// Where relative paths of the file begin.
    pub folder: PathBuf,
}

impl Loaded {
    /// What holds where there is no file.
    pub fn without_file() -> Self {
        let templates = Templates::new([]).expect("the templates that are always there are right");
        Self { config: Arc::new(Config::without_file()), templates, folder: PathBuf::new() }
    }

    /// Reads a file, and the templates that it names.
    pub fn read(path: &Path) -> Result<Self, LoadError> {
        ConfigFile::read(path)?.load()
    }
}

/// A file that has been parsed and not understood yet.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    pub node: Node,
    /// Where relative paths of the file begin.
    pub folder: PathBuf,
    /// For messages.
    pub name: String,
}

impl ConfigFile {
    pub fn read(path: &Path) -> Result<Self, LoadError> {
        let text = read_text(path, CONFIG_MAX)?;
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        let name = path.display().to_string();
        let wrong = |source| LoadError::Config { path: name.clone(), source };
        let node = Node::parse(&text).map_err(wrong)?;
        Ok(Self { node, folder, name })
    }

    /// A configuration that stands in no file.
    pub fn without_file(node: Node) -> Self {
        Self { node, folder: PathBuf::new(), name: "the configuration".to_owned() }
    }

    /// The configuration, with the templates that it names.
    pub fn load(&self) -> Result<Loaded, LoadError> {
        let Self { node, folder, name } = self;
        let wrong = |source| LoadError::Config { path: name.clone(), source };
        let config = Config::of_node(node).map_err(wrong)?;
        let templates = read_templates(&config.templates, folder, name)?;
        Ok(Loaded { config: Arc::new(config), templates, folder: folder.clone() })
    }
}

fn read_text(path: &Path, bytes_max: usize) -> Result<String, LoadError> {
    let failed = |source| LoadError::Read { path: path.display().to_string(), source };
    read_outside_text(path, bytes_max).map_err(failed)
}

/// A pattern may find nothing: its files may come later.
fn read_templates(
    patterns: &[String],
    folder: &Path,
    config: &str,
) -> Result<Templates, LoadError> {
    let mut files = Vec::new();
    for pattern in patterns {
        let whole = folder.join(pattern);
        let found = glob_outside(&whole.to_string_lossy());
        let found = found.map_err(|error| LoadError::Template {
            path: config.to_owned(),
            message: format!("the pattern {pattern:?} of `templates`: {error}"),
        })?;
        for path in found {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            files.push((name.unwrap_or_default(), read_text(&path, TEMPLATE_MAX)?));
        }
    }
    let texts = files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    Templates::new(texts).map_err(|error| LoadError::Template {
        path: config.to_owned(),
        message: error.to_string(),
    })
}
