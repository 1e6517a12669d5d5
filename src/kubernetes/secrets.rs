//! References to keys of Secrets and ConfigMaps.

use crate::Objects;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use yaml::{Error, Node};

/// What references of one object mean: they never leave its namespace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct References<'a> {
    pub(crate) objects: &'a Objects,
    pub(crate) namespace: &'a str,
}

/// A value, and whether it may be shown.
struct Found {
    text: String,
    is_secret: bool,
}

impl References<'_> {
    /// The value behind `{name: …, key: …}` of a Secret. `None` where it is optional and not there.
    pub(crate) fn secret(&self, node: &Node) -> Result<Option<Node>, Error> {
        self.resolve(node, "Secret")
    }

    /// The value behind `{secret: {…}}` or `{configMap: {…}}`.
    pub(crate) fn secret_or_config_map(&self, node: &Node) -> Result<Option<Node>, Error> {
        let mut fields = node.fields("reference")?;
        let (secret, map) = (fields.take("secret"), fields.take("configMap"));
        fields.end()?;
        match (secret.filter(|it| !it.is_null()), map.filter(|it| !it.is_null())) {
            (Some(_), Some(_)) => {
                Err(node.error("a reference is to a secret or to a configMap, not to both"))
            }
            (Some(secret), None) => self.resolve(secret, "Secret"),
            (None, Some(map)) => self.resolve(map, "ConfigMap"),
            (None, None) => Ok(None),
        }
    }

    fn resolve(&self, node: &Node, kind: &str) -> Result<Option<Node>, Error> {
        let mut fields = node.fields("reference")?;
        let name: String = fields.or_default("name")?;
        let key: String = fields.required("key")?;
        let is_optional = fields.or("optional", false)?;
        fields.end()?;
        let object = self.objects.find(kind, self.namespace, &name);
        let found = match object {
            Some(object) => value(&object.node, &key)?,
            None => None,
        };
        match found {
            Some(Found { text, is_secret }) => {
                let value = Node::quoted(&text, node);
                if is_secret {
                    value.show_as("<secret>");
                }
                Ok(Some(value))
            }
            None if is_optional => Ok(None),
            None => {
                let place = format!("the {kind} `{name}` of the namespace `{}`", self.namespace);
                Err(node.error(format!(
                    "there is no key `{key}` in {place}: put the object beside this one"
                )))
            }
        }
    }
}

/// The value of a key: as it is in a ConfigMap and in `stringData`, in base64 in `data` of a Secret.
fn value(object: &Node, key: &str) -> Result<Option<Found>, Error> {
    let entries = object.entries()?;
    let field =
        |name: &str| entries.iter().find(|(known, _)| *known == name).map(|(_, node)| *node);
    let is_secret = field("kind").and_then(Node::text) == Some("Secret");
    for name in ["stringData", "data"] {
        let Some(map) = field(name).filter(|map| !map.is_null()) else { continue };
        let entries = map.entries()?;
        let Some((_, node)) = entries.into_iter().find(|(known, _)| *known == key) else {
            continue;
        };
        let text: String = node.read()?;
        if name == "stringData" || !is_secret {
            return Ok(Some(Found { text, is_secret }));
        }
        let compact: String = text.split_whitespace().collect();
        let bytes = BASE64_STANDARD.decode(compact).ok();
        let plain = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let wrong = || node.error(format!("the value of `{key}` is not base64 of a text"));
        return Ok(Some(Found { text: plain.ok_or_else(wrong)?, is_secret }));
    }
    Ok(None)
}
