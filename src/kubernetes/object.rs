//! Objects as files have them.

use std::collections::BTreeMap;
use std::path::Path;
use yaml::{Error, Node};

/// The largest file that is read.
const FILE_MAX: usize = 16 << 20;

/// One object.
#[derive(Clone, Debug)]
pub struct Object {
    pub api_version: String,
    pub kind: String,
    pub namespace: String,
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// The whole object.
    pub node: Node,
    pub file: String,
    pub line: usize,
}

/// Objects in the order of their files, each once: of two with the same kind, namespace and name the
/// later one counts.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    all: Vec<Object>,
    /// What could not be read, and why.
    pub mistakes: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("can't read the objects in {folder}: {source}")]
pub struct FolderError {
    folder: String,
    source: std::io::Error,
}

impl Objects {
    /// Reads every `.yaml`, `.yml` and `.json` of a folder. A file that can't be read is a mistake of its
    /// own; the others count.
    pub fn read_folder(folder: &Path) -> Result<Self, FolderError> {
        let shown = folder.display().to_string();
        let failed = |source| FolderError { folder: shown.clone(), source };
        if !folder.is_dir() {
            return Err(failed(std::io::Error::other("this is not a folder")));
        }
        let mut files = Vec::new();
        for pattern in ["*.yaml", "*.yml", "*.json"] {
            let pattern = format!("{}/{pattern}", folder.display());
            files.extend(platform::glob_outside(&pattern).map_err(failed)?);
        }
        files.sort();
        let mut objects = Self::default();
        files.iter().for_each(|file| objects.read_file(file));
        Ok(objects)
    }

    fn read_file(&mut self, file: &Path) {
        let name = file.display().to_string();
        match platform::read_outside_text(file, FILE_MAX) {
            Ok(text) => self.read_text(&name, &text),
            Err(error) => self.mistakes.push(format!("{name}: {error}")),
        }
    }

    /// Reads all documents of a text.
    pub fn read_text(&mut self, file: &str, text: &str) {
        match Node::parse_all(text) {
            Ok(documents) => documents.iter().for_each(|node| self.read_document(file, node)),
            Err(error) => self.mistakes.push(format!("{file}: {error}")),
        }
    }

    fn read_document(&mut self, file: &str, node: &Node) {
        let read = object(file, node).and_then(|object| match object.kind.as_str() {
            // A list of `kubectl get -o yaml`.
            "List" => items(node).map(|items| (None, items)),
            _ => Ok((Some(object), Vec::new())),
        });
        match read {
            Ok((object, items)) => {
                if let Some(object) = object {
                    self.add(object);
                }
                items.iter().for_each(|item| self.read_document(file, item));
            }
            Err(error) => self.mistakes.push(format!("{file}: {error}")),
        }
    }

    fn add(&mut self, object: Object) {
        let is_same = |other: &Object| {
            (&other.kind, &other.namespace, &other.name)
                == (&object.kind, &object.namespace, &object.name)
        };
        self.all.retain(|other| !is_same(other));
        self.all.push(object);
    }

    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Object> {
        self.all.iter().filter(move |object| object.kind == kind)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Object> {
        self.all.iter()
    }
}

fn items(node: &Node) -> Result<Vec<Node>, Error> {
    let entries = node.entries()?;
    let items = entries.into_iter().find(|(name, _)| *name == "items");
    items.map_or(Ok(Vec::new()), |(_, items)| items.items().map(<[Node]>::to_vec))
}

/// What every object has. Other fields are left for the kind.
fn object(file: &str, node: &Node) -> Result<Object, Error> {
    let field = |node: &Node, name: &str| {
        let entries = node.entries()?;
        Ok::<_, Error>(
            entries.into_iter().find(|(known, _)| *known == name).map(|(_, it)| it.clone()),
        )
    };
    let text = |node: &Node, name: &str| {
        field(node, name)?.map_or(Ok(String::new()), |value| value.read::<String>())
    };
    let (api_version, kind) = (text(node, "apiVersion")?, text(node, "kind")?);
    if api_version.is_empty() || kind.is_empty() {
        return Err(node.error("an object of Kubernetes has the fields apiVersion and kind"));
    }
    let metadata = field(node, "metadata")?.filter(|metadata| !metadata.is_null());
    let mut object = Object {
        api_version,
        kind,
        namespace: String::new(),
        name: String::new(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        node: node.clone(),
        file: file.to_owned(),
        line: node.line(),
    };
    let Some(metadata) = metadata else { return Ok(object) };
    let pairs = |name: &str| {
        let pairs = field(&metadata, name)?;
        pairs.map_or(Ok(BTreeMap::new()), |pairs| pairs.read::<BTreeMap<String, String>>())
    };
    object.name = text(&metadata, "name")?;
    object.namespace = text(&metadata, "namespace")?;
    object.labels = pairs("labels")?;
    object.annotations = pairs("annotations")?;
    Ok(object)
}

impl Object {
    /// The field `spec`.
    pub(crate) fn spec(&self) -> Result<Node, Error> {
        let entries = self.node.entries()?;
        let spec =
            entries.into_iter().find(|(name, _)| *name == "spec").map(|(_, spec)| spec.clone());
        spec.ok_or_else(|| self.node.error(format!("a {} has the field `spec`", self.kind)))
    }
}
