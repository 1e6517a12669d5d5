//! Settings as YAML, which is what Prometheus' `status/config` answers and its clients parse.

use serde_json::Value;

/// Sections and what is in them on lines of their own; values as JSON, which YAML contains.
pub(crate) fn yaml(value: &Value) -> String {
    let mut out = String::new();
    write(value, 0, &mut out);
    out
}

fn write(value: &Value, depth: usize, out: &mut String) {
    let Value::Object(members) = value else { return };
    for (name, value) in members {
        let indent = "  ".repeat(depth);
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                out.push_str(&format!("{indent}{name}:\n"));
                write(value, depth + 1, out);
            }
            other => out.push_str(&format!("{indent}{name}: {other}\n")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_indented_and_values_quoted() {
        let value = serde_json::json!({
            "a": { "list": [":1", ":2"], "text": "x: \"y\"" },
            "b": { "c": { "number": 1.5, "flag": true }, "none": {} },
        });
        let expected = "a:\n  list: [\":1\",\":2\"]\n  text: \"x: \\\"y\\\"\"\nb:\n  c:\n    \
                        flag: true\n    number: 1.5\n  none: {}\n";
        assert_eq!(yaml(&value), expected);
    }
}
