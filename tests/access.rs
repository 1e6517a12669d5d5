//! Who may do what, over HTTP.

use crate::client::Reply;
use crate::support::{BINARY, Folder, Server, run, skip};
use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use catalog::Scope;
use protocols::{Access, Route};
use serde_json::{Value, json};
use server::routes::{ROUTES, default_protocols};
use std::collections::BTreeSet;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

pub(crate) fn token(data: &Path, arguments: &[&str]) -> String {
    let mut create = Command::new(BINARY);
    create.arg("--data").arg(data).args(["token", "create", "t"]).args(arguments);
    let (code, token, words) = run(&mut create);
    assert_eq!(code, 0, "{words}");
    token.trim().to_owned()
}

fn bearer(data: &Path, arguments: &[&str]) -> String {
    format!("Bearer {}", token(data, arguments))
}

/// What the test needs of a route, whichever table it is in.
struct Listed {
    methods: &'static [Method],
    path: &'static str,
    access: Access,
}

impl Listed {
    fn of<H>(route: &Route<H>) -> Self {
        let Route { methods, path, access, .. } = route;
        Self { methods, path, access: *access }
    }
}

/// Every route that is served: they are only served from the tables.
fn listed() -> Vec<Listed> {
    let protocols = default_protocols();
    let of_protocols = protocols.iter().flat_map(|protocol| &protocol.routes).map(Listed::of);
    ROUTES.iter().map(Listed::of).chain(of_protocols).collect()
}

fn protected(data: &Path) -> Server {
    Server::start_with(data, &["--set", "auth.mode=on"])
}

/// Somebody who calls routes.
struct Caller {
    name: &'static str,
    authorization: Option<String>,
    scopes: &'static [Scope],
    is_bound: bool,
}

impl Caller {
    fn may(&self, access: Access) -> bool {
        let holds = access.scope().is_none_or(|scope| self.scopes.contains(&scope));
        holds && !(self.is_bound && matches!(access, Access::Server(_)))
    }

    /// The status, and why it was refused.
    fn ask(
        &self,
        server: &Server,
        route: &Listed,
        method: &Method,
        more: &[(&str, &str)],
    ) -> (u16, String) {
        let path = route.path.replace("{id}", "x").replace("{name}", "x");
        let path = path.replace("{signal}", "metrics").replace("{tenant}", "a");
        let mut headers = more.to_vec();
        headers.extend(self.authorization.as_deref().map(|value| ("authorization", value)));
        let reply = server.connect().send(method.as_str(), &path, &headers, b"");
        // Answers over gRPC are not text.
        let body = String::from_utf8_lossy(&reply.body);
        let reason = reply.header("grpc-message").map_or_else(|| body.into_owned(), str::to_owned);
        (status_of(&reply), reason)
    }
}

fn callers(data: &Path) -> Vec<Caller> {
    let bound = |name, scope, scopes| {
        let authorization = Some(bearer(data, &["--scope", scope, "--tenant", "a"]));
        Caller { name, authorization, scopes, is_bound: true }
    };
    let everything = ["--scope", "read,write,rules,admin", "--tenant", "*"];
    vec![
        Caller {
            name: "global admin",
            authorization: Some(bearer(data, &everything)),
            scopes: &Scope::ALL,
            is_bound: false,
        },
        bound("tenant admin", "admin", &[Scope::Admin]),
        bound("tenant reader", "read", &[Scope::Read]),
        bound("tenant writer", "write", &[Scope::Write]),
        Caller { name: "nobody", authorization: None, scopes: &[], is_bound: true },
    ]
}

#[test]
fn every_route_asks_for_what_its_table_says() {
    let folder = Folder::new();
    let server = protected(folder.path());
    let callers = callers(folder.path());
    let other = [("x-scope-orgid", "b")];
    for route in listed() {
        let (path, access) = (route.path, route.access);
        for (caller, method) in
            callers.iter().flat_map(|c| route.methods.iter().map(move |m| (c, m)))
        {
            let (status, reason) = caller.ask(&server, &route, method, &[]);
            let what = format!("{method} {path} by {} answered {status} {reason}", caller.name);
            let refusals = ["lacks the scope", "is bound to tenants", "may not act for"];
            let is_refused = status == 403 && refusals.iter().any(|words| reason.contains(words));
            match (&caller.authorization, access) {
                (_, Access::Public) => assert!(!is_refused && status != 401, "{what}"),
                (None, _) => assert_eq!(status, 401, "{what}"),
                (Some(_), _) => assert_eq!(!is_refused, caller.may(access), "{what}"),
            }
            if caller.is_bound && caller.may(access) && matches!(access, Access::Tenant(_)) {
                let (status, reason) = caller.ask(&server, &route, method, &other);
                let is_path = path.contains("{tenant}");
                assert_eq!(status == 403, !is_path, "{what}; for another tenant {status} {reason}");
            }
        }
    }
}

#[test]
fn wrong_credentials_are_told_so_on_every_route() {
    let folder = Folder::new();
    let server = protected(folder.path());
    let wrong = Some("Bearer mir_x".to_owned());
    let wrong = Caller { name: "wrong", authorization: wrong, scopes: &[], is_bound: true };
    for route in listed().iter().filter(|route| route.access != Access::Public) {
        let (status, _) = wrong.ask(&server, route, &route.methods[0], &[]);
        assert_eq!(status, 401, "{}", route.path);
    }
    let reply = server.get("/api/v1/query?query=1");
    assert_eq!(reply.status, 401);
    assert!(reply.header("www-authenticate").is_some());
}

/// The table itself: what concerns the whole server, written down a second time.
#[test]
fn what_concerns_the_server_takes_rights_for_all_tenants() {
    let server: BTreeSet<&str> = [
        "/metrics",
        "/-/flush",
        "/-/merge",
        "/-/reload",
        "/objects",
        "/api/ui/v1/objects",
        "/alertmanager/-/reload",
        "/internal/force_flush",
        "/internal/force_merge",
        "/api/admin/snapshots",
        "/api/admin/snapshots/{name}",
        "/api/admin/catalog-damage",
        "/api/v1/admin/tsdb/snapshot",
        "/api/v1/scrape_pools/config",
        "/api/v1/targets/relabel_steps",
        "/api/v1/status/config",
        "/api/v1/status/flags",
        "/api/v1/status/remote_write",
        "/api/v1/status/runtimeinfo",
    ]
    .into();
    let grants: BTreeSet<&str> = [
        "/api/admin/tokens",
        "/api/admin/tokens/{id}",
        "/api/admin/users",
        "/api/admin/users/{name}",
    ]
    .into();
    let with = |is: fn(Access) -> bool| -> BTreeSet<&str> {
        let all = listed().into_iter().filter(|route| is(route.access));
        all.map(|route| route.path.strip_prefix("/prometheus").unwrap_or(route.path)).collect()
    };
    assert_eq!(with(|access| matches!(access, Access::Server(_))), server);
    assert_eq!(with(|access| access == Access::Grants), grants);
}

/// A page can have a browser send a `GET` without anybody being asked.
#[test]
fn nothing_is_changed_by_get() {
    for route in listed() {
        // What those who may do more are told.
        const TOLD: [&str; 4] = [
            "/api/admin/snapshots",
            "/api/admin/refused",
            "/api/admin/traces/delete",
            "/api/admin/rules/backfill",
        ];
        let lists = TOLD.contains(&route.path)
            || route.path.ends_with("/sampling")
            || route.path.ends_with("/loki/api/v1/delete")
            || route.access == Access::Grants;
        let reads = matches!(route.access.scope(), None | Some(Scope::Read)) || lists;
        assert!(reads || !route.methods.contains(&Method::GET), "{}", route.path);
    }
}

fn json(server: &Server, method: &str, path: &str, by: &str, body: &Value) -> (u16, Value) {
    let headers = [("authorization", by), ("content-type", "application/json")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let reply = server.connect().send(method, path, &headers, body.as_bytes());
    let answer = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
    (reply.status, answer)
}

#[test]
fn an_administrator_of_a_tenant_gives_and_sees_only_what_they_hold() {
    let folder = Folder::new();
    let server = protected(folder.path());
    let global = bearer(folder.path(), &["--scope", "admin,read", "--tenant", "*"]);
    let of_a = bearer(folder.path(), &["--scope", "admin,read", "--tenant", "a"]);
    let of_b = bearer(folder.path(), &["--scope", "read", "--tenant", "b"]);
    let create = |by: &str, scopes: Value, tenants: Value| {
        let body = json!({ "name": "n", "scopes": scopes, "tenants": tenants });
        json(&server, "POST", "/api/admin/tokens", by, &body).0
    };
    assert_eq!(create(&of_a, json!(["read"]), json!(["a"])), 200);
    assert_eq!(create(&of_a, json!(["admin", "read"]), Value::Null), 200, "its own tenant");
    assert_eq!(create(&of_a, json!(["write"]), json!(["a"])), 403, "a scope that it lacks");
    for tenants in [json!(["*"]), json!(["b"]), json!(["a", "b"]), json!(["default"])] {
        assert_eq!(create(&of_a, json!(["read"]), tenants.clone()), 403, "{tenants}");
    }
    assert_eq!(create(&global, json!(["admin"]), json!(["*"])), 200);
    assert_eq!(create(&global, json!(["write"]), json!(["b"])), 403, "nobody gives what they lack");
    let listed = |by: &str| {
        let (status, answer) = json(&server, "GET", "/api/admin/tokens", by, &Value::Null);
        assert_eq!(status, 200);
        answer["tokens"].as_array().unwrap().clone()
    };
    let seen = listed(&of_a);
    assert!(seen.iter().all(|token| token["tenants"] == json!(["a"])), "{seen:?}");
    assert_eq!((seen.len(), listed(&global).len()), (3, 6));
    let revoke = |by: &str, id: &Value| {
        let path = format!("/api/admin/tokens/{}", id.as_str().unwrap());
        json(&server, "DELETE", &path, by, &Value::Null).0
    };
    for token in listed(&global) {
        let is_own = token["tenants"] == json!(["a"]);
        if !is_own {
            assert_eq!(revoke(&of_a, &token["id"]), 404, "{token}");
        }
    }
    assert_eq!(listed(&global).len(), 6, "nothing of others is gone");
    assert_eq!(json(&server, "GET", "/-/probe", &of_b, &Value::Null).0, 200);
}

#[test]
fn an_administrator_of_a_tenant_touches_no_user_of_others() {
    let folder = Folder::new();
    let server = protected(folder.path());
    let global = bearer(folder.path(), &["--scope", "admin,read", "--tenant", "*"]);
    let of_a = bearer(folder.path(), &["--scope", "admin,read", "--tenant", "a"]);
    let set = |by: &str, name: &str, tenants: Value| {
        let body = json!({ "password": "long enough", "scopes": ["read"], "tenants": tenants });
        json(&server, "PUT", &format!("/api/admin/users/{name}"), by, &body).0
    };
    assert_eq!(set(&global, "root", json!(["*"])), 200);
    assert_eq!(set(&of_a, "kim", Value::Null), 200);
    assert_eq!(set(&of_a, "kim", json!(["*"])), 403);
    assert_eq!(set(&of_a, "root", json!(["a"])), 403, "that would be taking it over");
    let (_, users) = json(&server, "GET", "/api/admin/users", &of_a, &Value::Null);
    let names: Vec<_> =
        users["users"].as_array().unwrap().iter().map(|u| u["name"].clone()).collect();
    assert_eq!(names, ["kim"]);
    let remove = |by: &str, name: &str| {
        json(&server, "DELETE", &format!("/api/admin/users/{name}"), by, &Value::Null).0
    };
    assert_eq!((remove(&of_a, "root"), remove(&of_a, "kim")), (404, 200));
    let expiring = ["--scope", "admin,read", "--tenant", "a", "--expires", "1h"];
    let for_an_hour = bearer(folder.path(), &expiring);
    assert_eq!(set(&for_an_hour, "lee", json!(["a"])), 403, "users don't expire");
}

/// The front page shows a tenant's reader what is stored of the tenant, and nothing of the machine.
#[test]
fn the_front_page_keeps_tenants_apart() {
    let folder = Folder::new();
    let server = protected(folder.path());
    for (tenant, lines) in [("a", "1 x\n"), ("b", "2 x\n3 x\n4 x\n5 x\n6 x\n7 x\n8 x\n9 x\n")] {
        let writer = bearer(folder.path(), &["--scope", "write", "--tenant", tenant]);
        let headers = [("authorization", writer.as_str())];
        assert_eq!(
            server.connect().send("POST", "/-/probe", &headers, lines.as_bytes()).status,
            204
        );
    }
    let page = |tenant: &str| {
        let reader = bearer(folder.path(), &["--scope", "read", "--tenant", tenant]);
        let reply = server.connect().send("GET", "/", &[("authorization", &reader)], b"");
        assert_eq!(reply.status, 200);
        reply.text().to_owned()
    };
    let data = folder.path().display().to_string();
    let probe = |page: &str| {
        let row = page.lines().find(|line| line.contains("Probe")).unwrap().to_owned();
        let cells = row.split("<td class=\"number\">").skip(1).take(2);
        cells.map(|cell| cell.split('<').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(probe(&page("a")), ["1", "1"], "one tenant, one row");
    assert_eq!(probe(&page("*")), ["2", "9"]);
    assert!(page("*").contains(&data) && !page("a").contains(&data));
}

/// gRPC reports in a header what HTTP reports in its status.
fn status_of(reply: &Reply) -> u16 {
    match reply.header("grpc-status") {
        Some("16") => 401,
        Some("7") => 403,
        _ => reply.status,
    }
}

#[test]
fn a_tenant_is_taken_only_from_those_who_may() {
    let folder = Folder::new();
    let server = protected(folder.path());
    let one =
        format!("Bearer {}", token(folder.path(), &["--scope", "read,write", "--tenant", "a"]));
    let two = format!("Bearer {}", token(folder.path(), &["--scope", "read", "--tenant", "a,b"]));
    let all = format!("Bearer {}", token(folder.path(), &["--scope", "read", "--tenant", "*"]));
    let get = |token: &str, tenant: Option<&str>| {
        let mut headers = vec![("authorization", token)];
        headers.extend(tenant.map(|tenant| ("x-scope-orgid", tenant)));
        server.connect().send("GET", "/-/probe", &headers, b"")
    };
    let stored = server.connect().send("POST", "/-/probe", &[("authorization", &one)], b"7 of a\n");
    assert_eq!(stored.status, 204, "its only tenant is taken without being named");
    assert_eq!(get(&one, None).text(), "7 of a\n");
    assert_eq!(get(&two, Some("a")).text(), "7 of a\n");
    assert_eq!(get(&all, Some("a")).text(), "7 of a\n");
    assert_eq!(get(&all, None).text(), "", "the default tenant has nothing");
    assert_eq!(get(&one, Some("b")).status, 403);
    assert_eq!(get(&two, None).status, 400, "which of the two?");
    assert_eq!(get(&all, Some("../a")).status, 400);
}

#[test]
fn passwords_work_and_wrong_ones_do_not() {
    let folder = Folder::new();
    let mut set = Command::new("sh");
    let script =
        "printf %s 'correct horse battery' | \"$0\" --data \"$1\" user set kim --scope read";
    set.args(["-c", script, BINARY]).arg(folder.path());
    assert_eq!(run(&mut set).0, 0);
    let server = protected(folder.path());
    let get = |credentials: &str| {
        let value = format!("Basic {credentials}");
        server.connect().send("GET", "/-/probe", &[("authorization", &value)], b"").status
    };
    let right = "a2ltOmNvcnJlY3QgaG9yc2UgYmF0dGVyeQ==";
    assert_eq!((get(right), get(right)), (200, 200), "the second comes from the cache");
    assert_eq!(get("a2ltOndyb25nIGhvcnNl"), 401, "kim with another password");
    assert_eq!(get("bm9ib2R5OmNvcnJlY3QgaG9yc2UgYmF0dGVyeQ=="), 401, "nobody with the right one");
    assert_eq!(get("%%%"), 401);
    let token = token(folder.path(), &["--scope", "read"]);
    let mut curl = Command::new("curl");
    let url = format!("http://{}/-/probe", server.address);
    let login = format!("any:{token}");
    curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "-u", &login, &url]);
    match Command::new("curl").arg("--version").output() {
        Ok(_) => assert_eq!(run(&mut curl).1, "200", "a token may stand where a password does"),
        Err(_) => skip("token as a password", "there is no curl on this machine"),
    }
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

#[test]
fn guessing_is_slowed_down_and_keeps_nobody_out() {
    let folder = Folder::new();
    let server = protected(folder.path());
    let everything = ["--scope", "read,write,rules,admin", "--tenant", "*"];
    let admin = bearer(folder.path(), &everything);
    for name in ["kim", "lee"] {
        let body = json!({ "password": "correct horse", "scopes": ["read"], "tenants": ["a"] });
        assert_eq!(json(&server, "PUT", &format!("/api/admin/users/{name}"), &admin, &body).0, 200);
    }
    let status = |authorization: &str| {
        server.connect().send("GET", "/-/probe", &[("authorization", authorization)], b"").status
    };
    assert_eq!(status(&basic("kim", "correct horse")), 200);
    let guesses = |user: &str| -> Vec<u16> {
        (0..30).map(|number| status(&basic(user, &format!("guess {number}")))).collect()
    };
    for user in ["kim", "lee", "nobody"] {
        let answers = guesses(user);
        assert_eq!(answers[..5], [401; 5], "{user}: {answers:?}");
        // One guess more may pass for each second that the others took.
        let refused = answers.iter().filter(|status| **status == 503).count();
        assert!(refused > 15, "{user}: {answers:?}");
    }
    assert_eq!(status(&basic("kim", "correct horse")), 200, "who has logged in before passes");
    let refused = server.connect().send(
        "GET",
        "/-/probe",
        &[("authorization", &basic("lee", "correct horse"))],
        b"",
    );
    assert!(refused.status == 503 && refused.header("retry-after").is_some());
    assert!(refused.text().contains("too many wrong passwords"), "{}", refused.text());
    assert_eq!(status(&admin), 200, "tokens are not passwords");
}

/// Nobody who could not say who they are has made a token that is good later.
#[test]
fn rights_are_given_on_the_machine_while_authentication_is_off() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let body = json!({ "name": "n", "scopes": ["admin"], "tenants": ["*"] });
    for (method, path) in [
        ("POST", "/api/admin/tokens"),
        ("GET", "/api/admin/tokens"),
        ("DELETE", "/api/admin/tokens/x"),
        ("PUT", "/api/admin/users/kim"),
        ("DELETE", "/api/admin/users/kim"),
    ] {
        let (status, answer) = json(&server, method, path, "", &body);
        assert_eq!(status, 403, "{method} {path}");
        assert!(answer["error"].as_str().unwrap().contains("mirador token"), "{answer}");
    }
    let made_by_operator = bearer(folder.path(), &["--scope", "read"]);
    drop(server);
    let server = protected(folder.path());
    let headers = [("authorization", made_by_operator.as_str())];
    assert_eq!(server.connect().send("GET", "/-/probe", &headers, b"").status, 200);
}

/// A page that has a browser send JSON must ask first; a form needs not.
#[test]
fn forms_are_no_json() {
    let folder = Folder::new();
    let server = protected(folder.path());
    let admin = bearer(folder.path(), &["--scope", "admin,read", "--tenant", "*"]);
    for content_type in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let headers = [("authorization", admin.as_str()), ("content-type", content_type)];
        let body = br#"{"name":"n","scopes":["read"],"tenants":["*"]}"#;
        let reply = server.connect().send("POST", "/api/admin/tokens", &headers, body);
        assert_eq!(reply.status, 415, "{content_type}");
    }
}

/// What a browser sends for a page that has pointed its own name at this server, and for pages of other
/// sites.
#[test]
fn web_pages_do_not_use_a_server_without_authentication() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let send = |line: &str, headers: &[(&str, &str)]| {
        let mut request = format!("{line} HTTP/1.1\r\ncontent-length: 0\r\n");
        headers.iter().for_each(|(name, value)| request += &format!("{name}: {value}\r\n"));
        let mut connection = server.connect();
        connection.write(format!("{request}\r\n").as_bytes()).unwrap();
        connection.read_reply().unwrap().status
    };
    let port = server.address.port();
    let rebound = format!("evil.example:{port}");
    for line in
        ["GET /api/v1/query?query=1", "GET /", "GET /metrics", "POST /-/flush", "POST /-/probe"]
    {
        assert_eq!(send(line, &[("host", &rebound)]), 403, "{line}");
        for own in
            ["localhost", &format!("localhost:{port}"), &server.address.to_string(), "[::1]:1"]
        {
            assert!(send(line, &[("host", own)]) < 300, "{line} of {own}");
        }
    }
    let page = [("host", "localhost"), ("origin", "http://evil.example")];
    let form = [page[0], page[1], ("content-type", "text/plain")];
    for line in [
        "POST /-/flush",
        "POST /-/merge",
        "POST /internal/force_flush",
        "POST /internal/force_merge",
        "POST /api/admin/tokens",
        "DELETE /api/admin/snapshots/x",
        "DELETE /api/admin/refused/metrics/default",
        "POST /api/v1/import/prometheus",
        "POST /api/v1/write",
        "POST /v1/metrics",
        "POST /-/probe",
    ] {
        assert_eq!(send(line, &page), 403, "{line}");
        assert_eq!(send(line, &form), 403, "{line}");
    }
    assert_eq!(send("GET /internal/force_merge", &[("host", "localhost")]), 405, "no GET changes");
    assert_eq!(
        send("POST /-/flush", &[("host", "localhost"), ("origin", "http://localhost")]),
        200
    );
}

/// A server that listens publicly is called by names of services and proxies that nobody listed.
#[test]
fn public_servers_are_called_by_any_name_until_some_are_listed() {
    let folder = Folder::new();
    let status = |server: &Server, host: &str| {
        let mut connection = server.connect();
        connection
            .write(format!("GET /version HTTP/1.1\r\nhost: {host}\r\n\r\n").as_bytes())
            .unwrap();
        connection.read_reply().unwrap().status
    };
    let service = "mirador.monitoring.svc.cluster.local:9640";
    // Loopback all the same, but by a setting that takes any address.
    let listed = ["--set", "listen.host_names=[\"mirador.monitoring.svc.cluster.local\"]"];
    let server = Server::start_with(folder.path(), &listed);
    assert_eq!((status(&server, service), status(&server, "evil.example")), (200, 403));
    drop(server);
    let server = protected(folder.path());
    assert_eq!(status(&server, "evil.example"), 200, "a page lacks the credentials");
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn open_to_others(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_socket = std::fs::metadata(&path).unwrap().file_type().is_socket();
        if mode(&path) & 0o077 != 0 && !is_socket {
            found.push(format!("{} {:o}", path.display(), mode(&path)));
        }
        if path.is_dir() {
            found.extend(open_to_others(&path));
        }
    }
    found
}

#[test]
fn the_data_folder_is_the_owners_alone() {
    let folder = Folder::new();
    let data = folder.path().join("data");
    let server = Server::start(&data);
    token(&data, &["--scope", "read"]);
    assert_eq!(server.post("/-/probe", b"1 one\n").status, 204);
    assert_eq!(server.post("/-/flush", b"").status, 200);
    server.signal("-TERM");
    assert_eq!(server.wait(), 0);
    assert_eq!(mode(&data), 0o700);
    assert_eq!(open_to_others(&data), [""; 0]);
    let loosen = |mode| std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(&data, loosen(0o755)).unwrap();
    std::fs::set_permissions(data.join("catalog"), loosen(0o755)).unwrap();
    std::fs::set_permissions(data.join("catalog/sled/db"), loosen(0o644)).unwrap();
    let server = Server::start(&data);
    assert_eq!(mode(&data), 0o700, "an older folder is closed");
    assert_eq!(open_to_others(&data.join("catalog")), [""; 0]);
    drop(server);
}
