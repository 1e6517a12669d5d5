//! The command line.

use crate::support::{BINARY, Folder, Server, run};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

fn mirador(data: &Path, arguments: &[&str]) -> (i32, String, String) {
    run(Command::new(BINARY).arg("--data").arg(data).args(arguments))
}

#[test]
fn help_names_every_command_and_flag() {
    let folder = Folder::new();
    let (code, help, _) = mirador(folder.path(), &["--help"]);
    assert_eq!(code, 0);
    for word in [
        "check-config",
        "check-rules",
        "inspect",
        "backfill",
        "test",
        "token",
        "user",
        "--listen",
        "--insecure-listen",
        "--set",
    ] {
        assert!(help.contains(word), "{word} is missing:\n{help}");
    }
}

#[test]
fn check_config_says_what_is_wrong_and_where() {
    let folder = Folder::new();
    let file = folder.path().join("mirador.toml");
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let path = file.display().to_string();
        mirador(folder.path(), &["check-config", "--config", &path])
    };
    let (code, shown, _) = check("[wal]\nsync = \"1s\"\n");
    assert_eq!(code, 0);
    assert!(shown.contains("sync = \"1s\""), "{shown}");
    let (code, _, words) = check("[wal]\nsnyc = \"1s\"\n");
    assert_eq!(code, 2);
    assert!(
        words.contains("mirador.toml:2") && words.contains("did you mean wal.sync?"),
        "{words}"
    );
    let (code, example, _) = mirador(folder.path(), &["check-config", "--example"]);
    assert_eq!(code, 0);
    assert_eq!(check(&example).0, 0);
}

/// A configuration with which the server would not start is not accepted.
#[test]
fn check_config_refuses_what_a_start_refuses() {
    let folder = Folder::new();
    for (arguments, words) in [
        (&["--listen", "0.0.0.0:9640"][..], "authentication is off"),
        (&["--listen", "nowhere"], "is not an address"),
        (&["--listen", "127.0.0.1:0", "--set", "listen.also=[\":x\"]"], "is not an address"),
        (&["--set", "tls.cert_file=missing", "--set", "tls.key_file=missing"], "missing"),
    ] {
        let checked = mirador(folder.path(), &[&["check-config"], arguments].concat());
        assert_eq!(checked.0, 2, "{arguments:?}: {checked:?}");
        assert!(checked.2.contains(words), "{arguments:?}: {checked:?}");
    }
    assert_eq!(mirador(folder.path(), &["check-config", "--listen", "127.0.0.1:1"]).0, 0);
}

#[test]
fn tokens_are_made_listed_and_revoked_with_and_without_a_server() {
    let folder = Folder::new();
    for with_server in [false, true] {
        let server = with_server.then(|| Server::start(folder.path()));
        let (code, token, words) =
            mirador(folder.path(), &["token", "create", "agent", "--scope", "write"]);
        assert_eq!(code, 0, "{words}");
        assert!(token.starts_with("mir_"), "{token}");
        let (_, list, _) = mirador(folder.path(), &["token", "list"]);
        let line = list.lines().find(|line| line.contains("agent")).unwrap().to_owned();
        assert!(line.contains("write") && !list.contains(token.trim()), "{list}");
        let id = line.split_whitespace().next().unwrap();
        let (code, _, words) = mirador(folder.path(), &["token", "revoke", id]);
        assert_eq!(code, 0, "{words}");
        assert!(!mirador(folder.path(), &["token", "list"]).1.contains("agent"));
        let (code, _, words) = mirador(folder.path(), &["token", "revoke", id]);
        assert_eq!((code, words.contains("is not in the catalog")), (1, true), "{words}");
        drop(server);
    }
}

#[test]
fn users_are_set_and_removed() {
    let folder = Folder::new();
    let user = |arguments: &[&str]| mirador(folder.path(), &[&["user"], arguments].concat());
    for with_server in [false, true] {
        let server = with_server.then(|| Server::start(folder.path()));
        for name in ["kim", "서울 팀", "a+b", "50%41?x=1#y"] {
            let mut set = Command::new(BINARY);
            set.arg("--data").arg(folder.path()).args(["user", "set", name, "--scope", "read"]);
            let mut child = set.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
            child.stdin.take().unwrap().write_all("비밀번호 열두 글자 이상\n".as_bytes()).unwrap();
            assert!(child.wait().unwrap().success(), "{name}");
            assert!(user(&["list"]).1.contains(name), "{name}");
            let (code, _, words) = user(&["remove", name]);
            assert_eq!(code, 0, "{name}: {words}");
            assert!(!user(&["list"]).1.contains(name), "{name}");
        }
        drop(server);
    }
}

#[test]
fn inspect_shows_every_kind_of_file() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    server.post("/-/probe", b"1 one\n");
    server.post("/-/flush", b"");
    server.post("/-/probe", b"2 two\n");
    mirador(folder.path(), &["token", "create", "t", "--scope", "read"]);
    let wal = folder.path().join("wal/0000000000000001.log").display().to_string();
    let (code, shown, words) = inspect("wal", &wal);
    assert_eq!(code, 0, "{words}");
    assert!(shown.contains("tenant=default signal=probe schema=1"), "{shown}");
    let (_, shown, _) =
        inspect("part", &first_file(&folder.path().join("blobs/parts/default/probe")));
    assert!(shown.contains("rows         1"), "{shown}");
    let manifests = folder.path().join("blobs/manifests/default/probe");
    let (_, shown, _) = inspect("manifest", &first_file(&manifests));
    assert!(shown.contains("parts        1"), "{shown}");
    server.signal("-TERM");
    assert_eq!(server.wait(), 0);
    let exports = folder.path().join("catalog/exports");
    let (code, shown, words) = inspect("catalog", &last_file(&exports));
    assert_eq!(code, 0, "{words}");
    assert!(shown.contains("\"hash\":\"***\""), "{shown}");
    let (code, _, words) = inspect("part", &wal);
    assert_eq!(code, 1);
    assert!(words.contains("is damaged"), "{words}");
}

const SCRIPT: &str = "\
load 1m
  requests_total{job=\"api\"} 0+60x10
  requests_total{job=\"db\"}  0+30x10

eval instant at 5m sum by (job) (rate(requests_total[5m]))
  {job=\"api\"} 1
  {job=\"db\"} 0.5

eval instant at 5m sum(rate(requests_total[5m]))
  {} 1.75

eval range from 0 to 2m step 1m requests_total{job=\"db\"}
  requests_total{job=\"db\"} 0 30 61

eval instant at 1m limitk(1, requests_total)
  expect fail
";

#[test]
fn scripts_of_queries_say_what_was_expected_and_what_came() {
    let folder = Folder::new();
    let file = folder.path().join("rates.test");
    let test = |text: &str, more: &[&str]| {
        std::fs::write(&file, text).unwrap();
        let path = file.display().to_string();
        mirador(folder.path(), &[&["test", "promql", &path], more].concat())
    };
    let (code, out, words) = test(SCRIPT, &[]);
    assert_eq!((code, words.as_str()), (1, "mirador: 2 of 4 checks failed\n"), "{out}");
    let path = file.display();
    let expected = format!(
        "{path}:9: eval instant at 5m sum(rate(requests_total[5m]))\n    \
         expected 1.75 for {{}} but got 1.5\n\
         {path}:12: eval range from 0 to 2m step 1m requests_total{{job=\"db\"}}\n    \
         expected for {{__name__=\"requests_total\", job=\"db\"}}: 0 @0 30 @60000 61 @120000, \
         but got: 0 @0 30 @60000 60 @120000\n\
         {path}: 2 as expected, 2 not\n"
    );
    assert_eq!(out, expected);
    let good = SCRIPT.replace("1.75", "1.5").replace("30 61", "30 60");
    let (code, out, words) = test(&good, &[]);
    assert_eq!((code, out), (0, format!("{path}: 4 as expected, 0 not\n")), "{words}");
    // The settings have the names of the server's.
    let (code, out, _) = test(&good, &["--set", "promql.experimental=true"]);
    assert_eq!(code, 1);
    assert!(out.contains("expected error but got none"), "{out}");
    let (code, _, words) = test("load 1m\n  x 1\n", &[]);
    assert_eq!((code, words.contains("there is no `eval`")), (1, true), "{words}");
    let (code, out, _) = test("evil instant at 1m x\n", &[]);
    assert_eq!(code, 1);
    assert!(out.contains("rates.test:1: evil instant at 1m x"), "{out}");
    let (code, _, words) = mirador(folder.path(), &["test", "promql", "missing.test"]);
    assert_eq!((code, words.contains("missing.test")), (1, true), "{words}");
}

fn inspect(kind: &str, file: &str) -> (i32, String, String) {
    run(Command::new(BINARY).args(["inspect", kind, file]))
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<String> = entries.map(|e| e.unwrap().path().display().to_string()).collect();
    paths.sort();
    paths
}

fn first_file(folder: &Path) -> String {
    files(folder).remove(0)
}

fn last_file(folder: &Path) -> String {
    files(folder).pop().unwrap()
}
