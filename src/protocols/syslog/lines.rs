//! From a message to a line: host and program are labels of the stream, the rest of the header and the
//! structured data are fields.

use crate::logs::Guard;
use std::net::IpAddr;
use wire::{
    FieldBuffer, LogSink as _, PairList, StreamLabels, SyslogClock, SyslogMessage, parse_syslog,
    structured_data,
};

const SEVERITIES: [&str; 8] =
    ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
/// The levels that the severities are.
const LEVELS: [&str; 8] =
    ["fatal", "critical", "critical", "error", "warn", "info", "info", "debug"];
const FACILITIES: [&str; 24] = [
    "kern",
    "user",
    "mail",
    "daemon",
    "auth",
    "syslog",
    "lpr",
    "news",
    "uucp",
    "cron",
    "authpriv",
    "ftp",
    "ntp",
    "security",
    "console",
    "solaris-cron",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
];

/// Turns one message after another into lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    labels: StreamLabels,
    fields: FieldBuffer,
    pairs: PairList,
}

impl Lines {
    /// `peer` is who sent it, and its host where the message names none. A message without a time is
    /// of now.
    pub(super) fn write(
        &mut self,
        message: &[u8],
        peer: Option<IpAddr>,
        clock: SyslogClock,
        guard: &mut Guard<'_>,
    ) -> Result<(), String> {
        let parsed = parse_syslog(message, clock);
        self.labels.clear();
        match (parsed.host, peer) {
            (b"", Some(peer)) => self.labels.push("host_name", &peer.to_string()),
            (host, _) => self.labels.push("host_name", &String::from_utf8_lossy(host)),
        }
        if !parsed.app.is_empty() {
            self.labels.push("service_name", &String::from_utf8_lossy(parsed.app));
        }
        self.collect(&parsed, guard);
        guard.stream(self.labels.canonical().map_err(|bad| bad.to_string())?);
        let time_ns = parsed.time_ns.unwrap_or(clock.now_ns);
        self.pairs.with(self.fields.iter(), |pairs| guard.line(time_ns, parsed.message, pairs));
        Ok(())
    }

    fn collect(&mut self, parsed: &SyslogMessage<'_>, guard: &Guard<'_>) {
        let name = |names: &[&'static str], number: u8| {
            names.get(usize::from(number)).copied().unwrap_or("unknown")
        };
        let fields = &mut self.fields;
        fields.clear();
        fields.push("facility", name(&FACILITIES, parsed.facility()));
        fields.push("severity", name(&SEVERITIES, parsed.severity()));
        for (name, value) in [("proc_id", parsed.process), ("msg_id", parsed.message_id)] {
            if !value.is_empty() {
                fields.push(name, &String::from_utf8_lossy(value));
            }
        }
        structured_data(parsed.structured, |id, name, value| {
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            fields.push(&format!("{}.{}", text(id), text(name)), &text(value));
        });
        // Said here, because syslog knows severities that are no levels.
        if guard.adds_levels() {
            fields.push("detected_level", name(&LEVELS, parsed.severity()));
        }
    }
}
