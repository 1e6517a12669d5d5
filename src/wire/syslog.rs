//! Messages of syslog: RFC 5424, RFC 3164, and what devices send that follows neither.
//!
//! Nothing is refused: what a header does not explain belongs to the message. The frames around
//! messages on a stream of bytes are here as well.

use crate::time_text::{days_since_1970, parse_rfc3339};
use nom::branch::alt;
use nom::bytes::complete::{tag, take_till, take_while, take_while_m_n};
use nom::character::complete::{char, space0, space1};
use nom::combinator::{map_opt, opt, recognize, verify};
use nom::sequence::{delimited, preceded, terminated};
use nom::{IResult, Parser};

type Bytes<'a> = &'a [u8];

/// A message, borrowed from what came over the wire. Texts are bytes: senders use any encoding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyslogMessage<'a> {
    /// `None` where the message begins without a priority; RFC 3164 takes it for user.notice then.
    pub priority: Option<u8>,
    pub time_ns: Option<i64>,
    pub host: &'a [u8],
    pub app: &'a [u8],
    pub process: &'a [u8],
    pub message_id: &'a [u8],
    /// The elements of structured data with their brackets; [`structured_data`] takes them apart.
    pub structured: &'a [u8],
    pub message: &'a [u8],
}

const DEFAULT_PRIORITY: u8 = 13;

impl SyslogMessage<'_> {
    pub fn severity(&self) -> u8 {
        self.priority.unwrap_or(DEFAULT_PRIORITY) & 7
    }

    pub fn facility(&self) -> u8 {
        self.priority.unwrap_or(DEFAULT_PRIORITY) >> 3
    }
}

/// What the times of RFC 3164, which name neither a year nor a zone, are to be understood by.
#[derive(Clone, Copy, Debug, Default)]
pub struct SyslogClock {
    pub now_ns: i64,
    /// How far senders' clocks are ahead of UTC.
    pub offset_s: i64,
}

/// Reads a message. Spaces and line breaks at its end are not part of it.
pub fn parse_syslog(message: &[u8], clock: SyslogClock) -> SyslogMessage<'_> {
    let message = message.trim_ascii_end();
    let (rest, priority) = priority(message).map_or((message, None), |(rest, p)| (rest, Some(p)));
    let parsed = match priority {
        Some(_) => rfc5424(rest).or_else(|_| rfc3164(rest, clock)),
        None => rfc3164(rest, clock),
    };
    let whole = SyslogMessage { message: rest, ..SyslogMessage::default() };
    SyslogMessage { priority, ..parsed.map_or(whole, |(_, parsed)| parsed) }
}

/// `<34>`: facility times eight and severity.
fn priority(input: Bytes<'_>) -> IResult<Bytes<'_>, u8> {
    delimited(
        char('<'),
        map_opt(digits(1, 3), |p: Bytes<'_>| number(p).try_into().ok().filter(|p| *p <= 191)),
        char('>'),
    )
    .parse(input)
}

fn digits<'a>(
    least: usize,
    most: usize,
) -> impl Parser<Bytes<'a>, Output = Bytes<'a>, Error = nom::error::Error<Bytes<'a>>> {
    take_while_m_n(least, most, |byte: u8| byte.is_ascii_digit())
}

fn number(digits: &[u8]) -> i64 {
    digits.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'))
}

fn word(input: Bytes<'_>) -> IResult<Bytes<'_>, Bytes<'_>> {
    verify(take_till(|byte| byte == b' '), |word: &[u8]| !word.is_empty()).parse(input)
}

/// A word of RFC 5424's header; `-` says that there is none.
fn header(input: Bytes<'_>) -> IResult<Bytes<'_>, Bytes<'_>> {
    let (rest, word) = terminated(word, opt(char(' '))).parse(input)?;
    Ok((rest, if word == b"-" { b"" } else { word }))
}

/// `1 TIME HOST APP PROCESS ID DATA MESSAGE`
fn rfc5424(input: Bytes<'_>) -> IResult<Bytes<'_>, SyslogMessage<'_>> {
    let (rest, _) = (digits(1, 2), space1).parse(input)?;
    let (rest, time) = header(rest)?;
    let time_ns = parse_rfc3339(time);
    if !time.is_empty() && time_ns.is_none() {
        return Err(nom::Err::Error(nom::error::make_error(input, nom::error::ErrorKind::Verify)));
    }
    let (rest, (host, app, process, message_id)) = (header, header, header, header).parse(rest)?;
    let (rest, structured) =
        alt((recognize(elements), tag(&b"-"[..]))).parse(rest).unwrap_or((rest, b"-"));
    let (message, _) = preceded(opt(char(' ')), opt(tag(&b"\xef\xbb\xbf"[..]))).parse(rest)?;
    let structured = if structured == b"-" { &b""[..] } else { structured };
    let (priority, message) = (None, message.trim_ascii_end());
    Ok((
        b"",
        SyslogMessage { priority, time_ns, host, app, process, message_id, structured, message },
    ))
}

/// One element of structured data after the other: `[id name="value" …]`.
fn elements(input: Bytes<'_>) -> IResult<Bytes<'_>, ()> {
    let (mut rest, ()) = element(input, |_, _, _| {})?;
    while let Ok((next, ())) = element(rest, |_, _, _| {}) {
        rest = next;
    }
    Ok((rest, ()))
}

fn element<'a>(
    input: Bytes<'a>,
    mut each: impl FnMut(Bytes<'a>, Bytes<'a>, Bytes<'a>),
) -> IResult<Bytes<'a>, ()> {
    let name = |input| {
        verify(take_till(|byte| matches!(byte, b' ' | b'=' | b']' | b'"')), |name: &[u8]| {
            !name.is_empty()
        })
        .parse(input)
    };
    let (mut rest, id) = preceded(char('['), name).parse(input)?;
    while let Ok((next, (_, name, _, value, _))) =
        (space1, name, tag(&b"=\""[..]), quoted, char('"')).parse(rest)
    {
        each(id, name, value);
        rest = next;
    }
    let (rest, _) = (space0, char(']')).parse(rest)?;
    Ok((rest, ()))
}

/// What stands before the closing quote; a backslash before a quote, a bracket or another one keeps
/// it from ending the value.
fn quoted(input: Bytes<'_>) -> IResult<Bytes<'_>, Bytes<'_>> {
    let mut at = 0;
    loop {
        match input.get(at) {
            Some(b'"') | None => break,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
        }
    }
    let (value, rest) = input.split_at(at.min(input.len()));
    Ok((rest, value))
}

/// Calls `each` with the id of each element of structured data, and the name and value of each of its
/// parameters, whose escapes are undone.
pub fn structured_data(structured: &[u8], mut each: impl FnMut(&[u8], &[u8], &[u8])) {
    let mut plain = Vec::new();
    let mut rest = structured;
    while let Ok((next, ())) = element(rest, |id, name, value| {
        if !value.contains(&b'\\') {
            return each(id, name, value);
        }
        plain.clear();
        let mut bytes = value.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            let escaped =
                bytes.next_if(|next| byte == b'\\' && matches!(next, b'"' | b'\\' | b']'));
            plain.push(escaped.unwrap_or(byte));
        }
        each(id, name, &plain);
    }) {
        rest = next;
    }
}

/// `TIME HOST TAG[PROCESS]: MESSAGE`, of which any part may be missing.
fn rfc3164(input: Bytes<'_>, clock: SyslogClock) -> IResult<Bytes<'_>, SyslogMessage<'_>> {
    let (rest, time_ns) =
        preceded(opt(recognize((digits(1, 10), tag(&b": "[..])))), |input| old_time(input, clock))
            .parse(input)
            .map_or((input, None), |(rest, time)| (rest, Some(time)));
    let mut parsed = SyslogMessage { time_ns, message: rest, ..SyslogMessage::default() };
    // Without a time there is no telling a host from the first word of a message.
    let (rest, host) = match time_ns {
        Some(_) => host(rest).unwrap_or((rest, b"")),
        None => (rest, &b""[..]),
    };
    parsed.host = host;
    parsed.message = rest;
    if let Ok((message, (app, process))) = old_tag(rest) {
        (parsed.app, parsed.process, parsed.message) = (app, process.unwrap_or_default(), message);
    }
    Ok((b"", parsed))
}

/// A word that is followed by a space and does not look like a tag.
fn host(input: Bytes<'_>) -> IResult<Bytes<'_>, Bytes<'_>> {
    let is_host = |word: &[u8]| !word.ends_with(b":") && !word.contains(&b'[');
    terminated(verify(word, is_host), char(' ')).parse(input)
}

/// `tag: ` or `tag[123]: `.
fn old_tag(input: Bytes<'_>) -> IResult<Bytes<'_>, (Bytes<'_>, Option<Bytes<'_>>)> {
    let name = verify(
        take_while(|byte: u8| byte.is_ascii_alphanumeric() || b"-_./%()".contains(&byte)),
        |name: &[u8]| !name.is_empty() && name.len() <= 64,
    );
    let process = delimited(char('['), take_till(|byte| byte == b']'), char(']'));
    terminated((name, opt(process)), (char(':'), space0)).parse(input)
}

/// RFC 3339 as rsyslog writes it, or `Oct 11 22:14:15`, also with a year, a fraction of a second and a
/// zone, and with the stars and points that Cisco puts before it.
fn old_time(input: Bytes<'_>, clock: SyslogClock) -> IResult<Bytes<'_>, i64> {
    alt((terminated(map_opt(word, parse_rfc3339), opt(char(' '))), |input| {
        named_month(input, clock)
    }))
    .parse(input)
}

fn named_month(input: Bytes<'_>, clock: SyslogClock) -> IResult<Bytes<'_>, i64> {
    let (rest, _) = opt(nom::character::complete::one_of("*.")).parse(input)?;
    let (rest, month) =
        map_opt(take_while_m_n(3, 3, |b: u8| b.is_ascii_alphabetic()), month_of).parse(rest)?;
    let (rest, (_, day, _)) = (space1, digits(1, 2), space1).parse(rest)?;
    let (rest, year) = opt(terminated(digits(4, 4), space1)).parse(rest)?;
    let (rest, (hour, _, minute, _, second)) =
        (digits(2, 2), char(':'), digits(2, 2), char(':'), digits(2, 2)).parse(rest)?;
    let (rest, fraction) = opt(preceded(char('.'), digits(1, 9))).parse(rest)?;
    let (rest, late_year) = opt(preceded(
        char(' '),
        terminated(digits(4, 4), nom::combinator::peek(nom::character::complete::one_of(" :"))),
    ))
    .parse(rest)?;
    let (rest, zone) = opt(preceded(char(' '), tag(&b"UTC"[..]))).parse(rest)?;
    let (rest, _) = opt(char(':')).parse(rest)?;
    let (rest, _) = opt(char(' ')).parse(rest)?;
    let of_day = number(hour) * 3_600 + number(minute) * 60 + number(second);
    let offset_s = if zone.is_some() { 0 } else { clock.offset_s };
    let nanos = fraction.map_or(0, nanos_of);
    let at = |year: i64| {
        let days = days_since_1970(year, month, number(day))?;
        (days * 86_400 + of_day - offset_s).checked_mul(1_000_000_000)?.checked_add(nanos)
    };
    let time = match year.or(late_year) {
        Some(year) => at(number(year)),
        None => last_before(at, clock.now_ns),
    };
    match time {
        Some(time) if number(hour) < 24 && number(minute) < 60 && number(second) <= 60 => {
            Ok((rest, time))
        }
        _ => Err(nom::Err::Error(nom::error::make_error(input, nom::error::ErrorKind::Verify))),
    }
}

/// How far a sender's clock may be ahead before its time is understood as one of last year.
const AHEAD_NS: i64 = 7 * 86_400 * 1_000_000_000;

/// The year that makes the time the last one before now: December in January is last year's.
fn last_before(at: impl Fn(i64) -> Option<i64>, now_ns: i64) -> Option<i64> {
    let this_year = 1970 + now_ns / 31_556_952_000_000_000;
    let times = [this_year - 1, this_year, this_year + 1].into_iter().filter_map(at);
    times.filter(|time| *time <= now_ns.saturating_add(AHEAD_NS)).max()
}

fn nanos_of(fraction: &[u8]) -> i64 {
    let digits = fraction.len() as u32;
    number(fraction) * 10i64.pow(9 - digits.min(9))
}

fn month_of(name: &[u8]) -> Option<i64> {
    const NAMES: [&[u8]; 12] = [
        b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov",
        b"dec",
    ];
    let index = NAMES.iter().position(|known| name.eq_ignore_ascii_case(known))?;
    i64::try_from(index + 1).ok()
}

/// The next message on a stream of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyslogFrame<'a> {
    /// A message, and how many bytes it takes with its frame.
    Message(&'a [u8], usize),
    /// More bytes are needed.
    Partial,
    /// A message longer than the limit: so many bytes of it are to be passed over.
    TooLong(usize),
}

/// Finds the first message of `arrived`. A digit at its beginning is a count of bytes
/// (`LENGTH SPACE MESSAGE`, RFC 6587), everything else ends at a line break or at a zero byte.
pub fn next_syslog_frame(arrived: &[u8], size_max: usize) -> SyslogFrame<'_> {
    match arrived.first() {
        None => SyslogFrame::Partial,
        Some(b'1'..=b'9') => counted_frame(arrived, size_max),
        Some(_) => line_frame(arrived, size_max),
    }
}

/// Digits that a count may have.
const COUNT_DIGITS: usize = 9;

fn counted_frame(arrived: &[u8], size_max: usize) -> SyslogFrame<'_> {
    let count = arrived.iter().take(COUNT_DIGITS).take_while(|byte| byte.is_ascii_digit()).count();
    match arrived.get(count) {
        None => SyslogFrame::Partial,
        // A line that begins with a digit.
        Some(b' ') => {
            let length = number(&arrived[..count]) as usize;
            let start = count + 1;
            match arrived.get(start..start + length) {
                _ if length > size_max => SyslogFrame::TooLong(start + length),
                Some(message) => SyslogFrame::Message(message, start + length),
                None => SyslogFrame::Partial,
            }
        }
        Some(_) => line_frame(arrived, size_max),
    }
}

fn line_frame(arrived: &[u8], size_max: usize) -> SyslogFrame<'_> {
    match memchr::memchr2(b'\n', 0, arrived) {
        Some(end) if end > size_max => SyslogFrame::TooLong(end + 1),
        Some(end) => SyslogFrame::Message(&arrived[..end], end + 1),
        None if arrived.len() > size_max => SyslogFrame::TooLong(arrived.len()),
        None => SyslogFrame::Partial,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: SyslogClock = SyslogClock { now_ns: 1_700_000_000_000_000_000, offset_s: 0 };

    fn shown(message: &[u8], clock: SyslogClock) -> String {
        let parsed = parse_syslog(message, clock);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut data = Vec::new();
        structured_data(parsed.structured, |id, name, value| {
            data.push(format!("{}.{}={}", text(id), text(name), text(value)));
        });
        let SyslogMessage { host, app, process, message_id, message, .. } = parsed;
        let words = [host, app, process, message_id].map(text).join("|");
        let time = parsed.time_ns.map_or("-".to_owned(), |time| (time / 1_000_000).to_string());
        format!(
            "{}.{} {time} {words} {data:?} {:?}",
            parsed.facility(),
            parsed.severity(),
            text(message)
        )
    }

    #[test]
    fn messages_as_they_are_sent() {
        for (message, expected) in [
            (
                &b"<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut=\"3\" eventSource=\"App\\\"l\\]\"][x@1 a=\"b\"] \xef\xbb\xbfAn event"[..],
                r#"20.5 1065910455003 mymachine.example.com|evntslog||ID47 ["exampleSDID@32473.iut=3", "exampleSDID@32473.eventSource=App\"l]", "x@1.a=b"] "An event""#,
            ),
            (b"<34>1 - - - - - -", r#"4.2 - ||| [] """#),
            (b"<34>1 2003-10-11T22:14:15Z h a p - - 'su root' failed\n", r#"4.2 1065910455000 h|a|p| [] "'su root' failed""#),
            (b"<34>Oct 11 22:14:15 mymachine su: 'su root' failed", r#"4.2 1697062455000 mymachine|su|| [] "'su root' failed""#),
            (b"<13>Feb  5 17:32:18 10.0.0.99 app[123]: x: y", r#"1.5 1675618338000 10.0.0.99|app|123| [] "x: y""#),
            (b"<13>2023-11-14T22:13:20.5+00:00 host tag: m", r#"1.5 1700000000500 host|tag|| [] "m""#),
            (b"<189>45: *Mar  1 00:00:30.123: %SYS-5-CONFIG_I: Configured", r#"23.5 1677628830123 |%SYS-5-CONFIG_I|| [] "Configured""#),
            (b"<189>Nov 14 2023 22:13:20 UTC: %ASA-6-302013: Built", r#"23.5 1700000000000 |%ASA-6-302013|| [] "Built""#),
            (b"<14>app: hello", r#"1.6 - |app|| [] "hello""#),
            (b"<14>just words here", r#"1.6 - ||| [] "just words here""#),
            (b"no priority", r#"1.5 - ||| [] "no priority""#),
            (b"<999>x", r#"1.5 - ||| [] "<999>x""#),
            (b"<34>1 yesterday h a p - - x", r#"4.2 - ||| [] "1 yesterday h a p - - x""#),
            (b"", r#"1.5 - ||| [] """#),
        ] {
            assert_eq!(shown(message, NOW), expected, "{}", String::from_utf8_lossy(message));
        }
    }

    #[test]
    fn the_year_is_the_last_before_now_and_the_zone_is_set() {
        let january = SyslogClock { now_ns: 1_704_070_800_000_000_000, offset_s: 9 * 3_600 };
        let parsed = parse_syslog(b"<13>Dec 31 23:59:59 h a: x", january);
        assert_eq!(parsed.time_ns, Some((1_704_067_199 - 9 * 3_600) * 1_000_000_000));
        let parsed = parse_syslog(b"<13>Jan  1 10:00:00 h a: x", january);
        assert_eq!(parsed.time_ns, Some(1_704_070_800_000_000_000));
    }

    #[test]
    fn frames_of_both_kinds() {
        use SyslogFrame::*;
        assert_eq!(next_syslog_frame(b"5 <13>x5 abcde", 100), Message(b"<13>x", 7));
        assert_eq!(next_syslog_frame(b"<13>x\nmore", 100), Message(b"<13>x", 6));
        assert_eq!(next_syslog_frame(b"<13>x\0", 100), Message(b"<13>x", 6));
        assert_eq!(next_syslog_frame(b"12 <13>x", 100), Partial);
        assert_eq!(next_syslog_frame(b"12", 100), Partial);
        assert_eq!(next_syslog_frame(b"", 100), Partial);
        assert_eq!(next_syslog_frame(b"2026-08-31 x\n", 100), Message(b"2026-08-31 x", 13));
        assert_eq!(next_syslog_frame(b"999999999 x", 100), TooLong(999_999_999 + 10));
        assert_eq!(next_syslog_frame(b"<13>abcdefgh", 4), TooLong(12));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message(bytes: Vec<u8>, text in "<1?[0-9]>1? ?[-A-Za-z0-9:\\[\\]\"=. ]{0,60}") {
            for message in [&bytes[..], text.as_bytes()] {
                let parsed = parse_syslog(message, NOW);
                structured_data(parsed.structured, |_, _, _| {});
                if let SyslogFrame::Message(message, length) = next_syslog_frame(message, 50) {
                    prop_assert!(message.len() <= 50 && length > 0);
                }
            }
        }
    }
}
