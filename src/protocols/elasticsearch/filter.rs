//! `filter_path`: which parts of an answer a client wants, as patterns of keys joined by dots.

use serde_json::Value;

/// The parts of an answer that are sent.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    patterns: Vec<String>,
}

impl Filter {
    /// From the parameter; without it everything is sent.
    pub(super) fn new(parameter: Option<&str>) -> Self {
        let patterns = parameter.unwrap_or("").split(',').map(str::trim);
        let patterns = patterns.filter(|pattern| !pattern.is_empty());
        Self { patterns: patterns.map(str::to_owned).collect() }
    }

    /// Whether something at this path or below it is wanted.
    pub(super) fn wants(&self, path: &[&str]) -> bool {
        let (without, with): (Vec<_>, Vec<_>) =
            self.patterns.iter().partition(|pattern| pattern.starts_with('-'));
        let is_out = without.iter().any(|pattern| covers(&pattern[1..], path));
        !is_out && (with.is_empty() || with.iter().any(|pattern| touches(pattern, path)))
    }

    /// Takes out of an answer what is not wanted. Lists are no part of a path.
    pub(super) fn apply(&self, answer: &mut Value) {
        if !self.patterns.is_empty() {
            self.apply_at(answer, &mut Vec::new());
        }
    }

    fn apply_at(&self, value: &mut Value, path: &mut Vec<String>) {
        match value {
            Value::Object(map) => map.retain(|key, value| {
                path.push(key.clone());
                let is_wanted = self.wants(&path.iter().map(String::as_str).collect::<Vec<_>>());
                if is_wanted {
                    self.apply_at(value, path);
                }
                path.pop();
                is_wanted
            }),
            Value::Array(all) => all.iter_mut().for_each(|value| self.apply_at(value, path)),
            _ => {}
        }
    }
}

/// Whether the pattern names the path itself or what it lies in.
fn covers(pattern: &str, path: &[&str]) -> bool {
    let keys: Vec<&str> = pattern.split('.').collect();
    keys.len() <= path.len() && touches(pattern, path)
}

/// Whether the pattern names the path, something below it, or what it lies in.
fn touches(pattern: &str, path: &[&str]) -> bool {
    let mut keys = pattern.split('.');
    for key in path {
        match keys.next() {
            None | Some("**") => return true,
            Some(pattern) if matches(pattern, key) => {}
            Some(_) => return false,
        }
    }
    true
}

/// `*` stands for any characters.
fn matches(pattern: &str, key: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == key,
        Some((start, end)) => {
            key.len() >= start.len() + end.len() && key.starts_with(start) && key.ends_with(end)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn answers_lose_what_is_not_wanted() {
        let mut answer = json!({ "took": 1, "hits": { "total": 2, "hits": [
            { "_id": "1", "_source": { "a": 1 }, "sort": [1] }, { "_id": "2", "sort": [2] },
        ] } });
        Filter::new(Some("hits.hits._id,hits.hits._source,-hits.hits._source.a"))
            .apply(&mut answer);
        assert_eq!(
            answer,
            json!({ "hits": { "hits": [{ "_id": "1", "_source": {} }, { "_id": "2" }] } })
        );
    }

    #[test]
    fn patterns_choose_parts() {
        let errors = &["items", "create", "error"][..];
        for (filter, path, wanted) in [
            (None, errors, true),
            (Some("errors,items.*.error"), errors, true),
            (Some("errors,items.*.error.type"), errors, true),
            (Some("errors,items.*.status"), errors, false),
            (Some("errors"), &["took"], false),
            (Some("errors"), &["items"], false),
            (Some("items"), errors, true),
            (Some("items.**"), errors, true),
            (Some("err*"), &["errors"], true),
            (Some("-took"), &["took"], false),
            (Some("-took"), &["errors"], true),
            (Some("-items.*.error"), &["items"], true),
            (Some("-items.*.error"), errors, false),
        ] {
            assert_eq!(Filter::new(filter).wants(path), wanted, "{filter:?} {path:?}");
        }
    }
}
