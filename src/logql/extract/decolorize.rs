//! `decolorize`: lines without the sequences that color terminals.

use model::SearchRegex;
use std::borrow::Cow;
use std::sync::LazyLock;

/// Sequences that begin with an escape character (or with U+009B, which stands for it and a bracket):
/// numbers and a letter, or anything up to a bell.
static SEQUENCE: LazyLock<Option<SearchRegex>> = LazyLock::new(|| {
    let to_bell = r"(?:[a-zA-Z\d]*(?:;[a-zA-Z\d]*)*)?\x07";
    let numbered = r"(?:\d{1,4}(?:;\d{0,4})*)?[\dA-PRZcf-ntqry=><~]";
    SearchRegex::new(&format!(r"[\x1b\x{{9b}}][[\]()#;?]*(?:{to_bell}|{numbered})")).ok()
});

/// The line itself where it has none.
pub fn decolorize(line: &[u8]) -> Cow<'_, [u8]> {
    // The second byte of U+009B is in other characters too, but seldom.
    match (memchr::memchr2(0x1b, 0x9b, line), &*SEQUENCE) {
        (Some(_), Some(sequence)) => {
            sequence.engine().replace_all(line, regex::bytes::NoExpand(b""))
        }
        _ => Cow::Borrowed(line),
    }
}
