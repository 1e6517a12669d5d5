//! Mail to a server on loopback that follows a script.

use super::*;
use crate::config::{Config, Settings};
use crate::notify::{NoticeData, Templates};
use crate::receivers::tests::delivery;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

/// How the server behaves.
#[derive(Clone, Default)]
struct Behaviour {
    abilities: &'static [&'static str],
    /// A command, and what is answered to it instead.
    instead: Option<(&'static str, &'static str)>,
}

/// Takes one connection; answers what the client said.
async fn serve(listener: TcpListener, behaviour: Behaviour) -> Vec<String> {
    let (stream, _) = listener.accept().await.unwrap();
    let mut stream = BufReader::new(stream);
    let mut heard = Vec::new();
    let mut in_data = false;
    stream.write_all(b"220 here\r\n").await.unwrap();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return heard;
        }
        let line = line.trim_end().to_owned();
        heard.push(line.clone());
        let answer = match &behaviour.instead {
            Some((command, answer)) if line.starts_with(command) => (*answer).to_owned(),
            _ if in_data && line != "." => continue,
            _ if in_data => {
                in_data = false;
                "250 taken".to_owned()
            }
            _ if line.starts_with("EHLO") => {
                let lines = behaviour.abilities.iter().map(|ability| format!("250-{ability}\r\n"));
                format!("250-hello\r\n{}250 HELP", lines.collect::<String>())
            }
            _ if line == "AUTH CRAM-MD5" => format!("334 {}", STANDARD.encode("<1@x>")),
            _ if line == "AUTH LOGIN" => "334 VXNlcm5hbWU6".to_owned(),
            _ if line == STANDARD.encode("user") => "334 UGFzc3dvcmQ6".to_owned(),
            _ if line.starts_with("AUTH") || line.len() > 4 && STANDARD.decode(&line).is_ok() => {
                "235 you are".to_owned()
            }
            _ if line == "DATA" => {
                in_data = true;
                "354 go on".to_owned()
            }
            _ if line == "QUIT" => "221 bye".to_owned(),
            _ => "250 fine".to_owned(),
        };
        if stream.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
            return heard;
        }
    }
}

fn config(port: u16, more: &str) -> EmailConfig {
    let tls = if more.contains("require_tls") { "" } else { "require_tls: false\n    " };
    let yaml = format!(
        "route: {{ receiver: a }}\n\
         receivers:\n- name: a\n  email_configs:\n  - to: 'A <a@x>, b@y'\n    from: mirador@z\n    \
         smarthost: 127.0.0.1:{port}\n    {tls}{more}\n"
    );
    let config = Config::parse(&yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
    match &config.receivers[0].integrations[0].settings {
        Settings::Email(email) => email.clone(),
        other => panic!("{other:?}"),
    }
}

fn mail(more: &str, behaviour: Behaviour) -> (Result<(), SendError>, Vec<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = config(listener.local_addr().unwrap().port(), more);
        let server = tokio::spawn(serve(listener, behaviour));
        let templates = Templates::new([]).unwrap();
        let data = Arc::new(NoticeData::new(&delivery(), "http://mirador"));
        let means = Means {
            templates: &templates,
            data: &data,
            now_ms: 1_700_000_000_000,
            folder: Path::new(""),
        };
        let mail = Mail::new(&config, &means).unwrap();
        let outcome = mail.send(Duration::from_secs(30)).await;
        (outcome, server.await.unwrap())
    })
}

#[test]
fn a_message_has_text_and_html() {
    let more = "text: '{{ .CommonLabels.alertname }}'\n    headers: { reply-to: ops@z, subject: 'S {{ .Status }}' }";
    let (outcome, heard) = mail(more, Behaviour::default());
    assert_eq!(outcome, Ok(()));
    let at = |line: &str| heard.iter().position(|known| known == line);
    assert_eq!(
        heard[..5],
        ["EHLO localhost", "MAIL FROM:<mirador@z>", "RCPT TO:<a@x>", "RCPT TO:<b@y>", "DATA"]
    );
    for line in [
        "From: mirador@z",
        "To: A <a@x>, b@y",
        "Subject: S firing",
        "Reply-To: ops@z",
        "Date: Tue, 14 Nov 2023 22:13:20 +0000",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=UTF-8",
        "Content-Type: text/html; charset=UTF-8",
    ] {
        assert!(at(line).is_some(), "{line} is not in {heard:#?}");
    }
    let part = |kind: &str| {
        let start = at(&format!("Content-Type: text/{kind}; charset=UTF-8")).unwrap() + 3;
        let lines = heard[start..].iter().take_while(|line| !line.starts_with("--"));
        String::from_utf8(STANDARD.decode(lines.cloned().collect::<String>()).unwrap()).unwrap()
    };
    assert_eq!(part("plain"), "Down");
    let html = part("html");
    assert!(html.contains("[FIRING:2]") && html.contains("1 &lt; 2"), "{html}");
    assert_eq!(heard.last().unwrap(), "QUIT");
}

#[test]
fn names_are_proved_as_the_server_asks() {
    let of = |abilities, secrets: &str| {
        let (outcome, heard) = mail(secrets, Behaviour { abilities, instead: None });
        (outcome, heard.into_iter().filter(|line| line.starts_with("AUTH")).collect::<Vec<_>>())
    };
    let password = "auth_username: user\n    auth_password: secret";
    let plain = format!("AUTH PLAIN {}", STANDARD.encode("\0user\0secret"));
    assert_eq!(of(&["AUTH LOGIN PLAIN"], password), (Ok(()), vec!["AUTH LOGIN".to_owned()]));
    assert_eq!(of(&["AUTH CRAM-MD5 PLAIN"], password), (Ok(()), vec![plain]));
    let secret = "auth_username: user\n    auth_secret: secret";
    assert_eq!(of(&["AUTH PLAIN CRAM-MD5"], secret), (Ok(()), vec!["AUTH CRAM-MD5".to_owned()]));
    let (outcome, _) = of(&["AUTH NTLM"], password);
    assert!(!outcome.unwrap_err().retry);
}

#[test]
fn what_the_server_refuses_is_told_and_tried_again_or_not() {
    let of = |command, answer| {
        let behaviour = Behaviour { abilities: &[], instead: Some((command, answer)) };
        let error = mail("text: x", behaviour).0.unwrap_err();
        (error.retry, error.message)
    };
    assert_eq!(
        of("RCPT", "550 no such"),
        (false, "the mail server answered 550 no such".to_owned())
    );
    assert_eq!(of("MAIL", "451 later"), (true, "the mail server answered 451 later".to_owned()));
    assert!(of("DATA", "what?").1.contains("speaks no SMTP"));
    let (outcome, heard) = mail("require_tls: true", Behaviour::default());
    assert!(outcome.unwrap_err().message.contains("STARTTLS"));
    assert_eq!(heard, ["EHLO localhost"], "nothing is sent without TLS");
}
