//! The faults that a test requests: which operation fails, and how.

use std::collections::BTreeMap;
use std::io;

/// The operations that change something. Each takes the next index, counted from 0 over all kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Create,
    Append,
    Sync,
    Rename,
    RenameNew,
    Remove,
    SyncDir,
    CreateDirs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An input/output error; nothing is done. A sync that fails so loses the bytes for good.
    Eio,
    /// No space is left; nothing is done.
    Enospc,
    /// An append that stops after this many bytes and then fails for want of space. As `Enospc`
    /// for every other operation.
    ShortWrite(usize),
}

impl Fault {
    pub(super) fn error(self) -> io::Error {
        match self {
            Self::Eio => io::Error::other("simulated input/output error"),
            Self::Enospc | Self::ShortWrite(_) => full(),
        }
    }
}

pub(super) fn full() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "simulated disk is full")
}

pub(super) fn gone() -> io::Error {
    io::Error::other("simulated power is gone")
}

/// How an operation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Go,
    Fail(Fault),
    /// The power is cut while it runs: it may have its effect, but its caller gets an error.
    Crash,
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    next_index: u64,
    at: BTreeMap<u64, Fault>,
    next: Vec<(Operation, Fault)>,
    lasting: BTreeMap<Operation, Fault>,
    crash_at: Option<u64>,
    dark: bool,
}

impl Faults {
    pub(super) fn count(&self) -> u64 {
        self.next_index
    }

    pub(super) fn fail_at(&mut self, index: u64, fault: Fault) {
        self.at.insert(index, fault);
    }

    pub(super) fn fail_next(&mut self, operation: Operation, fault: Fault) {
        self.next.push((operation, fault));
    }

    pub(super) fn keep_failing(&mut self, operation: Operation, fault: Fault) {
        self.lasting.insert(operation, fault);
    }

    pub(super) fn heal(&mut self) {
        self.at.clear();
        self.next.clear();
        self.lasting.clear();
    }

    pub(super) fn crash_at(&mut self, index: u64) {
        self.crash_at = Some(index);
    }

    pub(super) fn cut_power(&mut self) {
        self.dark = true;
    }

    pub(super) fn check_power(&self) -> io::Result<()> {
        if self.dark { Err(gone()) } else { Ok(()) }
    }

    /// Counts the operation and decides how it ends.
    pub(super) fn begin(&mut self, operation: Operation) -> io::Result<Verdict> {
        self.check_power()?;
        let index = self.next_index;
        self.next_index += 1;
        if self.crash_at == Some(index) {
            self.dark = true;
            return Ok(Verdict::Crash);
        }
        let once = self.next.iter().position(|(kind, _)| *kind == operation);
        let fault = self
            .at
            .remove(&index)
            .or_else(|| once.map(|found| self.next.remove(found).1))
            .or_else(|| self.lasting.get(&operation).copied());
        Ok(fault.map_or(Verdict::Go, Verdict::Fail))
    }
}
