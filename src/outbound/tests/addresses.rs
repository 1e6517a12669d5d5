//! Where requests may go, and how addresses are written.

use super::{Server, ok};
use crate::resolve::{Resolve, Resolving};
use crate::{Cidr, Client, HttpConfig, Reach, Reason, Request, Url};
use proptest::prelude::*;
use std::net::IpAddr;
use std::sync::Arc;

/// Answers every name with the same addresses.
#[derive(Debug)]
struct Fixed(Vec<IpAddr>);

impl Resolve for Fixed {
    fn resolve<'a>(&'a self, _: &'a str) -> Resolving<'a> {
        Box::pin(async move { Ok(self.0.clone()) })
    }
}

fn bound(addresses: &[&str], allowed: &[&str]) -> Client {
    let addresses = addresses.iter().map(|it| it.parse().unwrap()).collect();
    let allowed = allowed.iter().map(|it| Cidr::parse(it).unwrap()).collect();
    let reach = Reach::Public { allowed };
    Client::with_resolver(&HttpConfig::default(), reach, Arc::new(Fixed(addresses))).unwrap()
}

#[tokio::test]
async fn an_api_names_no_private_address() {
    let server = Server::start(|_| ok("private")).await;
    let port = server.address.port();
    let named = Url::parse(&format!("http://harmless.test:{port}/")).unwrap();
    let cases: [(&[&str], &Url); 3] = [
        (&["127.0.0.1"], &named),
        (&["::ffff:127.0.0.1"], &named),
        (&["9.9.9.9"], &server.url("/")),
    ];
    for (addresses, url) in cases {
        let request = Request::get(url.clone());
        let error = bound(addresses, &[]).send(request).await.unwrap_err();
        assert_eq!(error.reason, Reason::Forbidden, "{addresses:?} {url}");
    }
    assert!(server.seen().is_empty());
    let response = bound(&["127.0.0.1"], &["127.0.0.0/8"]).send(Request::get(named)).await.unwrap();
    assert_eq!(&response.body[..], b"private");
}

#[test]
fn public_addresses() {
    let reach = Reach::Public { allowed: Vec::new() };
    let check = |text: &str| reach.check("host", text.parse().unwrap()).is_ok();
    let public = ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8"];
    let private = [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fc00::1",
        "fd12::1",
        "fe80::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::",
        "2001:db8::1",
        "2001:0:4136::1",
    ];
    assert!(public.iter().all(|text| check(text)));
    let wrong: Vec<_> = private.iter().filter(|text| check(text)).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn networks() {
    let contains = |network: &str, address: &str| {
        Cidr::parse(network).unwrap().contains(address.parse().unwrap())
    };
    assert!(contains("10.0.0.0/8", "10.255.0.1") && !contains("10.0.0.0/8", "11.0.0.1"));
    assert!(contains("0.0.0.0/0", "1.2.3.4") && !contains("0.0.0.0/0", "::1"));
    assert!(contains("::/0", "::1") && contains("fd00::/8", "fdff::1"));
    assert!(contains("10.0.0.1", "10.0.0.1") && !contains("10.0.0.1", "10.0.0.2"));
    for text in ["10.0.0.0/33", "10.0.0/8", "x", "::/129", ""] {
        Cidr::parse(text).unwrap_err();
    }
}

#[test]
fn addresses_are_read_and_shown() {
    let cases = [
        ("http://a", "http://a/"),
        ("HTTPS://a:443/x?y=z#f", "https://a:443/x?y=z"),
        ("http://[::1]:9090/", "http://[::1]:9090/"),
        ("http://u:secret@a/", "http://u:xxxxx@a/"),
        ("http://a?x=y", "http://a/?x=y"),
        ("http://a/ä b\"<>\\^`{|}%20", "http://a/%C3%A4%20b%22%3C%3E%5C%5E%60%7B%7C%7D%20"),
    ];
    for (text, shown) in cases {
        assert_eq!(Url::parse(text).unwrap().to_string(), shown);
    }
    for text in [
        "",
        "a",
        "ftp://a",
        "http://",
        "http://a:x",
        "http://a b",
        "http://[::1",
        "http://a:99999",
        "http:///x",
    ] {
        Url::parse(text).unwrap_err();
    }
    let base = Url::parse("http://a:1/b/c?d").unwrap();
    let led = |location: &str| base.redirected(location).unwrap().to_string();
    assert_eq!(led("e?f"), "http://a:1/b/e?f");
    assert_eq!(led("/e"), "http://a:1/e");
    assert_eq!(led("//z/e"), "http://z/e");
    assert_eq!(led("https://z"), "https://z/");
    assert_eq!(base.joined("/api/v2/alerts").to_string(), "http://a:1/b/c/api/v2/alerts");
}

#[test]
fn hosts_without_proxy() {
    let direct = |list: &str, url: &str| {
        let text = format!("{{proxy_url: 'http://p:1', no_proxy: '{list}'}}");
        super::config(&text).proxy.of(&Url::parse(url).unwrap()).unwrap().is_none()
    };
    let yes = [
        ("*", "http://a"),
        ("a.test", "http://a.test"),
        ("a.test", "http://b.a.test"),
        (".a.test", "http://b.a.test"),
        ("*.a.test", "http://b.a.test"),
        ("x, 10.0.0.0/8", "http://10.1.1.1"),
        ("10.1.1.1:80", "http://10.1.1.1"),
        ("A.test:8080", "http://a.TEST:8080"),
    ];
    let no = [
        ("a.test", "http://ba.test"),
        (".a.test", "http://a.test"),
        ("10.0.0.0/8", "http://11.1.1.1"),
        ("a.test:81", "http://a.test"),
        ("b", "http://a"),
    ];
    for (list, url) in yes {
        assert!(direct(list, url), "{list} {url}");
    }
    for (list, url) in no {
        assert!(!direct(list, url), "{list} {url}");
    }
}

proptest! {
    #[test]
    fn no_address_panics(text in "(https?://)?[a-z@:\\[\\]/?#%.0-9가 -]{0,30}", location in "[a-z:/?.#]{0,12}") {
        if let Ok(url) = Url::parse(&text) {
            let again = Url::parse(&url.to_string());
            prop_assert!(again.is_ok(), "{url}");
            let _led = url.redirected(&location);
            let _shown = url.with_path(&location).joined(&location).authority();
        }
    }
}
