//! Passwords, tokens, files that are replaced, OAuth 2.0.

use super::{Server, answer, client, fixture, ok};
use crate::{Client, HttpConfig, Reach, Reason, Request};

#[tokio::test]
async fn secrets_are_sent_and_files_read_again() {
    let server = Server::start(|_| ok("")).await;
    let path = std::env::temp_dir().join(format!("mirador-token-{}", std::process::id()));
    let mut expected = Vec::new();
    std::fs::write(&path, "first\n").unwrap();
    let by_file = client(&format!("bearer_token_file: {}", path.display()));
    for (token, header) in [("first\n", "Bearer first"), ("second", "Bearer second")] {
        std::fs::write(&path, token).unwrap();
        by_file.send(Request::get(server.url("/"))).await.unwrap();
        expected.push(header);
    }
    std::fs::remove_file(&path).unwrap();
    let error = by_file.send(Request::get(server.url("/"))).await.unwrap_err();
    assert_eq!(error.reason, Reason::Authorization);

    let by_name = client("basic_auth: {username: ann, password: 'p:w'}");
    by_name.send(Request::get(server.url("/"))).await.unwrap();
    expected.push("Basic YW5uOnA6dw==");
    let by_type = client("authorization: {type: ApiKey, credentials: abc}");
    by_type.send(Request::get(server.url("/"))).await.unwrap();
    expected.push("ApiKey abc");
    let url = format!("http://bob:b%40b@{}/", server.address);
    let url = crate::Url::parse(&url).unwrap();
    client("{}").send(Request::get(url)).await.unwrap();
    expected.push("Basic Ym9iOmJAYg==");
    let seen: Vec<_> = server.seen();
    let headers: Vec<_> = seen.iter().map(|it| it.header("authorization").unwrap()).collect();
    assert_eq!(headers, expected);
}

#[tokio::test]
async fn a_token_is_fetched_once() {
    let tokens = Server::start(|seen| {
        let is_in_form = seen.body.contains("client_secret=s3");
        match is_in_form {
            true => ok(r#"{"access_token": "abc", "token_type": "bearer", "expires_in": 3600}"#),
            false => answer("401 Unauthorized", "", b"put it into the form"),
        }
    })
    .await;
    let server = Server::start(|_| ok("")).await;
    let client = client(&format!(
        "oauth2: {{client_id: me, client_secret: s3, token_url: '{}', scopes: [a, b], \
         endpoint_params: {{aud: x y}}}}",
        tokens.url("/token")
    ));
    for _ in 0..3 {
        client.send(Request::get(server.url("/"))).await.unwrap();
    }
    let asked = tokens.seen();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].header("authorization"), Some("Basic bWU6czM="));
    assert_eq!(asked[0].body, "aud=x+y&grant_type=client_credentials&scope=a+b");
    let seen = server.seen();
    assert!(seen.iter().all(|it| it.header("authorization") == Some("Bearer abc")), "{seen:?}");
}

#[test]
fn what_an_api_writes_reads_no_files() {
    let reach = || Reach::Public { allowed: Vec::new() };
    let texts = [
        format!("tls_config: {{ca_file: {}}}", fixture("ca.pem")),
        "basic_auth: {username: a, password_file: /etc/passwd}".to_owned(),
        "http_headers: {X-A: {files: [/etc/passwd]}}".to_owned(),
        "proxy_url: http://127.0.0.1:3128".to_owned(),
        "proxy_from_environment: true".to_owned(),
    ];
    for text in texts {
        let error = Client::new(&super::config(&text), reach()).unwrap_err();
        assert_eq!(error.reason, Reason::Forbidden, "{text}");
    }
    Client::new(&HttpConfig::default(), reach()).unwrap();
}
