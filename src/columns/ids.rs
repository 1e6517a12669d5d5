//! Identifiers: texts that stand for bytes, and which words of a text are some.
//!
//! Two forms: lower-case hexadecimal digits, and UUIDs, whose 32 digits are in groups of 8, 4, 4, 4 and 12
//! with dashes between them.
//! An *identifier* is a word of one of these forms that has at least [`ID_DIGITS_MIN`] digits, among them
//! both `0-9` and `a-f`: nearly all that machines draw are such words, and few other words are. Words are
//! runs of ASCII letters, digits, `_` and bytes from 128 on; a UUID counts as one word.

/// The fewest hexadecimal digits of an identifier.
pub const ID_DIGITS_MIN: usize = 8;
/// The most.
pub const ID_DIGITS_MAX: usize = 64;

/// The length of a UUID as text.
pub const UUID_LENGTH: usize = 36;

/// Where the dashes of a UUID are.
const DASHES: [usize; 4] = [8, 13, 18, 23];

/// How the bytes of an identifier are written as a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdForm {
    Hex,
    Uuid,
}

impl IdForm {
    /// Appends the text of bytes, which are 16 if it is a UUID.
    pub fn append(self, bytes: &[u8], into: &mut Vec<u8>) {
        match self {
            Self::Hex => ids_to_hex(bytes, into),
            Self::Uuid => {
                let mut rest = bytes;
                for length in [4, 2, 2, 2, 6] {
                    let (group, later) = rest.split_at(rest.len().min(length));
                    ids_to_hex(group, into);
                    rest = later;
                    if !rest.is_empty() {
                        into.push(b'-');
                    }
                }
            }
        }
    }

    /// How long the text of so many bytes is.
    pub fn text_length(self, bytes: usize) -> usize {
        if self == Self::Uuid { UUID_LENGTH } else { bytes * 2 }
    }

    /// Appends the bytes of a text that has this form.
    pub fn append_bytes(self, text: &[u8], into: &mut Vec<u8>) {
        match self {
            Self::Hex => hex_to_ids(text, into),
            Self::Uuid => {
                text.split(|byte| *byte == b'-').for_each(|group| hex_to_ids(group, into));
            }
        }
    }
}

fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// Whether the text is lower-case hexadecimal with an even number of digits.
pub fn is_hex(text: &[u8]) -> bool {
    text.len().is_multiple_of(2) && text.iter().all(|byte| is_digit(*byte))
}

/// Whether the text is a UUID in lower case.
pub fn is_uuid(text: &[u8]) -> bool {
    let fits = |(at, byte): (usize, &u8)| match DASHES.contains(&at) {
        true => *byte == b'-',
        false => is_digit(*byte),
    };
    text.len() == UUID_LENGTH && text.iter().enumerate().all(fits)
}

/// The form of a text that is an identifier.
pub fn id_form(text: &[u8]) -> Option<IdForm> {
    let form = match text.len() {
        UUID_LENGTH if is_uuid(text) => IdForm::Uuid,
        ID_DIGITS_MIN..=ID_DIGITS_MAX if is_hex(text) => IdForm::Hex,
        _ => return None,
    };
    let has = |class: fn(&u8) -> bool| text.iter().any(class);
    (has(u8::is_ascii_digit) && has(u8::is_ascii_lowercase)).then_some(form)
}

/// The bytes of a text that is an identifier.
pub fn identifier(text: &[u8]) -> Option<Vec<u8>> {
    let form = id_form(text)?;
    let mut bytes = Vec::with_capacity(text.len() / 2);
    form.append_bytes(text, &mut bytes);
    Some(bytes)
}

/// Whether a byte belongs to words.
pub fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 128
}

/// Where a UUID ends that begins with the word `text[start..end]`; `None` if there is none.
#[inline]
pub fn end_of_uuid(text: &[u8], start: usize, end: usize) -> Option<usize> {
    if end - start != DASHES[0] || text.get(end) != Some(&b'-') {
        return None;
    }
    let behind = start + UUID_LENGTH;
    let is_word_end = text.get(behind).is_none_or(|byte| !is_word_byte(*byte));
    (is_uuid(text.get(start..behind)?) && is_word_end).then_some(behind)
}

/// Calls `each` with the words of a text.
pub fn each_word<'t>(text: &'t [u8], mut each: impl FnMut(&'t [u8])) {
    let mut at = 0;
    while at < text.len() {
        if !is_word_byte(text[at]) {
            at += 1;
            continue;
        }
        let start = at;
        at += text[start..].iter().take_while(|byte| is_word_byte(**byte)).count();
        at = end_of_uuid(text, start, at).unwrap_or(at);
        each(&text[start..at]);
    }
}

/// Calls `each` with the identifiers among the words of a text.
pub fn each_identifier<'t>(text: &'t [u8], mut each: impl FnMut(IdForm, &'t [u8])) {
    each_word(text, |word| {
        if let Some(form) = id_form(word) {
            each(form, word);
        }
    });
}

fn digit(byte: u8) -> u8 {
    if byte <= b'9' { byte - b'0' } else { byte - b'a' + 10 }
}

/// Appends the bytes of a text for which [`is_hex`] holds.
pub fn hex_to_ids(hex: &[u8], into: &mut Vec<u8>) {
    into.extend(hex.chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])));
}

/// Appends the text of bytes.
pub fn ids_to_hex(bytes: &[u8], into: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    into.reserve(bytes.len() * 2);
    for byte in bytes {
        into.push(DIGITS[usize::from(byte >> 4)]);
        into.push(DIGITS[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_come_back(bytes: Vec<u8>, uuid: [u8; 16]) {
            let (mut hex, mut back) = (Vec::new(), Vec::new());
            ids_to_hex(&bytes, &mut hex);
            prop_assert!(is_hex(&hex));
            hex_to_ids(&hex, &mut back);
            prop_assert_eq!(back, bytes);
            let (mut text, mut back) = (Vec::new(), Vec::new());
            IdForm::Uuid.append(&uuid, &mut text);
            prop_assert!(is_uuid(&text));
            prop_assert_eq!(text.len(), IdForm::Uuid.text_length(16));
            IdForm::Uuid.append_bytes(&text, &mut back);
            prop_assert_eq!(back, uuid);
        }

        #[test]
        fn any_text_has_words(text in "[0-9a-g_ -]{0,60}", bytes: Vec<u8>) {
            for text in [text.as_bytes(), &bytes] {
                each_identifier(text, |form, id| {
                    assert_eq!(id_form(id), Some(form));
                    assert_eq!(identifier(id).unwrap().len() * 2, id.iter().filter(|b| **b != b'-').count());
                });
            }
        }
    }

    #[test]
    fn identifiers_are_found_among_words() {
        let found = |text: &str| {
            let mut found = Vec::new();
            each_identifier(text.as_bytes(), |_, id| {
                found.push(String::from_utf8_lossy(id).into_owned());
            });
            found
        };
        let uuid = "1b4e28ba-2fa1-11d2-883f-0016d3cca427";
        assert_eq!(found(&format!("pod {uuid}, x")), [uuid]);
        assert_eq!(found(&format!("{uuid}0")), ["1b4e28ba"]);
        assert_eq!(
            found("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            ["4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"]
        );
        assert_eq!(found("deadbeef 12345678 a234567 A2345678 a2345678x b2345678_"), [""; 0]);
        assert_eq!(found("id=a2345678\u{ac00} (b2345678)"), ["b2345678"]);
    }
}
