//! Questions and answers of DNS as bytes.

use std::net::IpAddr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordKind {
    A = 1,
    Ns = 2,
    Mx = 15,
    Aaaa = 28,
    Srv = 33,
}

/// What a name has. Names end with a dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    Address(IpAddr),
    Server { target: String, port: u16 },
    Mail(String),
    NameServer(String),
}

pub(super) struct Question<'q> {
    pub(super) id: u16,
    pub(super) name: &'q str,
    pub(super) kind: RecordKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Records(Vec<Record>),
    NoSuchName,
    /// There is more than fits.
    Cut,
    Refused(u8),
    /// Not an answer to this question.
    Other,
}

const HEADER: usize = 12;
const LABEL_MAX: usize = 63;
const NAME_MAX: usize = 253;
/// More pieces than the longest name has.
const STEPS_MAX: usize = 256;
const INTERNET: u16 = 1;
const IS_ANSWER: u8 = 0x80;
const IS_CUT: u8 = 0x02;

impl Question<'_> {
    /// `None` for a name that DNS can't have.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let mut bytes = self.id.to_be_bytes().to_vec();
        // One question, recursion wanted.
        bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        let name = self.name.strip_suffix('.').unwrap_or(self.name);
        if name.is_empty() || name.len() > NAME_MAX {
            return None;
        }
        for label in name.split('.') {
            if label.is_empty() || label.len() > LABEL_MAX {
                return None;
            }
            bytes.push(label.len() as u8);
            bytes.extend_from_slice(label.as_bytes());
        }
        bytes.push(0);
        bytes.extend((self.kind as u16).to_be_bytes());
        bytes.extend(INTERNET.to_be_bytes());
        Some(bytes)
    }

    pub(super) fn read(&self, answer: &[u8]) -> Answer {
        let Some(header) = answer.first_chunk::<HEADER>() else { return Answer::Other };
        let is_ours = header[..2] == self.id.to_be_bytes() && header[2] & IS_ANSWER != 0;
        let asked = self.encode().unwrap_or_default();
        let echoes = answer.get(HEADER..asked.len()).is_some_and(|echo| {
            header[4..6] == [0, 1] && echo.eq_ignore_ascii_case(&asked[HEADER..])
        });
        if !is_ours || !echoes {
            return Answer::Other;
        }
        if header[2] & IS_CUT != 0 {
            return Answer::Cut;
        }
        match header[3] & 0x0f {
            0 => {}
            3 => return Answer::NoSuchName,
            code => return Answer::Refused(code),
        }
        let count = u16::from_be_bytes([header[6], header[7]]);
        self.records(answer, asked.len(), count).map_or(Answer::Other, Answer::Records)
    }

    /// `None` where the bytes end too early. Records of other kinds (an alias before an address) are left out.
    fn records(&self, answer: &[u8], mut at: usize, count: u16) -> Option<Vec<Record>> {
        let mut records = Vec::new();
        for _ in 0..count {
            at = name(answer, at)?.1;
            let fixed = answer.get(at..)?.first_chunk::<10>()?;
            let kind = u16::from_be_bytes([fixed[0], fixed[1]]);
            let length = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
            at += fixed.len();
            let data = answer.get(at..at + length)?;
            if kind == self.kind as u16 {
                records.push(self.record(answer, at, data)?);
            }
            at += length;
        }
        Some(records)
    }

    fn record(&self, answer: &[u8], at: usize, data: &[u8]) -> Option<Record> {
        Some(match self.kind {
            RecordKind::A => Record::Address(<[u8; 4]>::try_from(data).ok()?.into()),
            RecordKind::Aaaa => Record::Address(<[u8; 16]>::try_from(data).ok()?.into()),
            RecordKind::Ns => Record::NameServer(name(answer, at)?.0),
            RecordKind::Mx => Record::Mail(name(answer, at + 2)?.0),
            RecordKind::Srv => {
                let port = u16::from_be_bytes([*data.get(4)?, *data.get(5)?]);
                Record::Server { target: name(answer, at + 6)?.0, port }
            }
        })
    }
}

/// The name at a place, and the place behind it.
fn name(message: &[u8], start: usize) -> Option<(String, usize)> {
    let (mut text, mut at, mut behind) = (String::new(), start, None);
    for _ in 0..STEPS_MAX {
        let length = *message.get(at)?;
        match length {
            0 => {
                if text.is_empty() {
                    text.push('.');
                }
                return Some((text, behind.unwrap_or(at + 1)));
            }
            // The rest stands elsewhere.
            0xc0.. => {
                behind.get_or_insert(at + 2);
                let low = *message.get(at + 1)?;
                at = usize::from(u16::from_be_bytes([length & 0x3f, low]));
            }
            _ => {
                let end = at + 1 + usize::from(length);
                text.push_str(&String::from_utf8_lossy(message.get(at + 1..end)?));
                text.push('.');
                at = end;
                if text.len() > 2 * NAME_MAX {
                    return None;
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn srv() -> Question<'static> {
        Question { id: 7, name: "_http._tcp.example.org.", kind: RecordKind::Srv }
    }

    /// An answer with an alias, and a record that has its target by reference.
    fn answer() -> Vec<u8> {
        let mut bytes = srv().encode().unwrap();
        (bytes[2], bytes[7]) = (0x81, 2);
        bytes.extend([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 2, 0xc0, 12]);
        bytes.extend([0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, 11, 0, 1, 0, 2, 0x1f, 0x90]);
        // "db" and "example.org.", which stands behind "_http._tcp." of the question.
        bytes.extend([2, b'd', b'b', 0xc0, 12 + 11]);
        bytes
    }

    #[test]
    fn answers_are_read() {
        let target = "db.example.org.".to_owned();
        let expected = Answer::Records(vec![Record::Server { target, port: 8080 }]);
        assert_eq!(srv().read(&answer()), expected);
        assert_eq!(Question { id: 8, ..srv() }.read(&answer()), Answer::Other);
        assert_eq!(Question { name: "other.", ..srv() }.read(&answer()), Answer::Other);
        let with = |at: usize, byte: u8| {
            let mut bytes = answer();
            bytes[at] = byte;
            srv().read(&bytes)
        };
        assert_eq!(with(3, 3), Answer::NoSuchName);
        assert_eq!(with(3, 2), Answer::Refused(2));
        assert_eq!(with(2, 0x83), Answer::Cut);
    }

    #[test]
    fn names_that_go_round_are_refused() {
        assert_eq!(name(&[0xc0, 0], 0), None);
        for bad in ["", ".", "a..b", &"x".repeat(64), &"x.".repeat(150)] {
            assert_eq!(Question { name: bad, ..srv() }.encode(), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(at in 12usize..80, byte: u8, tail: Vec<u8>, cut in 0usize..90) {
            let mut bytes = answer();
            let at = at.min(bytes.len() - 1);
            bytes[at] = byte;
            srv().read(&bytes[..cut.min(bytes.len())]);
            bytes.extend(tail);
            srv().read(&bytes);
        }
    }
}
