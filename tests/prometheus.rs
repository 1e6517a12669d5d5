//! Debian's Prometheus, if it is installed: the oracle, and a real client.

use crate::client::Connection;
use crate::support::{Folder, installed, run, wait_for};
use serde_json::Value;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A running Prometheus with its own folder; killed when the test ends.
pub(crate) struct Prometheus {
    child: Child,
    pub address: SocketAddr,
    folder: Folder,
    flags: Vec<String>,
}

impl Prometheus {
    /// `config` gets the address on which it will listen. `None` if Prometheus is not installed.
    pub(crate) fn start(config: impl Fn(SocketAddr) -> String, flags: &[&str]) -> Option<Self> {
        if !installed("prometheus") {
            return None;
        }
        // Another process may take the port before Prometheus listens on it; then another port is
        // tried.
        for _ in 0..5 {
            let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            if let Some(started) = Self::start_at(address, &config(address), flags) {
                return Some(started);
            }
        }
        panic!("prometheus does not start");
    }

    /// Makes a snapshot of its store; needs `--web.enable-admin-api`.
    pub(crate) fn snapshot(&self) -> PathBuf {
        let path = "/api/v1/admin/tsdb/snapshot";
        let reply = Connection::open(self.address).send("POST", path, &[], b"");
        let answer: Value = serde_json::from_slice(&reply.body).unwrap();
        let name = answer["data"]["name"].as_str().unwrap_or_else(|| panic!("{answer}"));
        self.folder.path().join("data/snapshots").join(name)
    }

    /// Kills it; what it has stays.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again where it was.
    pub(crate) fn start_again(&mut self) {
        let (child, is_ready) = Self::launch(self.address, &self.folder, &self.flags);
        self.child = child;
        assert!(is_ready, "prometheus does not start again");
    }

    fn start_at(address: SocketAddr, config: &str, flags: &[&str]) -> Option<Self> {
        let folder = Folder::new();
        std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let (child, is_ready) = Self::launch(address, &folder, &flags);
        let started = Self { child, address, folder, flags };
        is_ready.then_some(started)
    }

    fn launch(address: SocketAddr, folder: &Folder, flags: &[String]) -> (Child, bool) {
        let file = folder.path().join("prometheus.yml");
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.arg(format!("--web.listen-address={address}")).arg("--log.level=error").args(flags);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let is_ready = wait_for("prometheus", || {
            let ready = Connection::try_open(address)
                .and_then(|mut connection| connection.try_send("GET", "/-/ready", &[], b""));
            match ready {
                Ok(reply) if reply.status == 200 => Some(true),
                _ => child.try_wait().unwrap().map(|_| false),
            }
        });
        (child, is_ready)
    }
}

/// The version from `prometheus, version 2.42.0+ds (branch: …)`; `None` if Prometheus is not
/// installed.
pub(crate) fn version() -> Option<String> {
    if !installed("prometheus") {
        return None;
    }
    let (_, out, words) = run(Command::new("prometheus").arg("--version"));
    (out + &words).split_whitespace().nth(2).map(str::to_owned)
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
