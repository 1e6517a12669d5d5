//! Regular expressions as RE2 and Go understand them, run by the `regex` crate.
//!
//! Both are linear-time engines with nearly one syntax. Where they differ the pattern is translated
//! (`\Q..\E`, ASCII classes, octal escapes, a literal `{`), or refused where Go refuses it (stacked
//! repetition, repeat counts above 1000, unknown escapes). Patterns always match whole values, and
//! `.` matches line ends too.
//!
//! Most patterns of real queries are literals, alternations of literals or a literal with `.*`
//! beside it, with their dots escaped: those never reach the engine.

use regex::bytes::{Captures, Regex, RegexBuilder};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a compiled pattern may take.
const COMPILED_BYTES_MAX: usize = 1 << 20;
const REPEAT_MAX: u32 = 1000;
const NESTING_MAX: u32 = 200;
/// The names that `[[:…:]]` knows.
const ASCII_CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// A pattern that must match all of a value.
#[derive(Clone, Debug)]
pub struct AnchoredRegex {
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Anything,
    NotEmpty,
    /// Sorted: dashboards ask for thousands.
    Literals(Vec<String>),
    /// `abc.*`
    Prefix(String),
    /// `.*abc`
    Suffix(String),
    /// `.*abc.*`
    Contains(String),
    Engine {
        regex: Arc<Regex>,
        prefix: String,
    },
}

impl AnchoredRegex {
    pub fn new(pattern: &str) -> Result<Self, String> {
        if let Some(form) = simple_form(pattern) {
            return Ok(Self { form });
        }
        let prefix = literal_prefix(pattern);
        Ok(Self { form: Form::Engine { regex: compile(pattern)?, prefix } })
    }

    pub fn is_match(&self, value: &str) -> bool {
        match &self.form {
            Form::Anything => true,
            Form::NotEmpty => !value.is_empty(),
            Form::Literals(literals) => {
                literals.binary_search_by(|literal| literal.as_str().cmp(value)).is_ok()
            }
            Form::Prefix(prefix) => value.starts_with(prefix.as_str()),
            Form::Suffix(suffix) => value.ends_with(suffix.as_str()),
            Form::Contains(part) => value.contains(part.as_str()),
            Form::Engine { regex, prefix } => {
                value.starts_with(prefix.as_str()) && regex.is_match(value.as_bytes())
            }
        }
    }

    /// Whether it is one that the engine runs, for which it takes memory and time beforehand.
    pub(crate) fn is_compiled(&self) -> bool {
        matches!(self.form, Form::Engine { .. })
    }

    /// All values that match, sorted, where they are known.
    pub fn literals(&self) -> Option<Vec<&str>> {
        match &self.form {
            Form::Literals(literals) => Some(literals.iter().map(String::as_str).collect()),
            _ => None,
        }
    }

    pub fn prefix(&self) -> Option<&str> {
        match &self.form {
            Form::Prefix(prefix) | Form::Engine { prefix, .. } if !prefix.is_empty() => {
                Some(prefix)
            }
            _ => None,
        }
    }
}

/// A whole-value pattern with its groups, for `label_replace`.
#[derive(Clone, Debug)]
pub(crate) struct ReplacePattern(Arc<Regex>);

impl ReplacePattern {
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        compile(pattern).map(Self)
    }

    /// `None` where the value does not match. `$1`, `${1}` and `${name}` stand for groups.
    pub(crate) fn replace(&self, value: &str, template: &str) -> Option<String> {
        let captures = self.0.captures(value.as_bytes())?;
        Some(expand(template, &captures))
    }
}

fn expand(template: &str, captures: &Captures<'_>) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        match group_reference(rest) {
            Some((name, after)) => {
                out.push_str(&captured(captures, name));
                rest = after;
            }
            None => out.push('$'),
        }
    }
    out.push_str(rest);
    out
}

/// `name` or `{name}` at the start: the name and what follows.
fn group_reference(text: &str) -> Option<(&str, &str)> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    if let Some(braced) = text.strip_prefix('{') {
        let (name, after) = braced.split_once('}')?;
        return (!name.is_empty() && name.chars().all(is_part)).then_some((name, after));
    }
    let length = text.find(|c| !is_part(c)).unwrap_or(text.len());
    (length > 0).then(|| text.split_at(length))
}

fn captured(captures: &Captures<'_>, name: &str) -> String {
    let group = match name.parse::<usize>() {
        Ok(index) => captures.get(index),
        Err(_) => captures.name(&group_key(name)),
    };
    group.map(|group| String::from_utf8_lossy(group.as_bytes()).into_owned()).unwrap_or_default()
}

/// A group's name as the regex crate knows it, which wants a letter first.
fn group_key(name: &str) -> String {
    format!("g{name}")
}

/// A dashboard asks with the same expressions again and again, and compiling one, and finding its
/// states anew, costs more than most of its answers. They are shared: a copy would find them anew.
static COMPILED: Mutex<Vec<(String, Arc<Regex>)>> = Mutex::new(Vec::new());
const COMPILED_KEPT: usize = 64;

/// Compiles, or takes what was compiled lately. The last used stand last.
fn compile(pattern: &str) -> Result<Arc<Regex>, String> {
    let lock = || COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let take = |mut kept: MutexGuard<'_, Vec<(String, Arc<Regex>)>>| {
        let index = kept.iter().position(|(known, _)| known == pattern)?;
        Some(kept.remove(index).1)
    };
    let regex = take(lock()).map_or_else(|| compile_anew(pattern).map(Arc::new), Ok)?;
    let mut kept = lock();
    if kept.len() >= COMPILED_KEPT {
        kept.remove(0);
    }
    kept.push((pattern.to_owned(), Arc::clone(&regex)));
    Ok(regex)
}

fn compile_anew(pattern: &str) -> Result<Regex, String> {
    let translated = Translator::new(pattern).run()?;
    let anchored = format!("^(?s:{translated})$");
    let build = |pattern: &str| {
        RegexBuilder::new(pattern)
            .size_limit(COMPILED_BYTES_MAX)
            .dfa_size_limit(COMPILED_BYTES_MAX)
            .nest_limit(NESTING_MAX)
            .build()
    };
    build(&anchored).map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => {
            format!("error parsing regexp: expression is too large: `{pattern}`")
        }
        _ => format!("error parsing regexp: {}: `{pattern}`", reason(&translated)),
    })
}

/// Go's words for the commonest mistakes.
fn reason(pattern: &str) -> &'static str {
    let opened = pattern.matches('[').count() > pattern.matches(']').count();
    let closed = pattern.matches(')').count();
    match pattern.matches('(').count() {
        _ if opened => "missing closing ]",
        open if open > closed => "missing closing )",
        open if open < closed => "unexpected )",
        _ if pattern.starts_with(['*', '+', '?']) => "missing argument to repetition operator",
        _ => "invalid syntax",
    }
}

fn is_meta(c: char) -> bool {
    r"\.+*?()|[]{}^$".contains(c)
}

/// The texts that a pattern without anything special lists: `a|b\.c`.
fn alternatives(pattern: &str) -> Option<Vec<String>> {
    let mut all = vec![String::new()];
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        let last = all.last_mut()?;
        match character {
            '|' => all.push(String::new()),
            '\\' => last.push(characters.next().filter(char::is_ascii_punctuation)?),
            special if is_meta(special) => return None,
            plain => last.push(plain),
        }
    }
    Some(all)
}

fn literal(pattern: &str) -> Option<String> {
    let [only] = <[String; 1]>::try_from(alternatives(pattern)?).ok()?;
    (!only.is_empty()).then_some(only)
}

fn simple_form(pattern: &str) -> Option<Form> {
    match pattern {
        ".*" => return Some(Form::Anything),
        ".+" => return Some(Form::NotEmpty),
        _ => {}
    }
    let inner = pattern.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    if let Some(mut literals) = alternatives(inner.unwrap_or(pattern)) {
        literals.sort_unstable();
        literals.dedup();
        return Some(Form::Literals(literals));
    }
    let (open_start, rest) = strip(pattern, |p| p.strip_prefix(".*"));
    let (open_end, rest) = strip(rest, |p| p.strip_suffix(".*"));
    match (open_start, open_end, literal(rest)?) {
        (true, true, rest) => Some(Form::Contains(rest)),
        (true, false, rest) => Some(Form::Suffix(rest)),
        (false, true, rest) => Some(Form::Prefix(rest)),
        (false, false, _) => None,
    }
}

fn strip<'a>(text: &'a str, cut: impl Fn(&'a str) -> Option<&'a str>) -> (bool, &'a str) {
    cut(text).map_or((false, text), |rest| (true, rest))
}

/// What every match starts with. The last character before something special may be optional.
fn literal_prefix(pattern: &str) -> String {
    let length = pattern.find(is_meta).unwrap_or(pattern.len());
    // Behind flags may stand a repetition of what is before them.
    if pattern.contains('|') || pattern.contains("(?") {
        return String::new();
    }
    let mut prefix = pattern[..length].to_owned();
    if pattern[length..].starts_with(['*', '?', '{']) {
        prefix.pop();
    }
    prefix
}

/// Rewrites Go's syntax for the `regex` crate.
struct Translator<'a> {
    pattern: &'a str,
    at: usize,
    out: String,
    /// Whether something stands before that a repetition can apply to, and whether it is one.
    last: Last,
    /// Where the last repetition began.
    repeat_at: usize,
    /// Flags for what comes next: a repetition behind them is of what stands before them.
    flags: String,
    /// Whether flags were read last.
    is_behind_flags: bool,
    /// Groups that are open.
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

    /// About a part of the pattern.
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
                // It must not end the group that the whole pattern is put into.
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
        // Behind another repetition a question mark alone would make that one lazy.
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

    /// What stands between colons here.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, value: &str) -> bool {
        AnchoredRegex::new(pattern).unwrap().is_match(value)
    }

    #[test]
    fn patterns_match_whole_values() {
        for (pattern, yes, no) in [
            ("a|bc", "bc", "abc"),
            ("api.*", "api-1", "xapi"),
            (".*x.*", "axb", "ab"),
            ("(?i:PRO).*", "production", "pr"),
            ("a.c", "a\nc", "ac"),
            (r"\d+", "12", "٣"),
            (r"\w", "_", "ä"),
            (r"\s", " ", "s"),
            (r"a\s+b", "a \t\n\u{c}\rb", "ab"),
            (r"\S*", "ab", "a b"),
            (r"(\S+)\s(\S+)", "a b", "ab"),
            (r"[\s-]", " ", "s"),
            (r"(?i)\w", "\u{17f}", "ä"),
            (r"(?i)\W", "ä", "\u{17f}"),
            ("a(?i)+b", "aaB", "AAB"),
            ("a(?i)*?(?s)b", "B", "A"),
            ("(a(?i)){2}b", "aab", "aAb"),
            ("a+(?i)?b", "B", "c"),
            ("[0-9](?-s)(?m)+?", "12", "a"),
            ("(?i)(?s)(a).", "A\n", "a"),
            ("[+--]", ",", "."),
            ("[--b]+", "-.a", "c"),
            ("[[)]", ")", "("),
            ("a(?i){,2}", "a{,2}", "aa"),
            (r"\Qa.b\E", "a.b", "axb"),
            (r"x{2,3}", "xxx", "x"),
            ("a{b", "a{b", "ab"),
            ("a{,3}", "a{,3}", "aa"),
            ("[a&&b]", "&", "c"),
            ("[[]", "[", "]"),
            ("[[:]]", ":]", ":"),
            (r"\101", "A", "101"),
            (r"\<a", "<a", "a"),
            (r"\p{Greek}", "α", "a"),
            (r"\p{^Greek}", "a", "α"),
            (r"[^\d]", "a", "1"),
            ("", "", "a"),
            (r"a\.b", "a.b", "axb"),
            (r".*\.svc", "x.svc", "xsvc"),
            (r"a\.*", "a..", "ab"),
            (r"a\\.*", r"a\b", "a.b"),
            (r".*a\|b.*", "xa|by", "xa"),
            ("(a|)", "", "b"),
            ("(?P<x>a+)b", "aab", "b"),
            ("(?<x>a)", "a", "b"),
        ] {
            assert!(matches(pattern, yes), "{pattern} should match {yes:?}");
            assert!(!matches(pattern, no), "{pattern} should not match {no:?}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for pattern in [
            "a**", "*", "a{1001}", "a{3,2}", "(", "[", r"\C", r"\1", r"\u0041", "(?x)a", "a{2}{3}",
            r"\", "(?=a)", r"\pX1",
        ] {
            assert!(AnchoredRegex::new(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn mistakes_are_shown_as_go_shows_them() {
        for (pattern, mistake) in [
            ("a**", "invalid nested repetition operator: `**`"),
            ("ab?+c", "invalid nested repetition operator: `?+`"),
            ("a(?i)**", "invalid nested repetition operator: `**`"),
            ("x{2}{3}", "invalid nested repetition operator: `{2}{3}`"),
            ("a|*b", "missing argument to repetition operator: `*`"),
            ("(?i)*b", "missing argument to repetition operator: `*`"),
            ("a|(?i)+?b", "missing argument to repetition operator: `+?`"),
            ("a{2,1}", "invalid repeat count: `{2,1}`"),
            ("a(?=b)", "invalid or unsupported Perl syntax: `(?=`"),
            ("(?iz)", "invalid or unsupported Perl syntax: `(?iz`"),
            ("(?P<n", "invalid named capture: `(?P<n`"),
            ("(?P<n-x>a)", "invalid named capture: `(?P<n-x>`"),
            (r"a\u1234", r"invalid escape sequence: `\u`"),
            (r"a\8", r"invalid escape sequence: `\8`"),
            ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
            ("[[:]a:]", "invalid character class range: `[:]a:]`"),
            ("(a", "missing closing ): `(a`"),
            ("a)|(b", "unexpected ): `a)|(b`"),
            ("(?i:a))", "unexpected ): `(?i:a))`"),
            ("[a--b]", "invalid character class range: `a--`"),
        ] {
            let found = AnchoredRegex::new(pattern).unwrap_err();
            assert_eq!(found, format!("error parsing regexp: {mistake}"), "{pattern}");
        }
        assert!(matches("[[:^digit:]]", "a") && !matches("[[:^digit:]]", "1"));
    }

    #[test]
    fn refuses_what_would_explode() {
        for pattern in ["((a{1000}){1000}){1000}", &"(".repeat(5000), &r"\pL{1000}".repeat(50)] {
            assert!(AnchoredRegex::new(pattern).is_err());
        }
    }

    #[test]
    fn literals_and_prefixes_are_known() {
        for (pattern, literals) in [
            ("b|a|b", Some(vec!["a", "b"])),
            (r"(10\.0\.0\.1:9100|a\|b)", Some(vec!["10.0.0.1:9100", "a|b"])),
            ("", Some(vec![""])),
            (r"a\d|b", None),
            ("(a|b)|(c)", None),
            ("a.b", None),
        ] {
            assert_eq!(AnchoredRegex::new(pattern).unwrap().literals(), literals, "{pattern}");
        }
        assert!(AnchoredRegex::new(r"(a\)").is_err() && AnchoredRegex::new(r"a\").is_err());
        assert_eq!(AnchoredRegex::new(r"10\.0\..*").unwrap().prefix(), Some("10.0."));
        assert_eq!(AnchoredRegex::new("abc?d").unwrap().prefix(), Some("ab"));
        assert_eq!(AnchoredRegex::new("abc|d+").unwrap().prefix(), None);
        assert_eq!(AnchoredRegex::new("node_.*").unwrap().prefix(), Some("node_"));
    }

    #[test]
    fn templates_refer_to_groups() {
        let pattern = ReplacePattern::new("(?P<first>.*)-(.*)").unwrap();
        let replace = |template| pattern.replace("a-b", template);
        assert_eq!(replace("$2/${1}/${first}/$$/$"), Some("b/a/a/$/$".to_owned()));
        assert_eq!(replace("$1x"), Some(String::new()));
        assert_eq!(pattern.replace("ab", "x"), None);
    }
}
