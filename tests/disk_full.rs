//! A full disk: writes are refused with 503, reads work, and the server recovers by itself once
//! there is space, with everything that was acknowledged.

use crate::support::{BINARY, Folder, Server, say, skip, wait_for};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;

/// A small disk for this test; unmounted when the test ends. `None` if this process may not mount.
struct SmallDisk(Folder);

impl SmallDisk {
    fn mount(size: &str) -> Option<Self> {
        let folder = Folder::new();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(folder.path());
        mount.output().is_ok_and(|output| output.status.success()).then(|| Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file until nothing fits any more.
    fn fill(&self) {
        let mut file = File::create(self.path().join("filler")).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
    }

    fn empty(&self) {
        std::fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

#[test]
fn a_full_disk_refuses_writes_and_recovers_by_itself() {
    let Some(disk) = SmallDisk::mount("24m") else {
        skip("disk full", "this process may not mount a tmpfs");
        return;
    };
    let data = disk.path().join("data");
    let settings = ["--set", "wal.segment_size=2MiB", "--set", "storage.flush_interval=1h"];
    let server = Server::start_with(&data, &settings);
    // Lines that do not compress.
    let line = |id: u64| {
        let noise: String = (0..60u64).map(|i| format!("{:x}", mix(id * 61 + i))).collect();
        format!("{id} {noise}\n")
    };
    let mut acknowledged = Vec::new();
    let refusal = (0..5_000u64)
        .find_map(|batch| {
            let ids: Vec<u64> = (batch * 20..batch * 20 + 20).collect();
            let body: String = ids.iter().map(|id| line(*id)).collect();
            let reply = server.post("/-/probe", body.as_bytes());
            if reply.status == 204 {
                acknowledged.extend(ids);
                return None;
            }
            Some(reply)
        })
        .expect("24 MiB take no 5,000 batches");
    assert_eq!(refusal.status, 503, "{}", refusal.text());
    assert!(refusal.header("retry-after").is_some());
    assert!(server.get("/healthy").text().contains("\"degraded\""));
    assert!(server.get("/").text().contains("writes are refused"));
    let all_there = |server: &Server| {
        let stored = server.stored_ids();
        assert!(acknowledged.iter().all(|id| stored.binary_search(id).is_ok()));
    };
    all_there(&server);

    let options = format!("remount,size={}", "256m");
    let grown = Command::new("mount").args(["-o", &options]).arg(disk.path()).status().unwrap();
    assert!(grown.success());
    let waited = std::time::Instant::now();
    wait_for("the write-ahead log to recover", || {
        (server.post("/-/probe", b"999999999 again\n").status == 204).then_some(())
    });
    say(&format!(
        "disk full: writes again {} ms after space came back",
        waited.elapsed().as_millis()
    ));
    assert!(server.get("/healthy").text().contains("\"healthy\""));
    all_there(&server);
    server.kill();
    all_there(&Server::start_with(&data, &settings));
}

/// A start on a disk without a free byte: the server is ready, reads, refuses writes, and takes them
/// once there is space.
#[test]
fn a_start_on_a_full_disk_reads_and_recovers_by_itself() {
    let Some(disk) = SmallDisk::mount("24m") else {
        skip("start on a full disk", "this process may not mount a tmpfs");
        return;
    };
    let data = disk.path().join("data");
    let server = Server::start(&data);
    let body: String = (0..100).map(|id| format!("{id} kept\n")).collect();
    assert_eq!(server.post("/-/probe", body.as_bytes()).status, 204);
    server.kill();
    disk.fill();

    Server::start(&data).kill();
    let server = Server::start(&data);
    assert_eq!(server.stored_ids(), (0..100).collect::<Vec<u64>>());
    let refusal = server.post("/-/probe", b"100 refused\n");
    assert_eq!(refusal.status, 503, "{}", refusal.text());
    assert!(refusal.header("retry-after").is_some());
    assert!(server.get("/healthy").text().contains("\"degraded\""));
    let token = || {
        let mut command = Command::new(BINARY);
        command.args(["token", "create", "t", "--scope", "read", "--data"]).arg(&data);
        command.output().unwrap()
    };
    let refusal = token();
    let words = String::from_utf8_lossy(&refusal.stderr).into_owned();
    assert!(!refusal.status.success() && words.contains("disk is full"), "{words}");

    disk.empty();
    wait_for("the write-ahead log to recover", || {
        (server.post("/-/probe", b"101 again\n").status == 204).then_some(())
    });
    assert!(token().status.success());
    assert!(server.get("/healthy").text().contains("\"healthy\""));
    server.kill();
    let server = Server::start(&data);
    assert_eq!(server.stored_ids().len(), 101);
}

fn mix(seed: u64) -> u64 {
    let z = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB)
}
