//! The message: headers, and text and HTML as parts of which the reader's program shows one.

use crate::config::EmailConfig;
use crate::receivers::{Means, SendError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;
use template::time::{Time, show};

#[derive(Debug)]
pub(super) struct Message {
    /// Addresses alone, without names.
    pub(super) from: String,
    pub(super) to: Vec<String>,
    /// All of it, with the line ends of the network.
    pub(super) text: String,
}

impl Message {
    pub(super) fn new(config: &EmailConfig, means: &Means<'_>) -> Result<Self, SendError> {
        let (from, to) = (means.text(&config.from)?, means.text(&config.to)?);
        let headers = headers(config, means, &from, &to)?;
        let senders = addresses(&from)?;
        let [sender] = &senders[..] else {
            return Err(SendError::for_good(format!("`from` must be one address, not {from:?}")));
        };
        let mut text = String::new();
        for (name, value) in &headers {
            header(&mut text, name, value);
        }
        let (plain, html) = (means.text(&config.text)?, means.html(&config.html)?);
        parts(&mut text, &plain, &html, &means.data.group_key, means.now_ms);
        Ok(Self { from: sender.clone(), to: addresses(&to)?, text })
    }
}

fn headers(
    config: &EmailConfig,
    means: &Means<'_>,
    from: &str,
    to: &str,
) -> Result<BTreeMap<String, String>, SendError> {
    let mut headers = BTreeMap::new();
    for (name, template) in &config.headers {
        headers.insert(name.clone(), means.text(template)?);
    }
    let mut set = |name: &str, value: String| {
        headers.entry(name.to_owned()).or_insert(value);
    };
    set("From", from.to_owned());
    set("To", to.to_owned());
    set("Subject", means.text("{{ template \"email.default.subject\" . }}")?);
    let now = Time::from_unix_nanoseconds(means.now_ms.saturating_mul(1_000_000));
    let mut date = String::new();
    show(&now, "Mon, 02 Jan 2006 15:04:05 -0700", &mut date);
    set("Date", date);
    let domain = from.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    let domain = domain.trim_end_matches('>');
    let key = &means.data.group_key;
    set("Message-Id", format!("<{}.{}@{domain}>", means.now_ms, name_of(key)));
    if config.threads {
        let thread = format!("<{}@{domain}>", name_of(key));
        set("References", thread.clone());
        set("In-Reply-To", thread);
    }
    set("X-Mailer", "Mirador".to_owned());
    Ok(headers)
}

/// Letters and digits that stand for a text.
fn name_of(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

/// One header. Line ends in its value become spaces, so that it can't become several; what is not
/// ASCII is encoded.
fn header(out: &mut String, name: &str, value: &str) {
    let value: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let value = value.trim();
    let _ = match value.is_ascii() {
        true => write!(out, "{name}: {value}\r\n"),
        false => write!(out, "{name}: {}\r\n", encoded_words(value)),
    };
}

/// RFC 2047. A name in front of an address is encoded, the address is not.
fn encoded_words(value: &str) -> String {
    if let Some((name, address)) = value.rsplit_once('<').filter(|_| value.ends_with('>')) {
        let name = name.trim().trim_matches('"');
        return format!("{} <{address}", encoded_words(name));
    }
    /// Bytes of one word: it may have 75 characters.
    const WORD: usize = 42;
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for character in value.chars() {
        if word.len() + character.len_utf8() > WORD {
            words.push(std::mem::take(&mut word));
        }
        word.push(character);
    }
    words.push(word);
    let words = words.iter().map(|word| format!("=?UTF-8?B?{}?=", STANDARD.encode(word)));
    words.collect::<Vec<_>>().join("\r\n ")
}

fn parts(out: &mut String, plain: &str, html: &str, group_key: &str, now_ms: i64) {
    let boundary = format!("part-{}-{now_ms}", name_of(group_key));
    let _ = write!(
        out,
        "MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=\"{boundary}\"\r\n\r\n"
    );
    for (kind, text) in [("plain", plain), ("html", html)] {
        if text.is_empty() {
            continue;
        }
        let _ = write!(
            out,
            "--{boundary}\r\nContent-Type: text/{kind}; charset=UTF-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        );
        base64_lines(out, text);
    }
    let _ = write!(out, "--{boundary}--\r\n");
}

/// Lines of 76 characters.
fn base64_lines(out: &mut String, text: &str) {
    let encoded = STANDARD.encode(text);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(76).unwrap_or((rest, ""));
        out.push_str(line);
        out.push_str("\r\n");
        rest = after;
    }
}

/// `a@b, "A, B" <c@d>` as addresses alone.
fn addresses(list: &str) -> Result<Vec<String>, SendError> {
    let mut found = Vec::new();
    let (mut start, mut is_quoted) = (0, false);
    for (at, character) in list.char_indices().chain([(list.len(), ',')]) {
        match character {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted || at == list.len() => {
                let one = list[start..at].trim();
                if !one.is_empty() {
                    found.push(address(one)?);
                }
                start = (at + 1).min(list.len());
            }
            _ => {}
        }
    }
    if found.is_empty() {
        return Err(SendError::for_good(format!("there is no address in {list:?}")));
    }
    Ok(found)
}

fn address(one: &str) -> Result<String, SendError> {
    let inner = match one.rsplit_once('<') {
        Some((_, inner)) => inner.strip_suffix('>'),
        None => Some(one),
    };
    let is_fine = |text: &&str| {
        text.contains('@')
            && !text.contains(|c: char| c.is_whitespace() || c.is_control() || "<>".contains(c))
    };
    match inner.map(str::trim).filter(is_fine) {
        Some(address) => Ok(address.to_owned()),
        None => Err(SendError::for_good(format!("{one:?} is not a mail address"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_stay_one_line_each() {
        let mut out = String::new();
        header(&mut out, "Subject", "a\r\nBcc: x@y\r\n\r\nbody");
        assert_eq!(out, "Subject: a  Bcc: x@y    body\r\n");
        let mut out = String::new();
        header(&mut out, "From", "\"제주\" <a@b>");
        assert_eq!(out, "From: =?UTF-8?B?7KCc7KO8?= <a@b>\r\n");
    }

    #[test]
    fn addresses_are_found_in_lists() {
        let of = |list| addresses(list).unwrap();
        assert_eq!(of("a@b"), ["a@b"]);
        assert_eq!(of("a@b, \"C, D\" <c@d> ,e@f"), ["a@b", "c@d", "e@f"]);
        assert!(addresses("").is_err());
        assert!(addresses("nobody").is_err());
        assert!(addresses("a@b>\r\nRCPT TO:<x@y").is_err());
    }
}
