//! `file_sd_configs`: groups of targets in files, which are looked at again and again.

use super::{DiscoveryError, Group};
use crate::config::Place;
use model::Labels;
use std::path::{Path, PathBuf};
use std::time::Duration as StdDuration;
use yaml::{Duration, Error, Node};

const REFRESH: Duration = Duration::from_secs(300);
/// Prometheus is told of changes by the system and looks for itself at `refresh_interval`; here the
/// files are looked at this often, so that changes are seen as soon.
const LOOK_MAX: StdDuration = StdDuration::from_secs(5);
const FILE_MAX: usize = 256 << 20;
const LABEL: &str = "__meta_filepath";

#[derive(Clone, Debug)]
pub struct FileDiscovery {
    /// Patterns of paths, complete.
    files: Vec<PathBuf>,
    refresh_interval: Duration,
}

impl FileDiscovery {
    pub(super) fn read(node: &Node, place: &Place) -> Result<Self, Error> {
        let mut fields = node.fields("file_sd_config")?;
        let mut files = Vec::new();
        if let Some(list) = fields.take("files") {
            for item in list.items()? {
                files.push(place.path(&pattern(item)?));
            }
        }
        if files.is_empty() {
            return Err(
                node.error("file service discovery config must contain at least one path name")
            );
        }
        let refresh_interval = fields.or("refresh_interval", REFRESH)?;
        fields.end()?;
        Ok(Self { files, refresh_interval })
    }

    pub(super) fn refresh(&self) -> StdDuration {
        self.refresh_interval.std().min(LOOK_MAX)
    }

    /// Blocks.
    pub(super) fn groups(&self) -> Result<Vec<Group>, DiscoveryError> {
        let mut groups = Vec::new();
        for pattern in &self.files {
            let shown = pattern.display();
            let wrong = |error| DiscoveryError(format!("can't look for {shown}: {error}"));
            for path in platform::glob_outside(&shown.to_string()).map_err(wrong)? {
                groups.extend(of_file(&path)?);
            }
        }
        Ok(groups)
    }
}

fn of_file(path: &Path) -> Result<Vec<Group>, DiscoveryError> {
    let shown = path.display().to_string();
    let wrong = |error| DiscoveryError(format!("can't read {shown}: {error}"));
    let text = platform::read_outside_text(path, FILE_MAX).map_err(wrong)?;
    let is_json = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    let mut groups = match is_json {
        true => Group::of_json(text.as_bytes(), &shown)?,
        false => Group::list(&text, &shown)?,
    };
    for group in &mut groups {
        let found = Labels::from_pairs([(LABEL, shown.as_str())]);
        let own = group.labels.iter();
        group.labels =
            Labels::from_pairs(own.filter(|(name, _)| *name != LABEL).chain(found.iter()));
    }
    Ok(groups)
}

/// `*` may stand in the last part only, and the name says that it holds YAML or JSON.
fn pattern(node: &Node) -> Result<String, Error> {
    let text: String = node.read()?;
    let (folder, name) = text.rsplit_once('/').unwrap_or(("", &text));
    let is_known = [".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML"];
    if folder.contains('*') || !is_known.iter().any(|ending| name.ends_with(ending)) {
        return Err(node.error(format!(
            "path name {text:?} is not valid for file discovery: it ends with .json, .yml or .yaml and \
             has `*` in its last part only"
        )));
    }
    Ok(text)
}
