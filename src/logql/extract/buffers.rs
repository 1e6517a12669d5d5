//! What is reused from line to line.

/// Memory that extracting writes into. One for each thread.
#[derive(Debug, Default)]
pub struct Buffers {
    /// The name of the field that is read.
    pub(super) name: String,
    /// A key without its escapes.
    pub(super) key: Vec<u8>,
    /// A value without its escapes.
    pub(super) bytes: Vec<u8>,
    /// A value as text.
    pub(super) text: String,
    /// How far each expression has matched, and whether it has been found.
    pub(super) progress: Vec<Progress>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// How many steps of the path lead to where the scan is.
    pub(super) steps: usize,
    pub(super) is_found: bool,
    /// Whether a value has been given.
    pub(super) is_given: bool,
}

/// The bytes as text. What is no text becomes a space, and so does U+FFFD, which says that something
/// was none.
pub(super) fn as_text<'t>(bytes: &'t [u8], text: &'t mut String) -> &'t str {
    let has_replacement = || memchr::memmem::find(bytes, "\u{fffd}".as_bytes()).is_some();
    match std::str::from_utf8(bytes) {
        Ok(valid) if !has_replacement() => return valid,
        _ => text.clear(),
    }
    for chunk in bytes.utf8_chunks() {
        let valid = chunk.valid().chars();
        text.extend(valid.map(|character| if character == '\u{fffd}' { ' ' } else { character }));
        text.extend(chunk.invalid().iter().map(|_| ' '));
    }
    text
}

/// Whether all of it is text, without U+FFFD.
pub(crate) fn is_text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| !text.contains('\u{fffd}'))
}
