//! What a single client did to the whole server once, replayed against a real server with little
//! memory: the server lives, others are served, and the answer says what to do.
//!
//! The server is in a control group of a gigabyte where one can be made, and has otherwise a gigabyte
//! of address space beyond what it has when it idles. Its limits follow from that, as in a container.
//! `HOSTILE_LIMIT=off` leaves it the whole machine, to see what it takes of that.

mod bodies;
mod connections;
mod queries;

use crate::client::Connection;
use crate::remote_write::{Series, send};
use crate::support::{Folder, Server, command, say};
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// A fixed time, as the other tests have.
const TIME_MS: i64 = 1_700_000_000_000;
/// Address space beyond that of a server that idles.
const ROOM_KIB: u64 = 1 << 20;

/// A line of `/proc/PID/status`, in KiB.
fn status_kib(pid: u32, key: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|line| line.starts_with(key)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The address space of a server that idles.
fn idle_kib() -> u64 {
    static IDLE: OnceLock<u64> = OnceLock::new();
    *IDLE.get_or_init(|| {
        let folder = Folder::new();
        let server = Server::start(folder.path());
        status_kib(server.pid(), "VmSize:")
    })
}

/// A server with little memory. Its control group goes after it.
struct Limited {
    server: Server,
    _group: Option<ControlGroup>,
}

impl Deref for Limited {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

struct ControlGroup(String);

impl Drop for ControlGroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// Whether the server has little memory.
fn is_limited() -> bool {
    std::env::var("HOSTILE_LIMIT").as_deref() != Ok("off")
}

fn start(data: &Path, more: &[&str]) -> Limited {
    let plain = command(data, more);
    if !is_limited() {
        let server = Server::spawn(plain).unwrap_or_else(|text| panic!("no start: {text}"));
        return Limited { server, _group: None };
    }
    let group = control_group();
    let limit = match &group {
        Some(ControlGroup(group)) => format!("echo $$ > {group}/cgroup.procs"),
        None => format!("ulimit -v {}", idle_kib() + ROOM_KIB),
    };
    let mut limited = Command::new("sh");
    limited.arg("-c").arg(format!("{limit} && exec \"$0\" \"$@\""));
    limited.arg(plain.get_program()).args(plain.get_args());
    limited.stdout(Stdio::piped()).stderr(Stdio::piped());
    let server = Server::spawn(limited).unwrap_or_else(|text| panic!("no start: {text}"));
    Limited { server, _group: group }
}

/// Makes a control group of a gigabyte, in version 1 or 2.
fn control_group() -> Option<ControlGroup> {
    const ROOTS: [(&str, &str); 2] =
        [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("mirador-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
    ROOTS.into_iter().find_map(|(root, limit)| {
        // Elsewhere a folder would be just a folder.
        let is_root = Path::new(root).join("cgroup.procs").exists();
        let group = format!("{root}/{name}");
        (is_root && std::fs::create_dir(&group).is_ok()).then_some(())?;
        let bytes = (ROOM_KIB * 1024).to_string();
        let group = ControlGroup(group);
        let limited = std::fs::write(format!("{}/{limit}", group.0), bytes).is_ok();
        limited.then_some(group)
    })
}

fn sample(value: f64) -> Vec<u8> {
    let series = Series::new(&[("__name__", "others")]).sample(TIME_MS, value);
    crate::remote_write::request(&[series])
}

/// The server lives, and whoever behaves is served: health, writes and queries.
fn others_are_served(server: &Server) {
    let peak = status_kib(server.pid(), "VmHWM:") / 1024;
    say(&format!("hostile: peak memory so far {peak} MiB"));
    assert_eq!(server.get("/healthy").status, 200);
    let reply = send(server.address, &sample(1.0));
    assert_eq!(reply.status, 204, "{}", reply.text());
    let reply = server.get("/api/v1/query?query=count(others)&time=1700000000");
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.text().contains("\"1\""), "{}", reply.text());
}

/// Runs `attack` so many times at the same time; answers what each answered.
fn at_once<T: Send>(count: usize, attack: impl Fn(usize) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let attack = &attack;
        let running: Vec<_> = (0..count).map(|index| scope.spawn(move || attack(index))).collect();
        running.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

fn gzip(plain: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    plain.into_iter().for_each(|piece| encoder.write_all(&piece).unwrap());
    encoder.finish().unwrap()
}

/// How long the server takes to say that it is healthy.
fn health_takes(address: SocketAddr) -> Duration {
    let started = std::time::Instant::now();
    assert_eq!(Connection::open(address).send("GET", "/healthy", &[], b"").status, 200);
    started.elapsed()
}
