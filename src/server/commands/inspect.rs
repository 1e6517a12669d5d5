//! `mirador inspect`: what is in a file of the data folder, without a server and without changing
//! anything.

use super::{Outcome, locate, print};
use clap::Subcommand;
use platform::Disk;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const FILE_MAX: u64 = 1 << 30;

#[derive(Debug, Subcommand)]
pub(super) enum InspectCommand {
    /// A segment of the write-ahead log: every batch with its place, tenant, signal and sizes
    Wal { file: PathBuf },
    /// A part: its footer and its pages
    Part {
        file: PathBuf,
        /// Read every page and compare its checksum
        #[arg(long)]
        verify: bool,
        /// Show at most this many pages
        #[arg(long, default_value_t = 50)]
        pages: usize,
    },
    /// A manifest: the parts, tombstones and quarantine of one generation
    Manifest { file: PathBuf },
    /// An export of the catalog or a file of its journal: keys and values, without secrets
    Catalog { file: PathBuf },
}

pub(super) fn run(command: &InspectCommand) -> Outcome {
    match command {
        InspectCommand::Wal { file } => wal_segment(file),
        InspectCommand::Part { file, verify, pages } => part(file, *verify, *pages),
        InspectCommand::Manifest { file } => {
            let (disk, name) = locate(file)?;
            let bytes = disk.read_all(&name, FILE_MAX)?;
            print(&parts::inspect::describe_manifest(&file.display().to_string(), &bytes)?)
        }
        InspectCommand::Catalog { file } => {
            let (disk, name) = locate(file)?;
            print(&catalog::describe(&disk.read_all(&name, FILE_MAX)?)?)
        }
    }
}

fn wal_segment(file: &Path) -> Outcome {
    let (disk, name) = locate(file)?;
    let mut text = String::new();
    wal::inspect(&disk, &name, &mut |found| {
        let _ = writeln!(text, "{found}");
    })?;
    print(&text)
}

fn part(file: &Path, verify: bool, pages: usize) -> Outcome {
    let (disk, name) = locate(file)?;
    let part = parts::Part::from_file(disk.open(&name)?, &file.display().to_string())?;
    let mut text = parts::inspect::describe_part(&part, pages)?;
    if verify {
        part.verify()?;
        text.push_str("every page agrees with its checksum\n");
    }
    print(&text)
}
