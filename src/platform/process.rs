//! The kernel's figures about this process and its machine.
#![expect(clippy::disallowed_methods, reason = "/proc is not in the data folder")]

use std::fs;

/// Figures that could not be read stay `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessStats {
    pub cpu_seconds: Option<f64>,
    pub resident_bytes: Option<u64>,
    pub peak_resident_bytes: Option<u64>,
    pub virtual_bytes: Option<u64>,
    pub threads: Option<u64>,
    pub open_fds: Option<u64>,
    pub max_fds: Option<u64>,
    pub read_bytes: Option<u64>,
    pub written_bytes: Option<u64>,
}

impl ProcessStats {
    /// Takes about 50 µs; nothing is kept.
    pub fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let io = fs::read_to_string("/proc/self/io").unwrap_or_default();
        let kib = |key| value_of(&status, key).map(|kib| kib * 1024);
        Self {
            cpu_seconds: cpu_seconds(),
            resident_bytes: kib("VmRSS:"),
            peak_resident_bytes: kib("VmHWM:"),
            virtual_bytes: kib("VmSize:"),
            threads: value_of(&status, "Threads:"),
            open_fds: fs::read_dir("/proc/self/fd").ok().map(|fds| fds.count() as u64),
            max_fds: max_fds(),
            read_bytes: value_of(&io, "read_bytes:"),
            written_bytes: value_of(&io, "write_bytes:"),
        }
    }
}

/// The memory of the machine, or of the container that this process runs in; `None` when neither
/// can be read.
pub fn memory_bytes() -> Option<u64> {
    const CONTAINER: [&str; 2] =
        ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limit = |path| fs::read_to_string(path).ok()?.trim().parse().ok();
    let of_container = CONTAINER.into_iter().filter_map(limit).min();
    let machine = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let of_machine = value_of(&machine, "MemTotal:").map(|kib| kib * 1024);
    of_container.into_iter().chain(of_machine).min()
}

/// The machine's name; empty where it can't be read.
pub fn host_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

/// Where relative paths begin; empty where the folder is gone.
pub fn working_dir() -> String {
    std::env::current_dir().map_or_else(|_| String::new(), |path| path.display().to_string())
}

fn value_of(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Fields 14 and 15 of `/proc/self/stat`, counted behind the command name, in ticks of 10 ms.
fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let behind_name = &stat[stat.rfind(')')? + 1..];
    let mut fields = behind_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) as f64 / rustix::param::clock_ticks_per_second() as f64)
}

fn max_fds() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_process_has_figures() {
        let stats = ProcessStats::read();
        assert!(stats.resident_bytes.unwrap() > 100_000);
        assert!(memory_bytes().unwrap() > stats.resident_bytes.unwrap());
        assert!(stats.open_fds.unwrap() >= 3);
        assert!(!host_name().contains('\n') && working_dir().starts_with('/'));
        assert!(stats.cpu_seconds.is_some() && stats.threads.unwrap() >= 1);
    }
}
