//! What several sections read alike: matchers, secrets that may stand in files, addresses.

use crate::matchers::parse_matchers;
use model::{MatchOp, Matcher};
use yaml::{Error, Fields, Node, Secret};

/// A secret, or the file that holds it, which is read each time it is needed.
#[derive(Clone, Debug)]
pub enum SecretSource {
    Text(Secret),
    File(String),
}

/// `name` or `name_file`, not both.
pub(super) fn secret(
    fields: &mut Fields<'_>,
    name: &'static str,
    file: &'static str,
) -> Result<Option<SecretSource>, Error> {
    let text: Option<Secret> = fields.optional(name)?;
    let path: Option<String> = fields.optional(file)?;
    let path = path.filter(|path| !path.is_empty());
    match (text.filter(|text| !text.is_empty()), path) {
        (Some(_), Some(_)) => {
            Err(fields.error(format!("at most one of {name} & {file} must be configured")))
        }
        (Some(text), None) => Ok(Some(SecretSource::Text(text))),
        (None, Some(path)) => Ok(Some(SecretSource::File(path))),
        (None, None) => Ok(None),
    }
}

/// As [`secret`], of an address, which is checked where it stands in the file.
pub(super) fn secret_url(
    fields: &mut Fields<'_>,
    name: &'static str,
    file: &'static str,
) -> Result<Option<SecretSource>, Error> {
    let found = secret(fields, name, file)?;
    if let Some(SecretSource::Text(url)) = &found {
        // The address itself is not shown: it is the secret.
        check_url(url.reveal()).map_err(|why| fields.error(format!("`{name}`: {why}")))?;
    }
    Ok(found)
}

/// An address that is no secret.
pub(super) fn url(fields: &mut Fields<'_>, name: &'static str) -> Result<Option<String>, Error> {
    let Some(node) = fields.take(name).filter(|node| !node.is_null()) else { return Ok(None) };
    let text: String = node.read()?;
    check_url(&text).map_err(|why| node.error(format!("`{name}`: {why}")))?;
    Ok(Some(text))
}

fn check_url(text: &str) -> Result<(), String> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
        return Err(format!("unsupported scheme {scheme:?} for URL"));
    }
    match rest.split(['/', '?', '#']).next() {
        None | Some("") => Err("missing host for URL".to_owned()),
        Some(_) => Ok(()),
    }
}

/// The conditions of a route or a rule in their three forms: `match`, `match_re` and `matchers`.
pub(super) fn conditions(
    fields: &mut Fields<'_>,
    [equal, regex, texts]: [&'static str; 3],
) -> Result<Vec<Matcher>, Error> {
    let mut found = Vec::new();
    for (name, node) in pairs(fields.take(equal))? {
        found.push(Matcher::equal(name, node.text().unwrap_or_default()));
    }
    for (name, node) in pairs(fields.take(regex))? {
        // As Alertmanager shows it in the keys of groups.
        let pattern = format!("^(?:{})$", node.text().unwrap_or_default());
        found.push(matcher(MatchOp::Regex, name, &pattern, node)?);
    }
    if let Some(node) = fields.take(texts) {
        for item in node.items()? {
            let text: String = item.read()?;
            found.extend(parse_matchers(&text).map_err(|why| item.error(why))?);
        }
    }
    found.sort_by(|left, right| {
        let key = |matcher: &Matcher| (matcher.name.clone(), matcher.value.clone());
        key(left).cmp(&key(right)).then(left.op.as_str().cmp(right.op.as_str()))
    });
    Ok(found)
}

fn pairs(node: Option<&Node>) -> Result<Vec<(&str, &Node)>, Error> {
    node.map_or_else(|| Ok(Vec::new()), Node::entries)
}

fn matcher(op: MatchOp, name: &str, value: &str, node: &Node) -> Result<Matcher, Error> {
    Matcher::new(op, name, value).map_err(|why| node.error(why))
}
