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

/// The memory that this process may have: that of the machine, or less where its container, its
/// control groups or its address space are limited. `None` when nothing can be read.
pub fn memory_bytes() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let of_machine = value_of(&machine, "MemTotal:").map(|kib| kib * 1024);
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let of_groups = group_limit(&groups, |path| fs::read_to_string(path).ok());
    [of_address_space(), of_machine, of_groups].into_iter().flatten().min()
}

/// What a limited address space leaves. A process begins with some that holds no memory (code, stacks),
/// and later its allocator keeps ranges whose memory it has given back: half is left for those.
fn of_address_space() -> Option<u64> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::As).current?;
    let begun = ProcessStats::read().virtual_bytes.unwrap_or(0);
    Some(limit.saturating_sub(begun) / 2)
}

/// The lowest limit of the control groups that a process belongs to, in version 1 or 2. Each group
/// and all above it count. In a container the groups' own folder may be mounted as the root while
/// the process still knows its groups by the names of the host: so the root is always looked at, and
/// folders that are not there are passed over.
fn group_limit(groups: &str, read: impl Fn(&str) -> Option<String>) -> Option<u64> {
    const ROOTS: [(&str, &str); 3] = [
        ("/sys/fs/cgroup", "memory.max"),
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        ("/sys/fs/cgroup/unified", "memory.max"),
    ];
    let has_memory = |line: &&str| {
        let controllers = line.split(':').nth(1).unwrap_or("");
        controllers.is_empty() || controllers.split(',').any(|name| name == "memory")
    };
    let mut limits = Vec::new();
    for line in groups.lines().filter(has_memory).chain(["0::/"]) {
        let path = line.splitn(3, ':').nth(2).unwrap_or("/").trim_end_matches('/');
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for group in ends.map(|end| &path[..end]) {
            let text = ROOTS.map(|(root, file)| read(&format!("{root}{group}/{file}")));
            limits.extend(
                text.into_iter().flatten().filter_map(|text| text.trim().parse::<u64>().ok()),
            );
        }
    }
    limits.into_iter().min()
}

/// From now on, what this process creates belongs to its user alone, whichever library creates it.
pub fn create_privately() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
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
    fn the_lowest_limit_of_all_groups_counts() {
        let files = [
            ("/sys/fs/cgroup/memory.max", "max"),
            ("/sys/fs/cgroup/kube/memory.max", "4000"),
            ("/sys/fs/cgroup/kube/pod/memory.max", "3000"),
            ("/sys/fs/cgroup/kube/pod/one/memory.max", "max"),
            ("/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "2000\n"),
        ];
        let read = |path: &str| {
            files.iter().find(|(known, _)| *known == path).map(|(_, text)| (*text).to_owned())
        };
        for (groups, expected) in [
            ("0::/kube/pod/one\n", Some(3000)),
            ("0::/kube\n", Some(4000)),
            ("0::/\n", None),
            ("12:cpu:/x\n4:memory,hugetlb:/docker/abc\n0::/\n", Some(2000)),
            ("12:cpu:/kube\n", None),
            ("", None),
        ] {
            assert_eq!(group_limit(groups, read), expected, "{groups}");
        }
        // Outside of a namespace for control groups the names are those of the host.
        let mounted = |path: &str| (path == "/sys/fs/cgroup/memory.max").then(|| "512".to_owned());
        assert_eq!(group_limit("0::/system.slice/docker-abc.scope\n", mounted), Some(512));
    }

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
