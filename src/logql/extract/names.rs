//! Keys as names of labels.

/// Appends a key to a name: letters, digits and underscores stay, every other character becomes an
/// underscore, spaces around it go away. A name does not begin with a digit.
pub fn push_name(key: &[u8], name: &mut String) {
    let key = match std::str::from_utf8(key) {
        Ok(text) => text.trim().as_bytes(),
        Err(_) => key.trim_ascii(),
    };
    if name.is_empty() && key.first().is_some_and(u8::is_ascii_digit) {
        name.push('_');
    }
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    if key.iter().all(is_plain) {
        name.extend(key.iter().map(|byte| char::from(*byte)));
        return;
    }
    for chunk in key.utf8_chunks() {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        name.extend(chunk.valid().chars().map(plain));
        name.extend(chunk.invalid().iter().map(|_| '_'));
    }
}

/// Whether a label may have this name.
pub fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
