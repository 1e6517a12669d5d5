//! The state of the disk after a crash.

use super::state::{Dir, File, NameChange, Node, NodeId, ROOT, State};
use crate::{Random, SeededRandom};
use std::ops::Range;

/// The unit in which a disk writes.
const SECTOR: usize = 512;

/// How a crash treats what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashPolicy {
    /// A power cut: only what was synced survives.
    LoseUnsynced,
    /// The process was killed: the kernel still writes everything.
    KeepAll,
    /// A power cut while the kernel was writing in an order of its own. Each change of names
    /// survives or not, on its own; of each file's un-synced bytes some sectors survive, others
    /// are zero or garbage, and the file ends at any byte.
    Torn { seed: u64 },
}

impl State {
    /// Keeps only what survives; afterwards all of it is durable.
    pub(super) fn survive(&mut self, policy: CrashPolicy) {
        let pending = std::mem::take(&mut self.pending);
        match policy {
            CrashPolicy::LoseUnsynced => {}
            CrashPolicy::KeepAll => pending.iter().for_each(|change| self.make_durable(change)),
            CrashPolicy::Torn { seed } => {
                let random = SeededRandom::new(seed);
                self.keep_some_names(&pending, &random);
                self.files_mut().for_each(|file| tear(file, &random));
            }
        }
        if policy == CrashPolicy::LoseUnsynced {
            self.files_mut().for_each(cut);
        }
        self.settle();
    }

    fn files_mut(&mut self) -> impl Iterator<Item = &mut File> {
        self.nodes.iter_mut().filter_map(|node| match node {
            Node::File(file) => Some(file),
            Node::Dir(_) => None,
        })
    }

    /// In one crash of three no change survives, in another one all do.
    fn keep_some_names(&mut self, pending: &[NameChange], random: &SeededRandom) {
        let mood = random.below(3);
        for change in pending {
            if mood == 2 || (mood == 1 && random.below(2) == 0) {
                self.make_durable(change);
            }
        }
    }

    /// Programs see the names that survived; files without a name are forgotten.
    fn settle(&mut self) {
        self.files_mut().for_each(|file| {
            file.linked = false;
            file.synced = file.bytes.len();
            file.lost.clear();
        });
        self.used = 0;
        self.settle_dir(ROOT);
        self.files_mut().filter(|file| !file.linked).for_each(|file| *file = File::default());
        self.locks.clear();
    }

    fn settle_dir(&mut self, id: NodeId) {
        let Node::Dir(Dir { live, durable }) = &mut self.nodes[id] else { return };
        live.clone_from(durable);
        let children: Vec<NodeId> = live.values().copied().collect();
        for child in children {
            match &mut self.nodes[child] {
                Node::Dir(_) => self.settle_dir(child),
                Node::File(file) => {
                    file.linked = true;
                    self.used += file.bytes.len() as u64;
                }
            }
        }
    }
}

fn cut(file: &mut File) {
    file.bytes.truncate(file.synced);
    for range in std::mem::take(&mut file.lost) {
        file.bytes[range].fill(0);
    }
}

fn tear(file: &mut File, random: &SeededRandom) {
    let unsynced = file.bytes.len() - file.synced;
    if unsynced > 0 {
        let mut end = file.synced + random.below(unsynced as u64 + 1) as usize;
        if random.below(2) == 0 {
            end = (end / SECTOR * SECTOR).max(file.synced);
        }
        file.bytes.truncate(end);
        tear_range(&mut file.bytes, file.synced..end, random);
    }
    for range in std::mem::take(&mut file.lost) {
        tear_range(&mut file.bytes, range, random);
    }
}

/// Half of the time the range is whole; else each of its sectors is kept, zero or garbage.
fn tear_range(bytes: &mut [u8], range: Range<usize>, random: &SeededRandom) {
    if random.below(2) == 0 {
        return;
    }
    let mut start = range.start;
    while start < range.end {
        let end = ((start / SECTOR + 1) * SECTOR).min(range.end);
        match random.below(4) {
            0 => bytes[start..end].fill(0),
            1 => random.fill(&mut bytes[start..end]),
            _ => {}
        }
        start = end;
    }
}
