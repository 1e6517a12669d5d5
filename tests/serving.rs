//! Starting and serving: the banner, the front page, ports, readiness.

use crate::support::{Folder, Server, command, installed, run, skip, wait_for};
use std::process::Command;

#[test]
fn it_starts_and_says_where_to_look() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    for word in ["look", "also on", "data", "try", "settings", "stop"] {
        assert!(server.banner.contains(word), "{}", server.banner);
    }
    assert_eq!(server.get("/ready").text(), "{\"status\":\"ready\"}\n");
    assert!(server.get("/healthy").text().contains("\"healthy\""));
    assert_eq!(server.get("/-/ready").status, 200);
    assert_eq!(server.get("/-/healthy").status, 200);
    assert!(server.get("/version").text().contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_front_page_is_served_in_two_languages() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    server.post("/-/probe", b"1 x\n2 y\n");
    let page = server.get("/");
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    for expected in ["Mirador", &server.address.to_string(), "Probe", ">2<", "type: prometheus"] {
        assert!(page.text().contains(expected), "{expected} is not on the page");
    }
    assert!(!page.text().contains("<script"));
    let korean = [("accept-language", "ko-KR,ko;q=0.9")];
    let page = server.connect().send("GET", "/", &korean, b"");
    assert!(page.text().contains("저장된 데이터"), "{}", page.text());
    assert_eq!(server.get("/front.css").header("content-type"), Some("text/css; charset=utf-8"));
}

#[test]
fn what_is_not_served_is_not_found() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    for path in ["/nothing", "/rules/test/test", "/-/probe/x", "/../../etc/passwd"] {
        let reply = server.get(path);
        assert_eq!((reply.status, reply.text()), (404, "404 page not found\n"), "{path}");
    }
    assert_eq!(server.post("/ready", b"").status, 405);
}

/// As curl sends a URL that the user did not escape.
#[test]
fn queries_may_come_as_they_are_typed() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let mut connection = server.connect();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    for _ in 0..2 {
        let typed = r#"/api/v1/query?query=label_replace(vector(3),"a","<b>","","")>2&time=4"#;
        let reply = connection.send("GET", typed, &[], b"");
        assert!(reply.text().contains(r#"{"a":"<b>"},"value":[4,"3"]"#), "{}", reply.text());
        let body = br#"query="<still a body>"&time=4"#;
        let reply = connection.send("POST", "/api/v1/query", &form, body);
        assert!(reply.text().contains(r#"[4,"<still a body>"]"#), "{}", reply.text());
        // After a request with a body, the next request on the connection is read correctly.
        let plain = connection.send("GET", "/api/v1/query?query=1&time=4", &[], b"");
        assert!(plain.text().contains(r#"[4,"1"]"#), "{}", plain.text());
    }
}

#[test]
fn its_metrics_read_in_both_formats() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    server.post("/-/probe", b"1 x\n");
    let plain = server.get("/metrics");
    assert!(plain.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    for name in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_io_written_bytes_total",
        "mirador_ready",
    ] {
        assert!(server.metric(name) >= 0.0);
    }
    assert_eq!(server.metric("mirador_ingest_batches_total"), 1.0);
    assert_eq!(server.metric("mirador_head_rows{signal=\"probe\"}"), 1.0);
    let accept = [("accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")];
    let open = server.connect().send("GET", "/metrics", &accept, b"");
    assert!(open.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    assert!(open.text().ends_with("# EOF\n"));
}

#[test]
fn one_port_speaks_http2_and_grpc_too() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let url = format!("http://{}", server.address);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = runtime.block_on(async {
        let channel = tonic::transport::Channel::from_shared(url).unwrap().connect().await.unwrap();
        let request = HealthCheckRequest { service: String::new() };
        HealthClient::new(channel).check(request).await.unwrap().into_inner()
    });
    assert_eq!(
        answer.status,
        tonic_health::pb::health_check_response::ServingStatus::Serving as i32
    );
    let url = format!("http://{}/ready", server.address);
    let mut curl = Command::new("curl");
    curl.args(["-s", "--http2-prior-knowledge", "-w", "%{http_version}", &url]);
    if !installed("curl") {
        skip("HTTP/2 by curl", "there is no curl on this machine");
        return;
    }
    assert_eq!(run(&mut curl).1, "{\"status\":\"ready\"}\n2");
}

#[test]
fn tls_serves_the_same() {
    let folder = Folder::new();
    let fixtures = crate::support::root().join("tests/fixtures");
    let cert = format!("tls.cert_file={}", fixtures.join("tls.crt").display());
    let key = format!("tls.key_file={}", fixtures.join("tls.key").display());
    let server = Server::start_with(folder.path(), &["--set", &cert, "--set", &key]);
    assert!(server.banner.contains("https://"), "{}", server.banner);
    if !installed("curl") {
        skip("TLS by curl", "there is no curl on this machine");
        return;
    }
    let url = format!("https://localhost:{}/ready", server.address.port());
    let mut curl = Command::new("curl");
    curl.arg("-s").arg("--cacert").arg(fixtures.join("tls.crt")).args(["--http2", &url]);
    assert_eq!(run(&mut curl).1, "{\"status\":\"ready\"}\n");
}

#[test]
fn sighup_leaves_the_server_running() {
    let folder = Folder::new();
    let file = folder.path().join("mirador.toml");
    std::fs::write(&file, "[log]\nlevel = \"info\"\n").unwrap();
    let config = file.display().to_string();
    let server = Server::start_with(&folder.path().join("data"), &["--config", &config]);
    for text in ["[log]\nlevel = \"info\"\n", "[log]\nlevel = \"warn\"\n", "nonsense"] {
        std::fs::write(&file, text).unwrap();
        server.signal("-HUP");
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert_eq!(server.get("/ready").status, 200, "after {text}");
    }
    server.signal("-TERM");
    assert_eq!(server.wait(), 0);
}

#[test]
fn sighup_takes_a_new_certificate() {
    let name = "TLS with another certificate";
    if !installed("curl") || !installed("openssl") {
        return skip(name, "there is no curl or openssl on this machine");
    }
    let folder = Folder::new();
    let (cert, key) = (folder.path().join("c.crt"), folder.path().join("c.key"));
    let make = || {
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]);
        openssl.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]);
        openssl.arg("-keyout").arg(&key).arg("-out").arg(&cert);
        assert_eq!(run(&mut openssl).0, 0);
        std::fs::copy(&cert, folder.path().join("trusted.crt")).unwrap();
    };
    make();
    let settings =
        [format!("tls.cert_file={}", cert.display()), format!("tls.key_file={}", key.display())];
    let flags = ["--set", &settings[0], "--set", &settings[1]];
    let server = Server::start_with(&folder.path().join("data"), &flags);
    let is_trusted = || {
        let url = format!("https://localhost:{}/ready", server.address.port());
        let mut curl = Command::new("curl");
        curl.arg("-s").arg("--cacert").arg(folder.path().join("trusted.crt")).arg(&url);
        run(&mut curl).0 == 0
    };
    assert!(is_trusted());
    make();
    assert!(!is_trusted(), "the server still shows the old one");
    server.signal("-HUP");
    wait_for("the new certificate", || is_trusted().then_some(()));
    std::fs::write(&cert, "no certificate").unwrap();
    server.signal("-HUP");
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert!(is_trusted(), "it goes on with the one that it has");
}

#[test]
fn a_second_server_is_told_why_it_can_not_start() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let (code, _, words) = run(&mut command(folder.path(), &[]));
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("in use by another Mirador"), "{words}");
    let other = Folder::new();
    let taken = server.address.to_string();
    let (code, _, words) = run(&mut command(other.path(), &["--listen", &taken]));
    assert_eq!(code, 2, "a flag given twice is refused: {words}");
    let set = format!("listen.address={taken}");
    let mut second = Command::new(crate::support::BINARY);
    second.arg("--data").arg(other.path()).args(["--set", &set, "--set", "listen.also=[]"]);
    let (code, _, words) = run(&mut second);
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("can't listen on"), "{words}");
}

#[test]
fn a_taken_further_port_is_only_a_warning() {
    let folder = Folder::new();
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("listen.also=[\":{}\"]", holder.local_addr().unwrap().port());
    let server = Server::start_with(folder.path(), &["--set", &taken]);
    assert_eq!(server.get("/ready").status, 200);
}

#[test]
fn an_open_address_without_protection_is_refused() {
    let folder = Folder::new();
    let mut open = Command::new(crate::support::BINARY);
    open.arg("--data").arg(folder.path()).args(["--listen", "0.0.0.0:0"]);
    let (code, _, words) = run(&mut open);
    assert_eq!(code, 3, "{words}");
    assert!(words.contains("--insecure-listen") && words.contains("auth.mode"), "{words}");
}

#[test]
fn flush_and_merge_answer_when_done() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    for round in 0..5u64 {
        let lines: String = (0..100).map(|i| format!("{} text\n", round * 100 + i)).collect();
        assert_eq!(server.post("/-/probe", lines.as_bytes()).status, 204);
        assert_eq!(server.post("/-/flush", b"").status, 200);
    }
    let parts = "mirador_parts{signal=\"probe\"}";
    assert_eq!(server.metric(parts), 5.0);
    assert!(server.post("/-/merge", b"").text().contains("\"merged_parts\":5"));
    assert_eq!(server.metric(parts), 1.0);
    assert_eq!(server.metric("mirador_head_rows{signal=\"probe\"}"), 0.0);
    assert_eq!(server.stored_ids(), (0..500).collect::<Vec<u64>>());
    // Truncation has deleted the segments whose batches are in parts.
    assert!(server.metric("mirador_wal_size_bytes") < 10_000.0);
    server.kill();
    let server = Server::start(folder.path());
    assert_eq!(server.stored_ids(), (0..500).collect::<Vec<u64>>());
}

#[test]
fn data_reaches_parts_without_a_request() {
    let folder = Folder::new();
    let server = Server::start_with(folder.path(), &["--set", "storage.flush_interval=1s"]);
    server.post("/-/probe", b"1 x\n");
    wait_for("a flush", || (server.metric("mirador_parts{signal=\"probe\"}") == 1.0).then_some(()));
    assert_eq!(server.stored_ids(), [1]);
}
