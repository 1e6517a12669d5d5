//! Where a destination is, on the disk: docs/formats/sending-position.md.

use crate::progress::Mark;
use codec::{crc32c, xxh3_64};
use model::WalPosition;
use platform::Disk;
use std::io::{self, ErrorKind};
use std::sync::Arc;

const FOLDER: &str = "sending";
const SUFFIX: &str = ".position";
const TITLE: &str = "mirador sending position 1";
const FILE_MAX: u64 = 4 << 10;

/// The file of one destination.
#[derive(Debug)]
pub(crate) struct PositionFile {
    disk: Arc<dyn Disk>,
    path: String,
    name: String,
}

/// What the file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// Nothing was ever sent to it.
    New,
    At(Mark),
    /// It was sent to, and nobody knows how far.
    Damaged,
}

impl PositionFile {
    pub(crate) fn new(disk: Arc<dyn Disk>, name: &str) -> Self {
        let path = format!("{FOLDER}/{}", file_name(name));
        Self { disk, path, name: name.to_owned() }
    }

    pub(crate) fn load(&self) -> io::Result<Stored> {
        match self.disk.read_all(&self.path, FILE_MAX) {
            Ok(bytes) => Ok(parse(&bytes).map_or(Stored::Damaged, Stored::At)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Stored::New),
            Err(error) if error.kind() == ErrorKind::InvalidData => Ok(Stored::Damaged),
            Err(error) => Err(error),
        }
    }

    /// Returns when it is on the disk.
    pub(crate) fn save(&self, mark: Mark) -> io::Result<()> {
        self.disk.create_dirs(FOLDER)?;
        self.disk.replace(&self.path, text(&self.name, mark).as_bytes())
    }
}

/// Removes the files of destinations that are not among these.
pub(crate) fn remove_others(disk: &dyn Disk, names: &[String]) -> io::Result<()> {
    let kept: Vec<String> = names.iter().map(|name| file_name(name)).collect();
    let entries = match disk.list(FOLDER) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        // One that is being written has a name of its own for a moment.
        let name = entry.name.trim_end_matches(".tmp").to_owned();
        if !entry.is_dir && !kept.contains(&name) {
            disk.remove(&format!("{FOLDER}/{}", entry.name))?;
        }
    }
    Ok(())
}

fn file_name(name: &str) -> String {
    format!("{:016x}{SUFFIX}", xxh3_64(name.as_bytes()))
}

fn text(name: &str, mark: Mark) -> String {
    let Mark { sent, definitions } = mark;
    let name = name.replace(['\n', '\r'], " ");
    let body = format!("{TITLE}\ndestination {name}\nsent {sent}\ndefinitions {definitions}\n");
    format!("{body}crc {:08x}\n", crc32c(body.as_bytes()))
}

fn parse(bytes: &[u8]) -> Option<Mark> {
    let text = std::str::from_utf8(bytes).ok()?;
    let at = text.rfind("crc ")?;
    let (body, crc) = text.split_at(at);
    let crc = crc.strip_prefix("crc ")?.strip_suffix('\n')?;
    if u32::from_str_radix(crc, 16).ok()? != crc32c(body.as_bytes()) {
        return None;
    }
    let mut lines = body.lines();
    if lines.next()? != TITLE {
        return None;
    }
    lines.next()?.strip_prefix("destination ")?;
    let sent = position(lines.next()?.strip_prefix("sent ")?)?;
    let definitions = position(lines.next()?.strip_prefix("definitions ")?)?;
    Some(Mark { sent, definitions })
}

fn position(text: &str) -> Option<WalPosition> {
    let (segment, offset) = text.split_once(':')?;
    let segment = u64::from_str_radix(segment, 16).ok()?;
    Some(WalPosition { segment, offset: offset.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use platform::sim::SimDisk;
    use proptest::prelude::*;

    fn mark(numbers: [u64; 4]) -> Mark {
        let [segment, offset, other, place] = numbers;
        let sent = WalPosition { segment, offset };
        Mark { sent, definitions: WalPosition { segment: other, offset: place } }
    }

    proptest! {
        #[test]
        fn marks_come_back(numbers: [u64; 4], name in "[^\0]{0,40}") {
            prop_assert_eq!(parse(text(&name, mark(numbers)).as_bytes()), Some(mark(numbers)));
        }

        #[test]
        fn a_changed_byte_is_noticed(numbers: [u64; 4], at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = text("a", mark(numbers)).into_bytes();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            // An upper case digit of the checksum is the same digit.
            let is_same = parse(&bytes).is_none_or(|found| found == mark(numbers));
            prop_assert!(is_same);
        }
    }

    #[test]
    fn files_are_replaced_and_those_of_others_removed() {
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
        let files = ["a", "b"].map(|name| PositionFile::new(Arc::clone(&disk), name));
        assert_eq!(files[0].load().unwrap(), Stored::New);
        for round in 1..3 {
            files.iter().for_each(|file| file.save(mark([round; 4])).unwrap());
        }
        assert_eq!(files[0].load().unwrap(), Stored::At(mark([2; 4])));
        disk.replace(&files[1].path, b"mirador sending position 1\nx").unwrap();
        assert_eq!(files[1].load().unwrap(), Stored::Damaged);
        remove_others(&*disk, &["a".to_owned()]).unwrap();
        assert_eq!(files[1].load().unwrap(), Stored::New);
        assert_eq!(files[0].load().unwrap(), Stored::At(mark([2; 4])));
    }
}
