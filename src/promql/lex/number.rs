//! How far a number or a duration reaches. Whether it is one is seen when it is read: `1e+` and
//! `.5.5` are numbers here.
//!
//! What is taken, what is not, and how much of it errors show is as Prometheus has it, down to
//! `0x1e`, whose `e` passes for an exponent.

const DECIMAL: &[u8] = b"0123456789";
const HEXADECIMAL: &[u8] = b"0123456789abcdefABCDEF";

/// What stands at the start of a text, and its length.
pub(super) enum Numeral {
    Number(usize),
    Duration(usize),
    /// Neither: how much of it was looked at.
    Bad(usize),
}

pub(super) fn numeral(text: &str) -> Numeral {
    let mut scan = Scan { text: text.as_bytes(), at: 0 };
    if scan.number() {
        return Numeral::Number(scan.at);
    }
    if scan.duration() {
        return Numeral::Duration(scan.at);
    }
    Numeral::Bad(scan.at)
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn next(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn sees(&self, set: &[u8]) -> bool {
        self.next().is_some_and(|byte| set.contains(&byte))
    }

    fn accept(&mut self, set: &[u8]) -> bool {
        let seen = self.sees(set);
        self.at += usize::from(seen);
        seen
    }

    fn accept_all(&mut self, set: &[u8]) {
        while self.accept(set) {}
    }

    fn sees_word(&self) -> bool {
        self.next().is_some_and(|byte| super::is_word_part(char::from(byte)))
    }

    /// What may not follow a point, an exponent or an underscore.
    fn stumbles(&mut self, over: &[u8], at_end: bool) -> bool {
        self.accept(over) || (at_end && self.next().is_none())
    }

    fn number(&mut self) -> bool {
        let hex = self.accept(b"0") && self.accept(b"xX");
        if hex {
            self.accept(b"_");
        }
        let digits = if hex { HEXADECIMAL } else { DECIMAL };
        self.accept(b".");
        self.accept(digits);
        let (mut point, mut exponent) = (false, false);
        while self.sees(digits) || self.sees(b"._eE") {
            let repeated = (point && self.accept(b".")) || (exponent && self.accept(b"eE"));
            if repeated {
                return false;
            }
            if self.accept(b".") {
                point = true;
                if self.stumbles(b"_.", false) || hex {
                    return false;
                }
            } else if self.accept(b"eE") {
                exponent = true;
                self.accept(b"+-");
                if self.stumbles(b"._eE", true) {
                    return false;
                }
            } else if self.accept(b"_") {
                if self.stumbles(b"._eE", true) {
                    return false;
                }
            } else {
                self.accept_all(digits);
            }
        }
        !self.sees_word()
    }

    /// From the first unit on: units, with digits before all but the first. Whether they are the
    /// right units in the right order is seen later.
    fn duration(&mut self) -> bool {
        if !self.accept(b"smhdwy") {
            return false;
        }
        self.accept(b"s");
        while self.accept(DECIMAL) {
            self.accept_all(DECIMAL);
            if !self.accept(b"smhdw") {
                return false;
            }
            self.accept(b"s");
        }
        let goes_on = self.sees_word();
        self.at += usize::from(goes_on);
        !goes_on
    }
}
