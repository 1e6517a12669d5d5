//! An engine that is switched off, and on again: what was acknowledged to it stays in the write-ahead
//! log until an operator gives it up.

use crate::access::token;
use crate::support::{Folder, Server};

const OFF: &[&str] = &["--set", "testing.probe=false"];

fn refused(server: &Server) -> serde_json::Value {
    let answer: serde_json::Value =
        serde_json::from_str(server.get("/api/admin/refused").text()).unwrap();
    answer["refused"].clone()
}

#[test]
fn an_engine_may_be_switched_off_and_on_again() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    assert_eq!(server.post("/-/probe", b"1 one\n2 two\n").status, 204);
    assert_eq!(refused(&server), serde_json::json!([]));
    server.kill();
    for _ in 0..2 {
        let server = Server::start_with(folder.path(), OFF);
        let kept = refused(&server);
        assert_eq!(
            (&kept[0]["signal"], &kept[0]["batches"]),
            (&"probe".into(), &1.into()),
            "{kept}"
        );
        assert!(server.get("/healthy").text().contains("degraded"));
        assert_eq!(server.metric("mirador_wal_refused_batches{signal=\"probe\"}"), 1.0);
        // Before, two flushes let go of the batch.
        for _ in 0..3 {
            assert_eq!(server.post("/-/flush", b"").status, 200);
        }
        server.kill();
    }
    let server = Server::start(folder.path());
    assert_eq!(server.stored_ids(), [1, 2]);
    assert_eq!(refused(&server), serde_json::json!([]));
    assert_eq!(server.post("/-/probe", b"3 three\n").status, 204);
    server.kill();
    let server = Server::start_with(folder.path(), OFF);
    let give_up = |path: &str| server.connect().send("DELETE", path, &[], b"").status;
    assert_eq!(give_up("/api/admin/refused/nonsense/default"), 400);
    assert_eq!(give_up("/api/admin/refused/probe/nobody"), 404);
    assert_eq!(give_up("/api/admin/refused/probe/default"), 200);
    assert_eq!(refused(&server), serde_json::json!([]));
    assert!(!server.get("/healthy").text().contains("degraded"));
}

/// An administrator of a tenant sees and gives up what was refused of that tenant alone.
#[test]
fn refused_batches_are_kept_apart_by_tenant() {
    let folder = Folder::new();
    let bearer = |scope: &str, tenant: &str| {
        format!("Bearer {}", token(folder.path(), &["--scope", scope, "--tenant", tenant]))
    };
    let on = ["--set", "auth.mode=on"];
    let server = Server::start_with(folder.path(), &on);
    for tenant in ["a", "b"] {
        let headers = [("authorization", bearer("write", tenant))];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        assert_eq!(server.connect().send("POST", "/-/probe", &headers, b"1 one\n").status, 204);
    }
    let (of_a, of_all) = (bearer("admin", "a"), bearer("admin", "*"));
    server.kill();
    let server = Server::start_with(folder.path(), &[&on[..], OFF].concat());
    let send = |method: &str, path: &str, by: &str| {
        server.connect().send(method, path, &[("authorization", by)], b"")
    };
    let tenants = |by: &str| -> Vec<String> {
        let reply = send("GET", "/api/admin/refused", by);
        let listed: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        let refused = listed["refused"].as_array().unwrap().iter();
        refused.map(|batches| batches["tenant"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(tenants(&of_a), ["a"]);
    assert_eq!(send("DELETE", "/api/admin/refused/probe/b", &of_a).status, 403);
    assert_eq!(tenants(&of_all), ["a", "b"]);
    assert_eq!(send("DELETE", "/api/admin/refused/probe/a", &of_a).status, 200);
    assert_eq!(tenants(&of_all), ["b"]);
    assert_eq!(send("DELETE", "/api/admin/refused/probe/b", &of_all).status, 200);
}

/// A segment that somebody deleted: the start serves the rest, and tells what is missing wherever one
/// looks, until an operator has read it.
#[test]
fn a_missing_segment_is_told_until_an_operator_has_read_it() {
    let folder = Folder::new();
    let start = || {
        Server::start_with(
            folder.path(),
            &["--set", "wal.segment_size=1MiB", "--set", "storage.flush_interval=1h"],
        )
    };
    let server = start();
    let noise = |id: u64| {
        (0..40_000u64)
            .map(|i| format!("{:x}", (id + 7) * (i + 3) * 0x9E37_79B9))
            .collect::<String>()
    };
    for id in 0..12 {
        let line = format!("{id} {}\n", noise(id));
        assert_eq!(server.post("/-/probe", line.as_bytes()).status, 204);
    }
    let now = server.post("/api/v1/import/prometheus", b"up 1\n");
    assert!(now.status < 300, "{}", now.text());
    server.kill();
    let wal = folder.path().join("wal");
    let mut segments: Vec<_> =
        std::fs::read_dir(&wal).unwrap().map(|e| e.unwrap().path()).collect();
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    segments.sort();
    assert!(segments.len() > 3, "{segments:?}");
    std::fs::remove_file(&segments[1]).unwrap();

    let up = |server: &Server| server.get("/api/v1/query?query=up").text().to_owned();
    for _ in 0..2 {
        let server = start();
        let kept = server.stored_ids().len();
        assert!((1..12).contains(&kept), "{kept}");
        assert!(server.get("/healthy").text().contains("degraded"));
        assert!(up(&server).contains("rows may be missing"), "{}", up(&server));
        assert!(refused(&server)[0]["missing"][0].as_str().unwrap().contains("write-ahead log"));
        // The gap itself is gone once its surroundings are truncated.
        assert_eq!(server.post("/-/flush", b"").status, 200);
        assert_eq!(server.post("/-/flush", b"").status, 200);
        server.kill();
    }
    let server = start();
    let give_up = |path: &str| server.connect().send("DELETE", path, &[], b"").status;
    assert_eq!(give_up("/api/admin/refused/metrics/default"), 200);
    assert!(!up(&server).contains("rows may be missing"));
    assert_eq!(give_up("/api/admin/refused/probe/default"), 200);
    assert!(!server.get("/healthy").text().contains("degraded"));
}
