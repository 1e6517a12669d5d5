//! Texts: letters, expressions, names of hosts.

use crate::builtins::query_escape;
use crate::logql::regexes::replace_all;
use crate::logql::strings::{lower, mapped, title, upper};
use crate::registry::{Call, Failure, Function, Kind};
use crate::value::Value;
use std::net::IpAddr;

const TEXT: &[Kind] = &[Kind::Text];

pub(super) const FUNCTIONS: [Function; 9] = [
    Function::pure("title", TEXT, |call, arguments| mapped(call, arguments, title)),
    Function::pure("toUpper", TEXT, |call, arguments| mapped(call, arguments, upper)),
    Function::pure("toLower", TEXT, |call, arguments| mapped(call, arguments, lower)),
    // The text is written as it is: these texts are no HTML.
    Function::pure("safeHtml", TEXT, |_, arguments| Ok(arguments.text(0).into())),
    Function::pure("match", &[Kind::Text, Kind::Text], |call, arguments| {
        let regex = call.regex(&arguments.text(0))?;
        Ok(regex.engine().is_match(&arguments.text(1)).into())
    }),
    Function::pure("reReplaceAll", &[Kind::Text, Kind::Text, Kind::Text], |call, arguments| {
        let regex = call.regex(&arguments.text(0))?;
        let new = arguments.text(1);
        replace_all(call, &regex, arguments.text(2), (&new, true))
    }),
    Function::pure("stripPort", TEXT, |call, arguments| {
        changed(call, &arguments.text(0), strip_port)
    }),
    Function::pure("stripDomain", TEXT, |call, arguments| {
        changed(call, &arguments.text(0), strip_domain)
    }),
    Function::pure("urlQueryEscape", TEXT, |call, arguments| {
        let text = arguments.text(0);
        call.check_size(text.len().saturating_mul(3))?;
        Ok(query_escape(&text).into())
    }),
];

fn changed<'a>(
    _: &mut Call<'_>,
    text: &[u8],
    change: fn(&str) -> String,
) -> Result<Value<'a>, Failure> {
    match std::str::from_utf8(text) {
        Ok(text) => Ok(change(text).into()),
        Err(_) => Ok(text.to_vec().into()),
    }
}

/// `host:port` apart, as Go's net package does it; `None` where it is written otherwise.
fn split_host_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    let is_plain = !host.contains(['[', ']']) && !port.contains(['[', ']']);
    is_plain.then_some((host, port))
}

fn strip_port(text: &str) -> String {
    split_host_port(text).map_or(text, |(host, _)| host).to_owned()
}

/// The first part of a host's name; addresses stay as they are.
fn strip_domain(text: &str) -> String {
    let (host, port) = split_host_port(text).unwrap_or((text, ""));
    if host.parse::<IpAddr>().is_ok() {
        return text.to_owned();
    }
    let name = host.split('.').next().unwrap_or_default();
    match port {
        "" => name.to_owned(),
        port if name.contains([':', '%']) => format!("[{name}]:{port}"),
        port => format!("{name}:{port}"),
    }
}
