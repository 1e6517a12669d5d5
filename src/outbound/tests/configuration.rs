//! What Prometheus refuses in its `http_config`, in its words; what is shown of one.

use crate::{Credentials, HttpConfig, SecretSource};
use std::path::Path;
use yaml::Node;

#[test]
fn what_is_refused() {
    let cases = [
        (
            "{basic_auth: {username: a}, bearer_token: b}",
            "at most one of basic_auth, oauth2, authorization, bearer_token & bearer_token_file must be configured",
        ),
        (
            "{bearer_token: a, bearer_token_file: b}",
            "at most one of bearer_token & bearer_token_file must be configured",
        ),
        (
            "{authorization: {credentials: a}, bearer_token: b}",
            "authorization is not compatible with bearer_token & bearer_token_file",
        ),
        (
            "authorization: {type: Basic}",
            "authorization type cannot be set to \"basic\", use \"basic_auth\" instead",
        ),
        (
            "basic_auth: {password: a, password_file: b}",
            "at most one of basic_auth password & password_file must be configured",
        ),
        (
            "basic_auth: {username: a, username_file: b}",
            "at most one of basic_auth username & username_file must be configured",
        ),
        (
            "oauth2: {client_secret: a, token_url: 'http://a'}",
            "oauth2 client_id must be configured",
        ),
        ("oauth2: {client_id: a, client_secret: b}", "oauth2 token_url must be configured"),
        (
            "oauth2: {client_id: a, token_url: 'http://a'}",
            "either oauth2 client_secret or client_secret_file must be configured",
        ),
        ("tls_config: {ca: a, ca_file: b}", "at most one of ca and ca_file must be configured"),
        (
            "tls_config: {cert_file: a}",
            "exactly one of key or key_file must be configured when a client certificate is configured",
        ),
        ("tls_config: {min_version: TLS9}", "`min_version`: unknown TLS version: TLS9"),
        ("tls_config: {max_version: TLS11}", "max_version: TLS below 1.2 is not spoken here"),
        ("no_proxy: a", "if no_proxy is configured, proxy_url must also be configured"),
        (
            "{proxy_url: 'http://a', proxy_from_environment: true}",
            "if proxy_from_environment is configured, proxy_url must not be configured",
        ),
        ("http_headers: {Host: {values: [a]}}", "setting header \"Host\" is not allowed"),
        (
            "basic_auth: {user_name: a}",
            "`user_name` is not a field of a basic_auth; did you mean `username`?",
        ),
        (
            "tls_conifg: {}",
            "`tls_conifg` is not a field of a http_config; did you mean `tls_config`?",
        ),
    ];
    for (text, expected) in cases {
        let read = Node::parse(text).and_then(|node| node.read::<HttpConfig>());
        let error = read.unwrap_err();
        assert_eq!((error.line, error.message.as_str()), (1, expected), "{text}");
    }
}

#[test]
fn files_lie_beside_the_configuration_and_secrets_are_not_shown() {
    let text = "\
basic_auth: {username: CANARY-name, password_file: pw}
tls_config: {ca_file: /abs/ca.pem, key: CANARY-key, cert: c}
http_headers: {X-A: {secrets: [CANARY-header], values: [seen]}}
proxy_url: http://p:CANARY-proxy@host:1
proxy_connect_header: {X-B: [CANARY-connect]}
";
    let node = Node::parse(text).unwrap();
    let mut config: HttpConfig = node.read().unwrap();
    config.set_folder(Path::new("/etc/mirador"));
    let Credentials::Basic(basic) = &config.credentials else { panic!("{config:?}") };
    assert_eq!(basic.password, SecretSource::File("/etc/mirador/pw".into()));
    assert_eq!(config.tls.ca, Some(SecretSource::File("/abs/ca.pem".into())));
    let shown = format!("{config:?}");
    assert!(!shown.contains("CANARY"), "{shown}");
    let printed = node.to_text();
    let leaked: Vec<_> = printed.match_indices("CANARY").collect();
    assert_eq!(leaked.len(), 1, "only the name of the user: {printed}");
    assert!(printed.contains("seen"));
}
