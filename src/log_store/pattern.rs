//! Templates of lines as the patterns that people read, and that LogQL's filter `|>` takes.

/// Stands for what differs.
pub const WILDCARD: &str = "<_>";

/// A template as a pattern. Slots with one sign between them, such as the numbers of a time or of an
/// address, become one wildcard.
pub fn pattern_of(template: &[u8]) -> String {
    let mut pattern = String::new();
    for (index, text) in template.split(|byte| *byte == 0).enumerate() {
        if index > 0 && !ends_in_wildcard(&mut pattern) {
            pattern.push_str(WILDCARD);
        }
        pattern.push_str(&String::from_utf8_lossy(text));
    }
    pattern
}

/// Whether the pattern ends in a wildcard; a sign that joins it with the next one is taken away.
fn ends_in_wildcard(pattern: &mut String) -> bool {
    if pattern.ends_with(WILDCARD) {
        return true;
    }
    let joined = pattern.strip_suffix(['.', ':', '-', '/', ',', '+', '@']);
    let length = joined.filter(|before| before.ends_with(WILDCARD)).map(str::len);
    if let Some(length) = length {
        pattern.truncate(length);
    }
    length.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_become_wildcards() {
        for (template, expected) in [
            ("user \0 logged in", "user <_> logged in"),
            ("\0-\0-\0:\0:\0.\0 GET /a/\0", "<_> GET /a/<_>"),
            ("{\"a\":\"\0\",\"b\":[\0,\0]}", "{\"a\":\"<_>\",\"b\":[<_>]}"),
            ("\0", "<_>"),
            ("plain", "plain"),
            ("결제 \0원", "결제 <_>원"),
        ] {
            assert_eq!(pattern_of(template.as_bytes()), expected);
        }
    }
}
