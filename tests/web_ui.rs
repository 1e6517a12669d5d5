//! The web UI as browsers get it: where it is, what it may do, how long it is kept.
//!
//! Not here: what it shows, which `web/test` looks at in a browser.

use crate::support::{Folder, Server};
use std::collections::BTreeSet;

/// What a browser sends when a person types an address.
const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");

/// `name?v=version` of everything that the page names.
fn named(page: &str) -> BTreeSet<String> {
    let words = page.replace("&quot;", "\"");
    words.split('"').filter(|word| word.contains("?v=")).map(str::to_owned).collect()
}

#[test]
fn browsers_are_sent_to_it_and_others_get_the_front_page() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let browser = server.connect().send("GET", "/", &[BROWSER], b"");
    assert_eq!((browser.status, browser.header("location")), (303, Some("ui/")));
    assert_eq!(browser.header("vary"), Some("accept, accept-language"));
    for path in ["/", "/front"] {
        let page = server.get(path);
        assert!(page.status == 200 && page.text().contains("What is stored"), "{path}");
    }
    let bare = server.get("/ui");
    assert_eq!((bare.status, bare.header("location")), (308, Some("ui/")));
}

#[test]
fn every_screen_is_the_same_page_and_may_run_nothing_inline() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let page = server.get("/ui/");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    for path in ["/ui/traces", "/ui/logs?from=now-1h", "/ui/anything"] {
        assert_eq!(server.get(path).body, page.body, "{path}");
    }
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(!page.text().contains("<script>") && !page.text().contains("<style"));
    assert!(
        !page.text().contains("=\"/"),
        "addresses are relative, so that a path may stand before them"
    );
    for path in ["/ui/nothing.js", "/ui/..%2fCargo.toml", "/ui/a/b", "/ui/../ready.js"] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
}

#[test]
fn files_that_name_their_version_are_kept_for_good() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let page = server.get("/ui/");
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    let files = named(page.text());
    assert!(files.len() > 3, "{files:?}");
    for file in files {
        let path = format!("/ui/{file}");
        let plain = server.get(&path);
        let lasts = plain.header("cache-control").unwrap();
        assert!(plain.status == 200 && lasts.contains("immutable"), "{file}: {lasts}");
        let gzip = [("accept-encoding", "br, gzip")];
        let packed = server.connect().send("GET", &path, &gzip, b"");
        assert_eq!(packed.header("content-encoding"), Some("gzip"), "{file}");
        let tag = plain.header("etag").unwrap();
        let same = server.connect().send("GET", &path, &[("if-none-match", tag)], b"");
        assert_eq!((same.status, same.body.len()), (304, 0), "{file}");
        // A page of another version must not poison what is kept under its address.
        let other = server.get(&format!("/ui/{}?v=000000000000", file.split('?').next().unwrap()));
        assert_eq!(other.header("cache-control"), Some("no-cache"), "{file}");
    }
}

#[test]
fn a_folder_stands_in_for_the_binary() {
    let (data, files) = (Folder::new(), Folder::new());
    let page = files.path().join("index.html");
    std::fs::write(&page, "mine").unwrap();
    std::fs::write(files.path().join(".secret.js"), "no").unwrap();
    let folder = files.path().display().to_string();
    let server = Server::start_with(data.path(), &["--ui-dir", &folder]);
    assert_eq!(server.get("/ui/traces").text(), "mine");
    std::fs::write(&page, "changed").unwrap();
    assert_eq!(server.get("/ui/traces").text(), "changed");
    for path in ["/ui/.secret.js", "/ui/..%2f..%2fx.js", "/ui/app.js"] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
}
