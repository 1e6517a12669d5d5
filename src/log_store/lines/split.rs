//! Takes a line apart: the template, in which a zero byte stands for each slot, and the slots.
//!
//! In a line that is one JSON object each value is a slot, so that a key's values make a column. In
//! other lines each word with a digit is one. Words are runs of letters, digits, `_` and whatever is
//! not ASCII; a UUID is one word. What can't be taken apart within the bounds is one slot as a whole.

use columns::end_of_uuid;

/// Stands for a slot.
pub(crate) const SLOT: u8 = 0;

/// The template of a line that is one slot.
pub(crate) const WHOLE: &[u8] = &[SLOT];

/// A line with more slots is one slot.
pub(crate) const SLOTS_MAX: usize = 256;

/// A line with a longer template is one slot.
const TEMPLATE_MAX: usize = 8 << 10;

/// The depth of JSON that is taken apart.
const DEPTH_MAX: u32 = 63;

const DELIMITER: u8 = 0;
const LETTER: u8 = 1;
const DIGIT: u8 = 2;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [DELIMITER; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'0'..=b'9' => DIGIT,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80..=0xFF => LETTER,
            _ => DELIMITER,
        };
        byte += 1;
    }
    classes
}

/// A line that was taken apart; reused from line to line.
#[derive(Debug, Default)]
pub(crate) struct Split {
    pub(crate) template: Vec<u8>,
    /// Where each slot is in the line.
    pub(crate) slots: Vec<(u32, u32)>,
}

impl Split {
    pub(crate) fn line(&mut self, line: &[u8]) {
        let is_object = line.first() == Some(&b'{') && line.last() == Some(&b'}');
        if line.len() <= u32::MAX as usize && !line.contains(&SLOT) {
            if is_object && self.json(line).is_some() && self.is_bounded() {
                return;
            }
            self.words(line);
            if self.is_bounded() {
                return;
            }
        }
        self.clear();
        self.template.extend_from_slice(WHOLE);
        self.slots.push((0, line.len() as u32));
    }

    fn clear(&mut self) {
        self.template.clear();
        self.slots.clear();
    }

    fn is_bounded(&self) -> bool {
        self.slots.len() <= SLOTS_MAX && self.template.len() <= TEMPLATE_MAX
    }

    fn slot(&mut self, start: usize, end: usize) {
        self.template.push(SLOT);
        self.slots.push((start as u32, end as u32));
    }

    fn words(&mut self, line: &[u8]) {
        self.clear();
        let (mut kept, mut at) = (0, 0);
        while at < line.len() {
            if CLASSES[usize::from(line[at])] == DELIMITER {
                at += 1;
                continue;
            }
            let (start, mut seen) = (at, 0);
            while let Some(byte) = line.get(at) {
                let class = CLASSES[usize::from(*byte)];
                if class == DELIMITER {
                    break;
                }
                seen |= class;
                at += 1;
            }
            let uuid = end_of_uuid(line, start, at);
            at = uuid.unwrap_or(at);
            if seen & DIGIT != 0 || uuid.is_some() {
                self.template.extend_from_slice(&line[kept..start]);
                self.slot(start, at);
                kept = at;
            }
        }
        self.template.extend_from_slice(&line[kept..]);
    }

    /// `None` if the line is not plain JSON. It need not be valid in all: what is put together again is the
    /// same. But values without quotes are such as JSON has, so that readers of columns need not look at
    /// them.
    fn json(&mut self, line: &[u8]) -> Option<()> {
        self.clear();
        // A bit for each open bracket: 1 for an array.
        let (mut arrays, mut depth) = (0u64, 0u32);
        let (mut is_value, mut kept, mut at) = (false, 0, 0);
        while let Some(byte) = line.get(at) {
            match byte {
                b'{' | b'[' => {
                    depth += 1;
                    arrays = arrays << 1 | u64::from(*byte == b'[');
                    is_value = *byte == b'[';
                    if depth > DEPTH_MAX {
                        return None;
                    }
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    arrays >>= 1;
                    is_value = false;
                }
                b':' => is_value = true,
                b',' => is_value = arrays & 1 == 1,
                b' ' | b'\t' | b'\n' | b'\r' => {}
                b'"' => {
                    let end = end_of_string(line, at)?;
                    if is_value {
                        self.template.extend_from_slice(&line[kept..=at]);
                        self.slot(at + 1, end);
                        kept = end;
                    }
                    at = end;
                }
                _ if is_value => {
                    let end = end_of_scalar(line, at);
                    if !is_scalar(&line[at..end]) {
                        return None;
                    }
                    self.template.extend_from_slice(&line[kept..at]);
                    self.slot(at, end);
                    kept = end;
                    at = end - 1;
                }
                _ => return None,
            }
            at += 1;
            if self.slots.len() > SLOTS_MAX {
                return None;
            }
        }
        self.template.extend_from_slice(&line[kept..]);
        (depth == 0).then_some(())
    }
}

/// Whether each slot of a template is a value of a JSON object, as [`Split`] makes them.
pub(crate) fn is_json(template: &[u8]) -> bool {
    if template.first() != Some(&b'{') {
        return false;
    }
    let line: Vec<u8> =
        template.iter().map(|byte| if *byte == SLOT { b'0' } else { *byte }).collect();
    let mut split = Split::default();
    split.json(&line).is_some() && split.template == template
}

/// The place of the closing quote of a string that begins at `at`.
fn end_of_string(line: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        match line.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Whether it is a number or a word of JSON, as far as a reader of JSON cares.
fn is_scalar(text: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    match text {
        [b'0'..=b'9' | b'-', rest @ ..] => rest.iter().all(is_part),
        word => matches!(word, b"true" | b"false" | b"null"),
    }
}

/// The end of a number or a word.
fn end_of_scalar(line: &[u8], at: usize) -> usize {
    let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r' | b'"');
    line[at + 1..].iter().position(ends).map_or(line.len(), |length| at + 1 + length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn joined(split: &Split, line: &[u8]) -> Vec<u8> {
        let mut slots = split.slots.iter();
        let mut text = Vec::new();
        for byte in &split.template {
            match *byte {
                SLOT => {
                    let (start, end) = slots.next().unwrap();
                    text.extend_from_slice(&line[*start as usize..*end as usize]);
                }
                byte => text.push(byte),
            }
        }
        assert_eq!(slots.next(), None);
        text
    }

    fn taken_apart(line: &str) -> (String, Vec<String>) {
        let mut split = Split::default();
        split.line(line.as_bytes());
        let slot = |(start, end): &(u32, u32)| line[*start as usize..*end as usize].to_owned();
        let template = String::from_utf8(split.template.clone()).unwrap().replace('\0', "<>");
        (template, split.slots.iter().map(slot).collect())
    }

    #[test]
    fn words_with_digits_and_values_of_json_are_slots() {
        let expected = ("user <> from <>.<> port=<> 결제".to_owned(), ["u7", "10", "0", "22x"]);
        let (template, slots) = taken_apart("user u7 from 10.0 port=22x 결제");
        assert_eq!((template, &slots[..]), (expected.0, &expected.1.map(str::to_owned)[..]));
        let (template, slots) = taken_apart(r#"{"a": "x\"y", "b":[1, true], "c":{"d":""}}"#);
        assert_eq!(template, r#"{"a": "<>", "b":[<>, <>], "c":{"d":"<>"}}"#);
        assert_eq!(slots, [r#"x\"y"#, "1", "true", ""]);
        assert_eq!(taken_apart(r#"{"a"} 5"#).0, r#"{"a"} <>"#);
        assert_eq!(taken_apart(r#"{"a":-1.5e9,"b":x5}"#).0, r#"{"a":-<>.<>,"b":<>}"#);
        assert_eq!(taken_apart(r#"{"a":-1.5e9,"b":null}"#).0, r#"{"a":<>,"b":<>}"#);
        assert_eq!(taken_apart("a\0b1").1, ["a\0b1"]);
        let uuid = "abcdefab-2fa1-11d2-883f-0016d3cca427";
        assert_eq!(
            taken_apart(&format!("pod {uuid} is up")),
            ("pod <> is up".to_owned(), vec![uuid.to_owned()])
        );
    }

    proptest! {
        #[test]
        fn lines_are_put_together_again(line: Vec<u8>, json in "[\\{\\}\\[\\]:,\"\\\\ a1]{0,40}") {
            let mut split = Split::default();
            for line in [line, json.clone().into_bytes(), format!("{{{json}}}").into_bytes()] {
                split.line(&line);
                prop_assert_eq!(joined(&split, &line), line);
            }
        }
    }
}
