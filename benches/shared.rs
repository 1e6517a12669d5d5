//! What the benches share: arguments, a folder to work in, generated telemetry.

use platform::{Disk, Random, RealDisk, SeededRandom};
use std::collections::BTreeMap;
use std::fmt::{Debug, Write};
use std::str::FromStr;

/// `--name value` pairs. Cargo's own `--bench` is ignored.
pub(crate) struct Arguments(BTreeMap<String, String>);

impl Arguments {
    pub(crate) fn read() -> Self {
        let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
        let mut pairs = BTreeMap::new();
        while let Some(name) = words.next() {
            let name = name.strip_prefix("--").expect("arguments are --name value").to_owned();
            pairs.insert(name, words.next().expect("every argument has a value"));
        }
        Self(pairs)
    }

    pub(crate) fn get<T: FromStr<Err: Debug>>(&self, name: &str, default: T) -> T {
        self.0.get(name).map_or(default, |text| text.parse().expect("a number"))
    }

    #[allow(dead_code, reason = "not every bench takes text")]
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The disk to measure: `--dir` is required, because a disk in memory would measure nothing.
    pub(crate) fn disk(&self) -> RealDisk {
        let dir = self.0.get("dir").expect("say --dir FOLDER: the disk to measure");
        RealDisk::open(dir).expect("the folder can be created")
    }
}

/// Removes a flat folder of an earlier run.
pub(crate) fn clear(disk: &dyn Disk, folder: &str) {
    for entry in disk.list(folder).expect("the folder can be listed") {
        disk.remove(&format!("{folder}/{}", entry.name)).expect("the bench's own files go away");
    }
}

/// Roughly this many bytes of lines as a web server logs them.
#[allow(dead_code, reason = "not every bench writes lines")]
pub(crate) fn log_lines(random: &SeededRandom, bytes: usize) -> Vec<u8> {
    const PATHS: [&str; 5] = ["/", "/api/v1/query", "/login", "/static/app.js", "/api/v1/labels"];
    const AGENTS: [&str; 3] = ["curl/8.5.0", "Mozilla/5.0 (X11; Linux x86_64)", "kube-probe/1.31"];
    let mut text = String::with_capacity(bytes + 200);
    while text.len() < bytes {
        let draw = |bound: usize| random.below(bound as u64) as usize;
        let (path, agent) = (PATHS[draw(5)], AGENTS[draw(3)]);
        let _ = writeln!(
            text,
            "10.{}.{}.{} - - [21/Nov/2026:02:{:02}:{:02}] \"GET {path}?id={} HTTP/1.1\" {} {} \"{agent}\"",
            draw(4),
            draw(16),
            draw(256),
            draw(60),
            draw(60),
            draw(1_000_000),
            [200, 200, 200, 304, 404, 500][draw(6)],
            draw(50_000),
        );
    }
    text.truncate(bytes);
    text.into_bytes()
}
