//! Reads JSON piece by piece without copying: the base of the decoders of logs in JSON.
//!
//! Lives here: values, texts and their escapes, objects and lists.
//! Not here: any format; each decoder has its own keys.
//! Invariants: every error has a position; values nest to a bounded depth; texts are borrowed, and
//! their escapes undone only by who needs them. Texts may hold any bytes, because lines do: a byte
//! that is not UTF-8 or a control character is no error.

use memchr::memchr2;

/// How deep objects and lists may nest.
pub const JSON_DEPTH_MAX: usize = 128;

/// Why bytes are not the JSON that was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at byte {at}")]
pub struct JsonError {
    pub at: usize,
    pub expected: &'static str,
}

/// What a value is, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonKind {
    Object,
    Array,
    Text,
    Number,
    Bool,
    Null,
}

/// A text between its quotes, escapes as they were sent; all of them are valid.
#[derive(Clone, Copy, Debug)]
pub struct JsonText<'a> {
    raw: &'a [u8],
    is_escaped: bool,
}

impl<'a> JsonText<'a> {
    /// Its bytes, if it has no escapes.
    pub fn plain(self) -> Option<&'a [u8]> {
        (!self.is_escaped).then_some(self.raw)
    }

    /// Its bytes, in `scratch` where it has escapes.
    pub fn bytes<'s>(self, scratch: &'s mut Vec<u8>) -> &'s [u8]
    where
        'a: 's,
    {
        if !self.is_escaped {
            return self.raw;
        }
        scratch.clear();
        self.unescape(scratch);
        scratch
    }

    /// Appends it to a text; what is not UTF-8 becomes U+FFFD.
    pub fn append_to(self, out: &mut String) {
        if !self.is_escaped {
            return append_lossy(self.raw, out);
        }
        let mut bytes = Vec::with_capacity(self.raw.len());
        self.unescape(&mut bytes);
        append_lossy(&bytes, out);
    }

    /// The length of what was sent, which is no shorter than the text.
    pub fn length(self) -> usize {
        self.raw.len()
    }

    pub fn is(self, text: &str) -> bool {
        match self.is_escaped {
            false => self.raw == text.as_bytes(),
            true => {
                let mut bytes = Vec::new();
                self.unescape(&mut bytes);
                bytes == text.as_bytes()
            }
        }
    }

    fn unescape(self, out: &mut Vec<u8>) {
        let mut rest = self.raw;
        while let Some(at) = memchr::memchr(b'\\', rest) {
            out.extend_from_slice(&rest[..at]);
            rest = unescape_one(&rest[at + 1..], out);
        }
        out.extend_from_slice(rest);
    }
}

fn append_lossy(bytes: &[u8], out: &mut String) {
    match std::str::from_utf8(bytes) {
        Ok(text) => out.push_str(text),
        Err(_) => out.push_str(&String::from_utf8_lossy(bytes)),
    }
}

/// Undoes the escape behind a backslash; answers what follows it. Half a pair of surrogates becomes
/// U+FFFD.
fn unescape_one<'a>(escape: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let Some((&kind, rest)) = escape.split_first() else { return &[] };
    let simple = match kind {
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => {
            let (character, rest) = unescape_unicode(rest);
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            return rest;
        }
        other => other,
    };
    out.push(simple);
    rest
}

fn unescape_unicode(digits: &[u8]) -> (char, &[u8]) {
    let replaced = char::REPLACEMENT_CHARACTER;
    let Some((unit, rest)) = hex4(digits) else { return (replaced, digits) };
    if !(0xd800..0xdc00).contains(&unit) {
        return (char::from_u32(unit).unwrap_or(replaced), rest);
    }
    let low = rest.strip_prefix(b"\\u").and_then(hex4);
    match low.filter(|(low, _)| (0xdc00..0xe000).contains(low)) {
        Some((low, rest)) => {
            let code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
            (char::from_u32(code).unwrap_or(replaced), rest)
        }
        None => (replaced, rest),
    }
}

fn hex4(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = bytes.split_first_chunk::<4>()?;
    let digit = |value: u32, digit: &u8| Some(value << 4 | char::from(*digit).to_digit(16)?);
    Some((digits.iter().try_fold(0, digit)?, rest))
}

/// Reads one value after another.
#[derive(Clone, Debug)]
pub struct JsonReader<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
}

impl<'a> JsonReader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, depth: 0 }
    }

    /// How many bytes were read.
    pub fn position(&self) -> usize {
        self.at
    }

    pub fn error(&self, expected: &'static str) -> JsonError {
        JsonError { at: self.at, expected }
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn peek(&mut self) -> Option<u8> {
        self.skip_space();
        self.bytes.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), JsonError> {
        if self.peek() != Some(byte) {
            return Err(self.error(expected));
        }
        self.at += 1;
        Ok(())
    }

    /// What comes next.
    pub fn kind(&mut self) -> Result<JsonKind, JsonError> {
        match self.peek() {
            Some(b'{') => Ok(JsonKind::Object),
            Some(b'[') => Ok(JsonKind::Array),
            Some(b'"') => Ok(JsonKind::Text),
            Some(b'-' | b'0'..=b'9') => Ok(JsonKind::Number),
            Some(b't' | b'f') => Ok(JsonKind::Bool),
            Some(b'n') => Ok(JsonKind::Null),
            _ => Err(self.error("a value")),
        }
    }

    /// Nothing may follow but space.
    pub fn end(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.error("the end")),
        }
    }

    pub fn text(&mut self) -> Result<JsonText<'a>, JsonError> {
        self.expect(b'"', "a text")?;
        let start = self.at;
        let mut is_escaped = false;
        loop {
            let rest = &self.bytes[self.at..];
            let Some(found) = memchr2(b'"', b'\\', rest) else {
                self.at = self.bytes.len();
                return Err(self.error("the end of a text"));
            };
            self.at += found;
            if rest[found] == b'"' {
                let raw = &self.bytes[start..self.at];
                self.at += 1;
                return Ok(JsonText { raw, is_escaped });
            }
            is_escaped = true;
            self.at += match rest.get(found + 1) {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
                Some(b'u') if hex4(&rest[found + 2..]).is_some() => 6,
                _ => return Err(self.error("an escape of JSON")),
            };
        }
    }

    /// A number as it was written.
    pub fn number(&mut self) -> Result<&'a str, JsonError> {
        self.skip_space();
        let rest = &self.bytes[self.at..];
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let length = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        let text = std::str::from_utf8(&rest[..length]).unwrap_or_default();
        if !is_number(text.as_bytes()) {
            return Err(self.error("a number"));
        }
        self.at += length;
        Ok(text)
    }

    /// A whole number, or a text of one, as senders write numbers of 64 bits for whom JSON's are floats.
    /// `null` is zero.
    pub fn whole(&mut self) -> Result<i128, JsonError> {
        let kind = self.kind()?;
        let wanted = self.error("a whole number, or a text of one");
        let parse = |text: &str| match text.parse() {
            Ok(whole) => Some(whole),
            Err(_) => {
                let float: f64 = text.parse().ok()?;
                (float.fract() == 0.0 && float.abs() < 1e18).then_some(float as i128)
            }
        };
        let whole = match kind {
            JsonKind::Number => parse(self.number()?),
            JsonKind::Text => {
                self.text()?.plain().and_then(|text| parse(str::from_utf8(text).ok()?))
            }
            JsonKind::Null => return self.null().map(|()| 0),
            _ => None,
        };
        whole.ok_or(wanted)
    }

    pub fn boolean(&mut self) -> Result<bool, JsonError> {
        match self.peek() {
            Some(b't') => self.word("true").map(|()| true),
            _ => self.word("false").map(|()| false),
        }
    }

    pub fn null(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        self.word("null")
    }

    fn word(&mut self, word: &'static str) -> Result<(), JsonError> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.error(word));
        }
        self.at += word.len();
        Ok(())
    }

    /// Calls `each` with the reader at the value of each key; it must read that value.
    pub fn object<E: From<JsonError>>(
        &mut self,
        mut each: impl FnMut(&mut Self, JsonText<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(b'{', "an object")?;
        self.list(b'}', "a comma or the end of an object", |reader| {
            let key = reader.text()?;
            reader.expect(b':', "a colon")?;
            each(reader, key)
        })
    }

    /// Calls `each` with the reader at each value; it must read that value.
    pub fn array<E: From<JsonError>>(
        &mut self,
        each: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(b'[', "a list")?;
        self.list(b']', "a comma or the end of a list", each)
    }

    fn list<E: From<JsonError>>(
        &mut self,
        end: u8,
        expected: &'static str,
        mut each: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.depth >= JSON_DEPTH_MAX {
            return Err(self.error("less nesting than 128 levels").into());
        }
        self.depth += 1;
        if self.peek() == Some(end) {
            self.at += 1;
        } else {
            loop {
                each(self)?;
                match self.peek() {
                    Some(b',') => self.at += 1,
                    Some(byte) if byte == end => break self.at += 1,
                    _ => return Err(self.error(expected).into()),
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Passes over a value; answers its bytes.
    pub fn skip(&mut self) -> Result<&'a [u8], JsonError> {
        let kind = self.kind()?;
        let start = self.at;
        match kind {
            JsonKind::Object => self.object(|reader, _| reader.skip().map(drop))?,
            JsonKind::Array => self.array(|reader| reader.skip().map(drop))?,
            JsonKind::Text => drop(self.text()?),
            JsonKind::Number => drop(self.number()?),
            JsonKind::Bool => drop(self.boolean()?),
            JsonKind::Null => self.null()?,
        }
        Ok(&self.bytes[start..self.at])
    }
}

/// `-? digits (. digits)? ([eE] [+-]? digits)?`
fn is_number(text: &[u8]) -> bool {
    let digits = |text: &mut &[u8]| {
        let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        *text = &text[count..];
        count > 0
    };
    let mut rest = text.strip_prefix(b"-").unwrap_or(text);
    if !digits(&mut rest) {
        return false;
    }
    if let Some(fraction) = rest.strip_prefix(b".") {
        rest = fraction;
        if !digits(&mut rest) {
            return false;
        }
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        rest = match exponent {
            [b'+' | b'-', unsigned @ ..] => unsigned,
            _ => exponent,
        };
        if !digits(&mut rest) {
            return false;
        }
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(bytes: &[u8]) -> Result<(), JsonError> {
        let mut reader = JsonReader::new(bytes);
        reader.skip()?;
        reader.end()
    }

    fn text(json: &str) -> String {
        let mut text = String::new();
        JsonReader::new(json.as_bytes()).text().unwrap().append_to(&mut text);
        text
    }

    #[test]
    fn errors_have_positions() {
        for (json, error) in [
            ("", "expected a value at byte 0"),
            ("{\"a\" 1}", "expected a colon at byte 5"),
            ("[1, 2", "expected a comma or the end of a list at byte 5"),
            ("\"abc", "expected the end of a text at byte 4"),
            ("\"a\\x\"", "expected an escape of JSON at byte 2"),
            ("\"\\u12g4\"", "expected an escape of JSON at byte 1"),
            ("1.", "expected a number at byte 0"),
            ("nul", "expected null at byte 0"),
            ("1 2", "expected the end at byte 2"),
        ] {
            assert_eq!(whole(json.as_bytes()).unwrap_err().to_string(), error, "{json}");
        }
        let deep = "[".repeat(1_000);
        assert!(whole(deep.as_bytes()).unwrap_err().to_string().contains("128 levels"));
    }

    #[test]
    fn escapes_are_undone() {
        for (json, expected) in [
            (r#""a\"\\\/\b\f\n\r\tz""#, "a\"\\/\u{8}\u{c}\n\r\tz"),
            (r#""\ud55c\uae00 \ud83d\ude00""#, "한글 😀"),
            (r#""\ud83d!""#, "\u{fffd}!"),
            (r#""\ud83d\u0041""#, "\u{fffd}A"),
            (r#""\ude00""#, "\u{fffd}"),
        ] {
            assert_eq!(text(json), expected);
        }
        assert!(JsonReader::new(br#""\u0061b""#).text().unwrap().is("ab"));
    }

    proptest! {
        #[test]
        fn what_serde_writes_is_read(
            texts in prop::collection::vec("\\PC{0,8}|[\"\\\\\n\t\u{1}]{1,3}", 0..5),
            number: f64,
        ) {
            let json = serde_json::json!({ "a": texts, "b": { "c": number, "d": null } }).to_string();
            prop_assert!(whole(json.as_bytes()).is_ok(), "{json}");
            let mut read = Vec::new();
            JsonReader::new(json.as_bytes()).object(|reader, key| {
                if !key.is("a") {
                    return reader.skip().map(drop);
                }
                reader.array(|reader| {
                    let mut text = String::new();
                    reader.text()?.append_to(&mut text);
                    read.push(text);
                    Ok::<_, JsonError>(())
                })
            }).unwrap();
            prop_assert_eq!(read, texts);
        }

        #[test]
        fn any_bytes_are_read_or_refused_as_serde_does(bytes in "[\\[\\]{}\":,0-9eE+.tfn\\-a-z ]{0,20}") {
            let serde = serde_json::from_str::<serde_json::Value>(&bytes);
            match whole(bytes.as_bytes()) {
                // serde also refuses numbers that begin with a zero or are beyond any float.
                Ok(()) => prop_assert!(serde.is_ok() || bytes.contains(|c: char| c.is_ascii_digit())),
                Err(_) => prop_assert!(serde.is_err()),
            }
        }

        #[test]
        fn any_bytes_end(bytes: Vec<u8>) {
            drop(whole(&bytes));
        }
    }
}
