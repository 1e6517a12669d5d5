//! Starts the real server and sends it requests.

use crate::client::{Connection, Reply};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_mirador");

/// How long the tests wait for something that takes milliseconds on an idle machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A folder that is removed when the test ends.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("mirador-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running server; killed when the test ends.
pub(crate) struct Server {
    child: Child,
    pub address: SocketAddr,
    /// What it printed on standard output until it was ready.
    pub banner: String,
}

/// The command with the settings of every test: a free port, no further ports, the probe engine.
pub(crate) fn command(data: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("--data").arg(data).args(["--listen", "127.0.0.1:0"]);
    command.args(["--set", "listen.also=[]", "--set", "testing.probe=true"]);
    // The server's own metrics, lines and spans would change what the tests count.
    command.args(["--set", "metrics.self_interval=0s", "--set", "logs.store_own_lines=false"]);
    command.args(["--set", "traces.store_own_requests=0"]);
    // Tests use fixed times, which would fall out of the retention.
    command.args(["--set", "retention.metrics=0s"]).args(more);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Server {
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    pub(crate) fn start_with(data: &Path, more: &[&str]) -> Self {
        Self::spawn(command(data, more)).unwrap_or_else(|text| panic!("no start: {text}"))
    }

    /// Waits until the server reports that it is ready; `Err` with its last output if it ends
    /// first.
    pub(crate) fn spawn(mut command: Command) -> Result<Self, String> {
        let mut child = command.spawn().unwrap();
        // Standard error must be read, or the server would block once the pipe is full.
        let mut complaints = child.stderr.take().unwrap();
        let complaints = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = complaints.read_to_string(&mut text);
            text
        });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut banner = String::new();
        while !banner.contains("  stop ") {
            match lines.next() {
                Some(Ok(line)) => banner = banner + &line + "\n",
                _ => {
                    let _ = child.wait();
                    return Err(complaints.join().unwrap());
                }
            }
        }
        let look = banner.lines().find_map(|line| line.trim().strip_prefix("look "));
        let url = look.unwrap().trim().trim_end_matches('/');
        let address = url.split("://").nth(1).unwrap().parse().unwrap();
        Ok(Self { child, address, banner })
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.connect().send("GET", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Reply {
        self.connect().send("POST", path, &[], body)
    }

    /// The ids that the probe engine returns.
    pub(crate) fn stored_ids(&self) -> Vec<u64> {
        let reply = self.get("/-/probe");
        assert_eq!(reply.status, 200, "{}", reply.text());
        let ids = reply.text().lines().map(|line| line.split(' ').next().unwrap().to_owned());
        ids.map(|id| id.parse().unwrap()).collect::<Vec<u64>>()
    }

    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").text().to_owned();
        let line = text.lines().find(|line| line.split(' ').next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("no metric {name}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.pid().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the exit code.
    pub(crate) fn wait(mut self) -> i32 {
        let status = wait_for("the server to end", || self.child.try_wait().unwrap());
        status.code().expect("it ended by itself")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Calls `ask` repeatedly until it returns a value.
pub(crate) fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a command to its end: exit code, standard output, standard error.
pub(crate) fn run(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// Prints a line that is visible even when the test passes, because the harness only hides `print`.
pub(crate) fn say(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Reports that a test, or a part of one, can't run here; `.ci/run` counts these lines.
pub(crate) fn skip(name: &str, reason: &str) {
    say(&format!("SKIPPED {name}: {reason}"));
}

/// Whether a program is on the PATH.
pub(crate) fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Encodes a text for a URL's query.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// Requests JSON; the answer must be a success.
pub(crate) fn ask(address: SocketAddr, path: &str) -> Value {
    let reply = Connection::open(address).send("GET", path, &[], b"");
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    serde_json::from_slice(&reply.body).unwrap()
}

/// The root of the source tree.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}
