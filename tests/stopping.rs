//! SIGTERM: the server reports not ready, drains requests, syncs, and seals the write-ahead log.

use crate::client::Connection;
use crate::support::{Folder, Server, command, wait_for};
use std::process::Command;
use std::sync::Mutex;

#[test]
fn a_stop_under_load_loses_nothing_and_is_clean() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let acknowledged = Mutex::new(Vec::new());
    let code = std::thread::scope(|scope| {
        for writer in 0..4u64 {
            let (address, acknowledged) = (server.address, &acknowledged);
            scope.spawn(move || {
                let mut connection = Connection::open(address);
                for number in 0.. {
                    let id = writer * 1_000_000 + number;
                    let body = format!("{id} x\n");
                    match connection.try_send("POST", "/-/probe", &[], body.as_bytes()) {
                        Ok(reply) if reply.status == 204 => acknowledged.lock().unwrap().push(id),
                        // An unanswered request may or may not have been stored.
                        _ => return,
                    }
                }
            });
        }
        wait_for("some load", || (acknowledged.lock().unwrap().len() > 200).then_some(()));
        server.signal("-TERM");
        server.wait()
    });
    assert_eq!(code, 0);
    let server = Server::start(folder.path());
    let mut expected = acknowledged.into_inner().unwrap();
    expected.sort_unstable();
    let stored = server.stored_ids();
    assert!(expected.iter().all(|id| stored.binary_search(id).is_ok()), "acknowledged and lost");
    assert_eq!(server.metric("mirador_wal_unclean_stops_total"), 0.0);
}

#[test]
fn it_says_that_it_is_not_ready_before_it_stops_listening() {
    let folder = Folder::new();
    let server = Server::start_with(folder.path(), &["--set", "server.shutdown_delay=3s"]);
    server.signal("-TERM");
    let reply = wait_for("not ready", || {
        let reply = server.get("/ready");
        (reply.status == 503).then_some(reply)
    });
    assert!(reply.text().contains("stopping") && reply.header("retry-after").is_some());
    assert_eq!(server.post("/-/probe", b"1 x\n").status, 204, "it still serves meanwhile");
    assert_eq!(server.wait(), 0);
}

/// A second signal means that the operator does not want to wait.
#[test]
fn a_second_signal_stops_at_once() {
    let folder = Folder::new();
    let server = Server::start_with(folder.path(), &["--set", "server.shutdown_delay=1h"]);
    assert_eq!(server.post("/-/probe", b"1 x\n").status, 204);
    server.signal("-TERM");
    wait_for("not ready", || (server.get("/ready").status == 503).then_some(()));
    server.signal("-TERM");
    assert_eq!(server.wait(), 0);
    let server = Server::start(folder.path());
    assert_eq!(server.stored_ids(), [1]);
    assert_eq!(server.metric("mirador_wal_unclean_stops_total"), 0.0);
}

/// The first process of a container only gets signals for which it has a handler.
#[test]
fn a_signal_ends_a_start_that_takes_long() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path().join("wal")).unwrap();
    // Opening a pipe for reading blocks until a writer opens it.
    let segment = folder.path().join("wal/0000000000000001.log");
    assert!(Command::new("mkfifo").arg(&segment).status().unwrap().success());
    let mut child = command(folder.path(), &[]).spawn().unwrap();
    wait_for("the control socket", || folder.path().join("control.sock").exists().then_some(()));
    let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let status = wait_for("the server to end", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_kill_is_noticed_at_the_next_start() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    server.post("/-/probe", b"1 x\n");
    server.kill();
    let server = Server::start(folder.path());
    assert_eq!(server.metric("mirador_wal_unclean_stops_total"), 1.0);
    assert_eq!(server.stored_ids(), [1]);
}
