//! Pieces of three letters that the lines of a row group hold: what tells which row groups a search for a
//! word need not look at.
//!
//! A letter is one of ASCII, in either case, or a byte from 128 on. A slot is never bordered by a letter on
//! both sides: so each piece of a line lies in the template or in one slot, and those of all lines are found
//! in templates and columns, without putting lines together.
//! Pieces that are hexadecimal digits are not recorded. Identifiers have all of them.

/// How many pieces are told apart.
pub(crate) const PIECES: usize = 1 << 15;

const LENGTH: usize = 3;
const LETTERS: u32 = 26;

/// Pieces of ASCII letters have numbers of their own, all others share the rest.
const ASCII_PIECES: u32 = LETTERS * LETTERS * LETTERS;
const OTHER_PIECES: u32 = PIECES as u32 - ASCII_PIECES;

/// The pieces of some texts, a bit for each.
#[derive(Clone, Debug, Default)]
pub(crate) struct LetterSet {
    /// Empty, or as many as there are pieces.
    words: Vec<u64>,
}

impl LetterSet {
    pub(crate) fn add(&mut self, text: &[u8]) {
        self.words.resize(PIECES / 64, 0);
        each_piece(text, |piece| self.words[piece as usize / 64] |= 1 << (piece % 64));
    }

    pub(crate) fn has(&self, piece: u32) -> bool {
        self.words.get(piece as usize / 64).is_some_and(|word| word >> (piece % 64) & 1 == 1)
    }
}

/// The numbers of the pieces that every line has which holds a text.
pub(crate) fn pieces_of(text: &[u8]) -> Vec<u32> {
    let mut pieces = Vec::new();
    each_piece(text, |piece| pieces.push(piece));
    pieces.sort_unstable();
    pieces.dedup();
    pieces
}

const NO_LETTER: u8 = u8::MAX;
const NOT_ASCII: u8 = LETTERS as u8;

/// The number of a letter; one for all that are not ASCII.
static KINDS: [u8; 256] = kinds();

const fn kinds() -> [u8; 256] {
    let mut kinds = [NO_LETTER; 256];
    let mut byte = 0;
    while byte < 256 {
        kinds[byte] = match byte as u8 {
            letter @ b'a'..=b'z' => letter - b'a',
            letter @ b'A'..=b'Z' => letter - b'A',
            0x80..=0xFF => NOT_ASCII,
            _ => NO_LETTER,
        };
        byte += 1;
    }
    kinds
}

/// The last of the hexadecimal letters.
const LAST_HEX: u8 = 5;

#[inline]
fn each_piece(text: &[u8], mut visit: impl FnMut(u32)) {
    for piece in text.windows(LENGTH) {
        let kinds = [0, 1, 2].map(|at| KINDS[usize::from(piece[at])]);
        let most = kinds[0].max(kinds[1]).max(kinds[2]);
        if most == NO_LETTER || most <= LAST_HEX {
            continue;
        }
        visit(match most {
            NOT_ASCII => ASCII_PIECES + hash(piece) % OTHER_PIECES,
            _ => kinds.iter().fold(0, |number, kind| number * LETTERS + u32::from(*kind)),
        });
    }
}

fn hash(piece: &[u8]) -> u32 {
    let folded = |byte: &u8| u32::from(byte.to_ascii_lowercase());
    piece.iter().fold(0, |sum, byte| sum << 8 | folded(byte)).wrapping_mul(0x9E37_79B1) >> 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_three_letters() {
        assert_eq!(pieces_of(b"ab cd_ef 12").len(), 0);
        assert_eq!(pieces_of(b"blk_388"), pieces_of(b"a BLK"));
        assert_eq!(pieces_of(b"user"), pieces_of(b"usersE"[..4].as_ref()));
        assert_eq!(pieces_of(b"deadbeef").len(), 0);
        assert_eq!(pieces_of("결제".as_bytes()).len(), 4);
        let mut set = LetterSet::default();
        assert!(!set.has(pieces_of(b"error")[0]));
        set.add(b"an ERROR");
        assert!(pieces_of(b"error").iter().all(|piece| set.has(*piece)));
        assert!(pieces_of(b"zzz").iter().all(|piece| !set.has(*piece)));
    }
}
