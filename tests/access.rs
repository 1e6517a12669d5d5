//! Who may do what, over HTTP.

use crate::client::Reply;
use crate::support::{BINARY, Folder, Server, run, skip};
use protocols::{Access, Route};
use server::routes::{ROUTES, default_protocols};
use std::path::Path;
use std::process::Command;

pub(crate) fn token(data: &Path, arguments: &[&str]) -> String {
    let mut create = Command::new(BINARY);
    create.arg("--data").arg(data).args(["token", "create", "t"]).args(arguments);
    let (code, token, words) = run(&mut create);
    assert_eq!(code, 0, "{words}");
    token.trim().to_owned()
}

/// What the test needs of a route, whichever table it is in.
struct Listed {
    method: &'static str,
    path: &'static str,
    access: Access,
}

impl Listed {
    fn of<H>(route: &Route<H>) -> Self {
        let Route { methods, path, access, .. } = route;
        Self { method: methods[0].as_str(), path, access: *access }
    }
}

fn ask(server: &Server, route: &Listed, headers: &[(&str, &str)]) -> Reply {
    let path = route.path.replace("{id}", "x").replace("{name}", "x");
    server.connect().send(route.method, &path, headers, b"")
}

fn protected(data: &Path) -> Server {
    Server::start_with(data, &["--set", "auth.mode=on"])
}

/// Routes are only served from the tables, so walking the tables covers every route.
#[test]
fn every_route_holds_to_its_scope() {
    let folder = Folder::new();
    let server = protected(folder.path());
    let scopes = ["read", "write", "rules", "admin"];
    let tokens =
        scopes.map(|scope| format!("Bearer {}", token(folder.path(), &["--scope", scope])));
    let protocols = default_protocols();
    let of_protocols = protocols.iter().flat_map(|protocol| &protocol.routes).map(Listed::of);
    for route in ROUTES.iter().map(Listed::of).chain(of_protocols) {
        let (route, path) = (&route, route.path);
        let Access::Needs(needed) = route.access else {
            assert_ne!(ask(&server, route, &[]).status, 401, "{path} is public");
            continue;
        };
        let reply = ask(&server, route, &[]);
        assert_eq!(status_of(&reply), 401, "{path} without credentials");
        assert!(reply.header("www-authenticate").is_some(), "{path}");
        let reply = ask(&server, route, &[("authorization", "Bearer mir_x")]);
        assert_eq!(status_of(&reply), 401, "{path} with a wrong token");
        for (scope, token) in scopes.iter().zip(&tokens) {
            let reply = ask(&server, route, &[("authorization", token)]);
            let reason = reply.header("grpc-message").unwrap_or(reply.text());
            let refused = status_of(&reply) == 403 && reason.contains("lacks the scope");
            let allowed = *scope == needed.as_str();
            assert_eq!(
                !refused, allowed,
                "{path} with the scope {scope} answered {}",
                reply.status
            );
            assert_ne!(status_of(&reply), 401, "{path} with the scope {scope}");
        }
    }
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
