//! Words in lines: how a text is folded, where words end, and how a text is looked for.
//!
//! 1. Line and query are folded alike: composed (NFKC, so that decomposed Hangul and full-width letters
//!    are the usual ones), then in small letters.
//! 2. A text is its chunks between spaces, without the punctuation around them. Between two chunks any
//!    characters may stand that are no part of a word.
//! 3. A find counts where it begins and ends at the border of a word. Between two letters or digits there
//!    is none, unless one of them is Hangul, Han or Kana: particles and compounds are written without
//!    spaces there, so `결제` is found in `결제가` and `재결제`, and `API` in `API호출`.

use memchr::memmem::Finder;
use std::ops::Range;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Appends the folded form of a text.
pub(super) fn fold(text: &str, out: &mut String) {
    if text.is_ascii() {
        let start = out.len();
        out.push_str(text);
        out[start..].make_ascii_lowercase();
        return;
    }
    out.extend(text.nfkc().flat_map(char::to_lowercase));
}

/// Folds a text and appends, for each byte of the result, the place of the original that it comes from.
pub(super) fn fold_with_places(text: &str, out: &mut String, places: &mut Vec<usize>) {
    let mut start = 0;
    let mut ends = text.char_indices().skip(1).filter(|(_, c)| !joins(*c)).map(|(at, _)| at);
    while start < text.len() {
        let end = ends.next().unwrap_or(text.len());
        fold(&text[start..end], out);
        places.resize(out.len(), start);
        start = end;
    }
    places.push(text.len());
}

/// Whether a character may become one with the one before it.
fn joins(c: char) -> bool {
    matches!(c, '\u{1161}'..='\u{11ff}' | '\u{ff9e}' | '\u{ff9f}') || is_combining_mark(c)
}

/// Hangul, Han and Kana, which are written without spaces between words.
pub(super) fn is_cjk(c: char) -> bool {
    matches!(c,
        '\u{1100}'..='\u{11ff}' | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30ff}'
        | '\u{3130}'..='\u{318f}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{9fff}'
        | '\u{a960}'..='\u{a97f}' | '\u{ac00}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}'
        | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{3ffff}')
}

/// A letter, a digit or what belongs to a word like one.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || is_combining_mark(c)
}

/// Whether a word may end between two characters.
fn is_border(before: char, after: char) -> bool {
    !is_word(before) || !is_word(after) || is_cjk(before) || is_cjk(after)
}

/// A text that is looked for.
#[derive(Clone, Debug)]
pub(super) struct Words {
    /// Folded; the first one has a finder.
    chunks: Vec<String>,
    finder: Box<Finder<'static>>,
    /// The last word may go on.
    is_prefix: bool,
}

impl PartialEq for Words {
    fn eq(&self, other: &Self) -> bool {
        (&self.chunks, self.is_prefix) == (&other.chunks, other.is_prefix)
    }
}

impl Words {
    /// `None` for a text without anything but space.
    pub(super) fn new(text: &str, is_prefix: bool) -> Option<Self> {
        let mut folded = String::new();
        fold(text, &mut folded);
        let inner = |chunk: &str| chunk.trim_matches(|c| !is_word(c)).to_owned();
        let mut chunks: Vec<String> =
            folded.split_whitespace().map(inner).filter(|chunk| !chunk.is_empty()).collect();
        if chunks.is_empty() {
            // Nothing but punctuation is looked for as it is.
            let text = folded.trim();
            chunks.extend((!text.is_empty()).then(|| text.to_owned()));
        }
        let finder = Box::new(Finder::new(chunks.first()?).into_owned());
        Some(Self { chunks, finder, is_prefix })
    }

    pub(super) fn chunks(&self) -> &[String] {
        &self.chunks
    }

    pub(super) fn is_in(&self, folded: &str) -> bool {
        self.find(folded, 0).is_some()
    }

    /// The first find that begins at a place or behind it.
    pub(super) fn find(&self, folded: &str, from: usize) -> Option<Range<usize>> {
        let mut at = from;
        while let Some(found) = self.finder.find(folded.as_bytes().get(at..)?) {
            let start = at + found;
            if begins_at_border(folded, start)
                && let Some(end) = self.end_from(folded, start)
            {
                return Some(start..end);
            }
            at = start + folded[start..].chars().next().map_or(1, char::len_utf8);
        }
        None
    }

    /// Where the text ends whose first chunk begins here.
    fn end_from(&self, folded: &str, start: usize) -> Option<usize> {
        let (first, rest) = self.chunks.split_first()?;
        let mut end = start + first.len();
        for chunk in rest {
            ends_at_border(folded, end).then_some(())?;
            let between = &folded[end..];
            end += between.len() - between.trim_start_matches(|c| !is_word(c)).len();
            end = folded[end..].starts_with(chunk.as_str()).then_some(end + chunk.len())?;
        }
        (self.is_prefix || ends_at_border(folded, end)).then_some(end)
    }
}

fn begins_at_border(text: &str, start: usize) -> bool {
    let before = text[..start].chars().next_back();
    let after = text[start..].chars().next();
    before.zip(after).is_none_or(|(before, after)| is_border(before, after))
}

fn ends_at_border(text: &str, end: usize) -> bool {
    begins_at_border(text, end)
}

/// What every line with some words holds, in a form that the store can look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sought {
    /// Letters of ASCII, in any case, or all of them in full width.
    Ascii(String),
    /// Hangul, Han or Hiragana, in each of its forms.
    Forms(Vec<String>),
}

/// A script of which a run can be looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Ascii,
    Cjk,
    /// Letters with cases beyond ASCII, and Katakana, which has forms of half width.
    Other,
}

fn script(c: char) -> Script {
    match c {
        c if c.is_ascii() => Script::Ascii,
        '\u{30a0}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{ff66}'..='\u{ff9f}' => {
            Script::Other
        }
        c if is_cjk(c) => Script::Cjk,
        _ => Script::Other,
    }
}

impl Sought {
    /// The longest run of one script in folded texts; `None` where no run can be looked for.
    pub(super) fn in_texts<'t>(texts: impl IntoIterator<Item = &'t str>) -> Option<Self> {
        let runs = texts.into_iter().flat_map(runs).filter(|(script, _)| *script != Script::Other);
        let (script, run) = runs.max_by_key(|(_, run)| run.len())?;
        match script {
            Script::Ascii => Some(Self::Ascii(run.to_owned())),
            _ => {
                let mut forms = vec![run.to_owned(), run.nfd().collect()];
                forms.dedup();
                Some(Self::Forms(forms))
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Ascii(text) => text.len(),
            Self::Forms(forms) => forms.first().map_or(0, String::len),
        }
    }
}

fn runs(text: &str) -> impl Iterator<Item = (Script, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let of = script(rest.chars().next()?);
        let end =
            rest.char_indices().find(|(_, c)| script(*c) != of).map_or(rest.len(), |(at, _)| at);
        let (run, after) = rest.split_at(end);
        rest = after;
        Some((of, run))
    })
}

/// An ASCII text in full width: in small letters, in capital letters, and with a capital first one.
pub(super) fn full_width(text: &str) -> Vec<String> {
    let wide = |c: char| match c {
        '!'..='~' => char::from_u32(u32::from(c) + 0xfee0).unwrap_or(c),
        c => c,
    };
    let upper = text.to_ascii_uppercase();
    let capital = upper.get(..1).into_iter().chain(text.get(1..)).collect::<String>();
    let mut forms: Vec<String> =
        [text, &upper, &capital].map(|text| text.chars().map(wide).collect()).into();
    forms.sort();
    forms.dedup();
    forms
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_found(text: &str, line: &str) -> bool {
        let mut folded = String::new();
        fold(line, &mut folded);
        Words::new(text, false).is_some_and(|words| words.is_in(&folded))
    }

    #[test]
    fn words_are_found_between_borders() {
        for (text, line, expected) in [
            ("error", "an ERROR: x", true),
            ("error", "errors", false),
            ("error", "error_code", false),
            ("bar", "foo.bar", true),
            ("error", "error가 났다", true),
            ("결제", "결제가 실패", true),
            ("결제", "재결제를", true),
            ("api호출", "API호출이 늦다", true),
            ("호출", "API호출이", true),
            ("api", "API호출이", true),
            ("api", "ＡＰＩ 호출", true),
            ("１２３", "code=123", true),
            ("12", "code=123", false),
            // Decomposed on either side.
            ("\u{1100}\u{1167}\u{11af}\u{110c}\u{1166}", "결제가", true),
            ("결제", "\u{1100}\u{1167}\u{11af}\u{110c}\u{1166}가", true),
            ("café", "cafe\u{301} open", true),
            ("user login", "user=login", true),
            ("user login", "user a login", false),
            ("10.0.0.1", "from 10.0.0.1:80", true),
            ("10.0.0.1", "from 10.0.0.12", false),
            ("failed:", "failed", true),
            ("=>", "a => b", true),
            ("", "a", false),
        ] {
            assert_eq!(is_found(text, line), expected, "{text:?} in {line:?}");
        }
    }

    #[test]
    fn the_store_looks_for_the_longest_run() {
        let sought = |text: &str| Sought::in_texts([text]);
        assert_eq!(sought("connection"), Some(Sought::Ascii("connection".to_owned())));
        let forms = vec!["결제".to_owned(), "결제".nfd().collect()];
        assert_eq!(sought("a결제"), Some(Sought::Forms(forms)));
        assert_eq!(sought("привет"), None);
        assert_eq!(full_width("ab"), ["ＡＢ", "Ａｂ", "ａｂ"]);
    }

    proptest! {
        #[test]
        fn folding_with_places_is_folding(text in "\\PC{0,20}|[a-c가나\u{1100}-\u{1115}\u{1161}-\u{1175}\u{301}ｱﾞ]{0,12}") {
            let (mut plain, mut out, mut places) = (String::new(), String::new(), Vec::new());
            fold(&text, &mut plain);
            fold_with_places(&text, &mut out, &mut places);
            prop_assert_eq!(places.len(), out.len() + 1);
            prop_assert!(places.iter().all(|place| text.is_char_boundary(*place)));
            if text.chars().all(|c| "abc가나".contains(c)) {
                prop_assert_eq!(plain, out);
            }
        }

        #[test]
        fn a_text_is_found_in_itself(text in "[a-c가결1-3 ._\u{1100}\u{1161}-]{1,10}") {
            let mut folded = String::new();
            fold(&text, &mut folded);
            if let Some(words) = Words::new(&text, false) {
                prop_assert!(words.is_in(&folded));
            }
        }
    }
}
