//! Go's syntax of regular expressions, rewritten for the `regex` crate.
//!
//! Rewritten: `\Q..\E`, ASCII classes, octal escapes, a literal `{`. Refused, because Go refuses it:
//! stacked repetition, repeat counts above 1000, unknown escapes.

use super::strip;

const REPEAT_MAX: u32 = 1000;
/// The names that `[[:…:]]` knows.
const ASCII_CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// The pattern in the syntax of the `regex` crate; `Err` with Go's error text.
pub(super) fn translate(pattern: &str) -> Result<String, String> {
    Translator::new(pattern).run()
}

/// The pattern that matches this text and nothing else.
pub fn escape_regex(text: &str) -> String {
    regex::escape(text)
}

/// A group's name in the rewritten pattern: the `regex` crate wants a letter first.
pub(super) fn group_key(name: &str) -> String {
    format!("g{name}")
}

struct Translator<'a> {
    pattern: &'a str,
    at: usize,
    out: String,
    /// Whether something stands before that a repetition can apply to, and whether it is one.
    last: Last,
    /// Where the last repetition began.
    repeat_at: usize,
    /// Flags that apply to what comes next. They are held back, because a repetition after them is
    /// of what stands before them.
    flags: String,
    /// Whether flags were read last.
    is_behind_flags: bool,
    /// How many groups are open.
    depth: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Nothing,
    Atom,
    Repeat,
}

impl<'a> Translator<'a> {
    fn new(pattern: &'a str) -> Self {
        let out = String::with_capacity(pattern.len() + 16);
        let (last, flags, is_behind_flags) = (Last::Nothing, String::new(), false);
        Self { pattern, at: 0, out, last, repeat_at: 0, flags, is_behind_flags, depth: 0 }
    }

    fn error<T>(&self, what: &str) -> Result<T, String> {
        self.error_from(what, 0, self.pattern.len())
    }

    /// An error that shows a part of the pattern.
    fn error_from<T>(&self, what: &str, start: usize, end: usize) -> Result<T, String> {
        Err(format!("error parsing regexp: {what}: `{}`", &self.pattern[start..end]))
    }

    fn rest(&self) -> &'a str {
        &self.pattern[self.at..]
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest().chars().next()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn atom(&mut self, text: &str) {
        self.set_flags();
        self.out.push_str(text);
        self.last = Last::Atom;
    }

    fn set_flags(&mut self) {
        self.out.push_str(&std::mem::take(&mut self.flags));
    }

    fn run(mut self) -> Result<String, String> {
        while let Some(character) = self.next() {
            if !"*+?{(".contains(character) {
                self.set_flags();
            }
            match character {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '*' | '+' | '?' => self.repeat(&character.to_string())?,
                '{' => self.brace()?,
                '(' => self.group()?,
                // It must not close the group around the whole pattern.
                ')' => {
                    let what = "unexpected )";
                    self.depth =
                        self.depth.checked_sub(1).ok_or(()).or_else(|()| self.error(what))?;
                    self.atom(")");
                }
                '|' => {
                    self.out.push('|');
                    self.last = Last::Nothing;
                }
                '}' | ']' => self.atom(&format!("\\{character}")),
                _ => self.atom(character.encode_utf8(&mut [0; 4])),
            }
        }
        self.set_flags();
        if self.depth > 0 { self.error("missing closing )") } else { Ok(self.out) }
    }

    fn repeat(&mut self, operator: &str) -> Result<(), String> {
        let start = self.at - operator.len();
        let lazy = self.rest().starts_with('?');
        self.at += usize::from(lazy);
        match self.last {
            Last::Nothing => {
                return self.error_from("missing argument to repetition operator", start, self.at);
            }
            Last::Repeat if !self.is_behind_flags => {
                let what = "invalid nested repetition operator";
                return self.error_from(what, self.repeat_at, self.at);
            }
            Last::Atom | Last::Repeat => {}
        }
        // A plain question mark after a repetition would make that repetition lazy.
        let is_second = self.last == Last::Repeat && operator == "?";
        self.out.push_str(if is_second { "{0,1}" } else { operator });
        self.out.push_str(if lazy { "?" } else { "" });
        (self.last, self.repeat_at, self.is_behind_flags) = (Last::Repeat, start, false);
        Ok(())
    }

    /// A repetition where it is one, else a literal brace.
    fn brace(&mut self) -> Result<(), String> {
        let Some((counts, _)) = self.rest().split_once('}') else {
            self.atom(r"\{");
            return Ok(());
        };
        let (low, high) = counts.split_once(',').unwrap_or((counts, counts));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !is_number(low) || !(high.is_empty() || is_number(high)) {
            self.atom(r"\{");
            return Ok(());
        }
        let number = |text: &str| text.parse::<u32>().unwrap_or(u32::MAX);
        let bad = number(low) > REPEAT_MAX
            || (!high.is_empty() && (number(high) > REPEAT_MAX || number(high) < number(low)));
        if bad {
            let end = self.at + counts.len() + 1;
            return self.error_from("invalid repeat count", self.at - 1, end);
        }
        self.at += counts.len() + 1;
        self.repeat(&format!("{{{counts}}}"))
    }

    fn group(&mut self) -> Result<(), String> {
        let before = std::mem::replace(&mut self.last, Last::Nothing);
        let Some(flags) = self.rest().strip_prefix('?') else {
            self.open("(");
            return Ok(());
        };
        if flags.starts_with("P<") || flags.starts_with('<') {
            self.open("(");
            return self.group_name();
        }
        let end = flags.find([':', ')']).unwrap_or(flags.len());
        let is_unknown = |(_, flag): &(usize, char)| !"imsU-".contains(*flag);
        if let Some((at, flag)) = flags[..end].char_indices().find(is_unknown) {
            let end = self.at + 1 + at + flag.len_utf8();
            return self.error_from("invalid or unsupported Perl syntax", self.at - 1, end);
        }
        self.at += 1 + end;
        if self.rest().starts_with(')') {
            self.next();
            self.flags.push_str(&format!("(?{})", &flags[..end]));
            (self.last, self.is_behind_flags) = (before, true);
            return Ok(());
        }
        self.open(&format!("(?{}", &flags[..end]));
        if self.rest().starts_with(':') {
            self.next();
            self.out.push(':');
        }
        Ok(())
    }

    fn open(&mut self, head: &str) {
        self.set_flags();
        self.out.push_str(head);
        self.depth += 1;
    }

    /// `?P<name>` or `?<name>`.
    fn group_name(&mut self) -> Result<(), String> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = self.rest().find('>').map_or(self.pattern.len(), |length| self.at + length + 1);
        let head = self.pattern[self.at..end].strip_suffix('>').unwrap_or_default();
        let (_, name) = head.split_once('<').unwrap_or_default();
        if name.is_empty() || !name.chars().all(is_part) {
            return self.error_from("invalid named capture", self.at - 1, end);
        }
        let (length, key) = (head.len() + 1, group_key(name));
        self.out.push_str(&format!("?P<{key}>"));
        self.at += length;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), String> {
        let Some(character) = self.next() else {
            return self.error("trailing backslash at end of expression");
        };
        match character {
            'Q' => self.quoted(),
            'A' | 'z' => self.atom(&format!("\\{character}")),
            'b' | 'B' => self.atom(&format!("(?-u:\\{character})")),
            'd' | 'D' | 'w' | 'W' | 's' | 'S' => {
                let inside = self.class_escape(character)?;
                self.atom(&format!("[{inside}]"));
            }
            _ => {
                let text = self.class_escape(character)?;
                self.atom(&text);
            }
        }
        Ok(())
    }

    fn quoted(&mut self) {
        let (literal, skip) = match self.rest().find(r"\E") {
            Some(end) => (&self.rest()[..end], end + 2),
            None => (self.rest(), self.rest().len()),
        };
        for character in literal.chars() {
            self.atom(&regex::escape(character.encode_utf8(&mut [0; 4])));
        }
        self.at += skip;
    }

    /// An escape that may also stand in a class: an escaped character, or the inside of a class.
    fn class_escape(&mut self, character: char) -> Result<String, String> {
        Ok(match character {
            'd' => "0-9".to_owned(),
            'w' => "0-9A-Za-z_".to_owned(),
            's' => r"\t\n\x0C\r ".to_owned(),
            'D' => "[^0-9]".to_owned(),
            'W' => "[^0-9A-Za-z_]".to_owned(),
            'S' => r"[^\t\n\x0C\r ]".to_owned(),
            'a' => r"\x07".to_owned(),
            'f' => r"\x0C".to_owned(),
            'v' => r"\x0B".to_owned(),
            't' | 'n' | 'r' => format!("\\{character}"),
            'p' | 'P' => self.property(character)?,
            'x' => self.hex()?,
            '0'..='7' => self.octal(character)?,
            _ if character.is_ascii() && !character.is_ascii_alphanumeric() => {
                format!("\\x{:02X}", u32::from(character))
            }
            _ => {
                let start = self.at - character.len_utf8() - 1;
                return self.error_from("invalid escape sequence", start, self.at);
            }
        })
    }

    fn property(&mut self, kind: char) -> Result<String, String> {
        let name = match self.next() {
            Some('{') => {
                let Some((name, _)) = self.rest().split_once('}') else {
                    return self.error("invalid character class range");
                };
                self.at += name.len() + 1;
                name.to_owned()
            }
            Some(letter) => letter.to_string(),
            None => return self.error("invalid character class range"),
        };
        let (negated, name) = strip(&name, |name| name.strip_prefix('^'));
        let plain = name.chars().all(|c| c.is_ascii_alphabetic() || c == '_');
        if !plain || !name.starts_with(|c: char| c.is_ascii_uppercase()) {
            return self.error("invalid character class range");
        }
        let kind = if negated == (kind == 'p') { 'P' } else { 'p' };
        Ok(format!("\\{kind}{{{name}}}"))
    }

    fn hex(&mut self) -> Result<String, String> {
        let (digits, skip) = match self.rest().strip_prefix('{') {
            Some(braced) => match braced.split_once('}') {
                Some((digits, _)) => (digits, digits.len() + 2),
                None => return self.error("invalid escape sequence"),
            },
            None => (self.rest().get(..2).unwrap_or_default(), 2),
        };
        match u32::from_str_radix(digits, 16).ok().and_then(char::from_u32) {
            Some(character) => {
                self.at += skip;
                Ok(format!("\\x{{{:X}}}", u32::from(character)))
            }
            None => self.error("invalid escape sequence"),
        }
    }

    /// Up to three octal digits. One digit other than zero would be a back-reference.
    fn octal(&mut self, first: char) -> Result<String, String> {
        let more = self.rest().chars().take(2).take_while(|c| ('0'..='7').contains(c)).count();
        if first != '0' && more == 0 {
            return self.error_from("invalid escape sequence", self.at - 2, self.at);
        }
        let digits = format!("{first}{}", &self.rest()[..more]);
        self.at += more;
        let code = u32::from_str_radix(&digits, 8).expect("octal digits make a number");
        Ok(format!("\\x{{{code:X}}}"))
    }

    /// In Go's classes `[`, `&&`, `--` and `~~` are plain characters.
    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.rest().starts_with('^') {
            self.next();
            self.out.push('^');
        }
        let mut first = true;
        while let Some(character) = self.next() {
            match character {
                ']' if !first => {
                    self.out.push(']');
                    self.last = Last::Atom;
                    return Ok(());
                }
                '[' if self.class_name().is_some() => self.named_class()?,
                '\\' => {
                    let Some(escaped) = self.next() else { break };
                    let text = self.class_escape(escaped)?;
                    self.out.push_str(&text);
                }
                '[' | ']' | '&' | '~' => {
                    self.out.push('\\');
                    self.out.push(character);
                }
                '-' if self.rest().starts_with('-') => self.out.push_str(r"\-"),
                _ if self.rest().starts_with("--") => self.range_to_dash(character)?,
                _ => self.out.push(character),
            }
            first = false;
        }
        self.error("missing closing ]")
    }

    /// `[+--]` is the range up to the second dash.
    fn range_to_dash(&mut self, first: char) -> Result<(), String> {
        let start = self.at - first.len_utf8();
        self.at += 2;
        if first > '-' {
            return self.error_from("invalid character class range", start, self.at);
        }
        self.out.push_str(&format!("\\x{{{:X}}}-\\-", u32::from(first)));
        Ok(())
    }

    /// The name between colons, where one begins here.
    fn class_name(&self) -> Option<&'a str> {
        let (name, _) = self.rest().strip_prefix(':')?.split_once(":]")?;
        Some(name)
    }

    /// `[:alpha:]` or `[:^alpha:]` inside a class.
    fn named_class(&mut self) -> Result<(), String> {
        let name = self.class_name().expect("the caller has looked");
        let (start, end) = (self.at - 1, self.at + name.len() + 3);
        if !ASCII_CLASSES.contains(&name.strip_prefix('^').unwrap_or(name)) {
            return self.error_from("invalid character class range", start, end);
        }
        self.at = end;
        self.out.push_str(&self.pattern[start..end]);
        Ok(())
    }
}
