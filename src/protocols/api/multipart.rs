//! Forms as `multipart/form-data` (RFC 7578), which HTML forms and some clients send. Only their fields
//! are read; a body that is no such form has none.

/// The fields of a form, each with its name, in their order. `content_type`: the request's header, which
/// names the boundary. At most `most` of them.
pub(crate) fn fields<'b>(
    content_type: &str,
    body: &'b [u8],
    most: usize,
) -> Vec<(String, &'b [u8])> {
    let Some(boundary) = attribute(content_type, "boundary") else { return Vec::new() };
    let delimiter = [b"--", boundary.as_bytes()].concat();
    let mut found = Vec::new();
    // What stands before the first delimiter is no field.
    let Some((_, mut rest)) = split_at(body, &delimiter) else { return found };
    // A delimiter that two hyphens follow is the last one.
    while let Some(part) = rest.strip_prefix(b"\r\n")
        && found.len() < most
    {
        let end = [b"\r\n", delimiter.as_slice()].concat();
        let Some((part, after)) = split_at(part, &end) else { break };
        found.extend(field(part));
        rest = after;
    }
    found
}

/// What stands before and behind the first place of `at`.
fn split_at<'b>(bytes: &'b [u8], at: &[u8]) -> Option<(&'b [u8], &'b [u8])> {
    let place = bytes.windows(at.len()).position(|window| window == at)?;
    Some((&bytes[..place], &bytes[place + at.len()..]))
}

fn field(part: &[u8]) -> Option<(String, &[u8])> {
    let (head, value) = split_at(part, b"\r\n\r\n")?;
    let head = std::str::from_utf8(head).ok()?;
    let disposition = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    Some((attribute(disposition, "name")?, value))
}

/// `name=value` or `name="value"` among the attributes of a header.
fn attribute(header: &str, name: &str) -> Option<String> {
    header.split(';').skip(1).find_map(|one| {
        let (key, value) = one.split_once('=')?;
        let value = value.trim();
        let plain = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let is_meant = key.trim().eq_ignore_ascii_case(name);
        is_meant.then(|| plain.unwrap_or(value).to_owned()).filter(|value| !value.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &[u8] = b"preamble\r\n--b\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\n\
        up{a=\"--c\"}\r\n--b\r\ncontent-type: text/plain\r\ncontent-disposition:form-data;name=time\r\n\
        \r\n4\r\n--b--\r\nepilogue";

    #[test]
    fn fields_stand_between_boundaries() {
        let found = fields("multipart/form-data; boundary=\"b\"", FORM, 9);
        let found: Vec<(&str, &[u8])> =
            found.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(found, [("query", &b"up{a=\"--c\"}"[..]), ("time", b"4")]);
    }

    #[test]
    fn what_is_no_form_has_no_fields() {
        assert_eq!(fields("multipart/form-data; boundary=b", FORM, 1).len(), 1);
        for end in 0..FORM.len() {
            assert!(fields("multipart/form-data; boundary=b", &FORM[..end], 9).len() <= 2);
        }
        for content_type in
            ["multipart/form-data", "multipart/form-data; boundary=", "x; boundary=q"]
        {
            assert!(fields(content_type, FORM, 9).is_empty(), "{content_type}");
        }
    }
}
