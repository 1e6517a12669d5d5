//! Objects as files have them.

use std::collections::BTreeMap;
use std::path::Path;
use yaml::{Error, Node};

/// The largest file that is read.
const FILE_MAX: usize = 16 << 20;

/// Kinds that live in a namespace, of those that are read. An object that names none gets the folder's.
const NAMESPACED: [&str; 14] = [
    "AlertmanagerConfig",
    "ConfigMap",
    "Endpoints",
    "EndpointSlice",
    "Ingress",
    "Pod",
    "PodMonitor",
    "Probe",
    "PrometheusRule",
    "ScrapeConfig",
    "Secret",
    "Service",
    "ServiceAccount",
    "ServiceMonitor",
];

/// One object.
#[derive(Clone, Debug)]
pub struct Object {
    pub api_version: String,
    pub kind: String,
    /// Empty for kinds that have none.
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
/// later one counts, in the place of the first.
#[derive(Clone, Debug)]
pub struct Objects {
    /// Of objects that name none.
    namespace: String,
    all: Vec<Object>,
    /// Where each stands, by kind, namespace and name.
    places: BTreeMap<(String, String, String), usize>,
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
    /// No objects; `namespace`: of those that name none.
    pub fn new(namespace: &str) -> Self {
        let (all, places, mistakes) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self { namespace: namespace.to_owned(), all, places, mistakes }
    }

    /// Reads every `.yaml`, `.yml` and `.json` of a folder. A file that can't be read is a mistake of its
    /// own; the others count.
    pub fn read_folder(folder: &Path, namespace: &str) -> Result<Self, FolderError> {
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
        let mut objects = Self::new(namespace);
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
                match object {
                    Some(object) if object.name.is_empty() => {
                        let error =
                            node.error("an object of Kubernetes has a name (metadata.name)");
                        self.mistakes.push(format!("{file}: {error}"));
                    }
                    Some(object) => self.add(object),
                    None => {}
                }
                items.iter().for_each(|item| self.read_document(file, item));
            }
            Err(error) => self.mistakes.push(format!("{file}: {error}")),
        }
    }

    fn add(&mut self, mut object: Object) {
        if object.namespace.is_empty() && NAMESPACED.contains(&object.kind.as_str()) {
            object.namespace.clone_from(&self.namespace);
        }
        let key = (object.kind.clone(), object.namespace.clone(), object.name.clone());
        match self.places.get(&key).and_then(|place| self.all.get_mut(*place)) {
            Some(earlier) => *earlier = object,
            None => {
                self.places.insert(key, self.all.len());
                self.all.push(object);
            }
        }
    }

    pub(crate) fn find(&self, kind: &str, namespace: &str, name: &str) -> Option<&Object> {
        let key = (kind.to_owned(), namespace.to_owned(), name.to_owned());
        self.all.get(*self.places.get(&key)?)
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
