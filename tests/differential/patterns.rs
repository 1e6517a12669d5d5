//! Generated regular expressions, many of them wrong or odd: both servers must match the same
//! values and refuse the same patterns. The texts of the errors may differ.

use super::answers::{TimedQuery, When};
use super::data::BASE;
use super::{Pair, Tally, generated};
use platform::{Random, SeededRandom};

const PIECES: &[&str] = &[
    "a",
    "b",
    "k",
    "s",
    "é",
    "σ",
    "ß",
    "foo",
    "FOO",
    "0",
    "_",
    "-",
    "/",
    " ",
    ".",
    ".*",
    ".+",
    "*",
    "+",
    "?",
    "|",
    "(",
    ")",
    "()",
    "(|a)",
    "(?:",
    "(?i)",
    "(?i:",
    "(?-i:",
    "(?s)",
    "(?-s)",
    "(?U)",
    "(?m)",
    "(?x)",
    "(?P<n>",
    "(?=",
    "(?#c)",
    "[a-c]",
    "[^a]",
    "[]a]",
    "[^]a]",
    "[a",
    "[z-a]",
    "[a-]",
    "[-a]",
    "[\\d-z]",
    "[\\pN]",
    "[^\\s]",
    "[\\w.-]",
    "[a&&b]",
    "[a--b]",
    "[[a]b]",
    "[^\\x00-\\x7f]",
    "[[:alpha:]]",
    "[[:^digit:]]",
    "[[:word:]]",
    "[:alpha:]",
    "\\d",
    "\\D",
    "\\w",
    "\\W",
    "\\s",
    "\\S",
    "\\pL",
    "\\PN",
    "\\p{Greek}",
    "\\p{^L}",
    "\\p{Lu}",
    "\\p{Foo}",
    "\\p{L",
    "\\b",
    "\\B",
    "\\A",
    "\\z",
    "\\Z",
    "^",
    "$",
    "\\Qa.b\\E",
    "\\Q*\\E",
    "{2}",
    "{1,}",
    "{,2}",
    "{0,3}",
    "{",
    "}",
    "{1001}",
    "**",
    "+?",
    "??",
    "\\x41",
    "\\x{e9}",
    "\\141",
    "\\1",
    "\\.",
    "\\_",
    "\\C",
    "\\h",
];

fn pattern(random: &SeededRandom) -> String {
    let pieces = (0..=random.below(4)).map(|_| PIECES[random.below(PIECES.len() as u64) as usize]);
    pieces.collect()
}

pub(super) fn compare(pair: &Pair, random: &SeededRandom, tally: &mut Tally) {
    for _ in 0..generated() {
        let operator = ["=~", "!~"][random.below(2) as usize];
        let pattern = pattern(random).replace('\\', "\\\\");
        let query = format!("spelled{{text{operator}\"{pattern}\"}}");
        let timed = TimedQuery { query, when: When::Instant(BASE / 1_000 + 7 + 600) };
        let path = timed.path(&timed.query);
        let [theirs, ours] = [pair.prometheus.address, pair.mirador.address].map(|address| {
            let mut answer = super::ask(address, &path);
            if let Some((before, _)) = answer.error.split_once("error parsing regexp") {
                answer.error = before.to_owned();
            }
            answer
        });
        tally.note(&theirs, &ours, false, &format!("{timed:?}"), &timed.query);
    }
}
