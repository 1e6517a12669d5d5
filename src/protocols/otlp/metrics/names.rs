//! Names: from OpenTelemetry's to Prometheus'.
//!
//! 1. With suffixes, the unit is spelled out and added (`s` is `seconds`, `By/s` is
//!    `bytes_per_second`), then `total` for counters and `ratio` for gauges of unit `1`.
//! 2. A word that the name has already is not added again; `total` and `ratio` move to the end.
//!    The part of a unit behind its slash is always added, because it is several words.
//! 3. With escaping, any character but letters, digits and colons separates words; `_` joins them.
//! 4. Without escaping, names end as they are written (`disk.bytes` needs no `bytes`).
//!
//! The rules are exactly those of Prometheus' own receiver, because dashboards depend on the names.

use crate::otlp::TranslationStrategy;

const UNITS: [(&str, &str); 27] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
    ("", ""),
];

const PER_UNITS: [(&str, &str); 7] = [
    ("s", "second"),
    ("m", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("mo", "month"),
    ("y", "year"),
];

/// The part of a metric's kind that its name shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameKind {
    Counter,
    Gauge,
    Other,
}

pub(super) fn metric_name(
    name: &str,
    unit: &str,
    kind: NameKind,
    strategy: TranslationStrategy,
) -> String {
    let built = match (strategy.escapes(), strategy.adds_suffixes()) {
        (true, true) => escaped_with_suffixes(name, unit, kind),
        (true, false) => escaped(name),
        (false, true) => plain_with_suffixes(name, unit, kind),
        (false, false) => name.to_owned(),
    };
    match strategy.escapes() && built.starts_with(|first: char| first.is_ascii_digit()) {
        true => format!("_{built}"),
        false => built,
    }
}

/// Runs of other characters become one underscore; existing underscores stay.
fn escaped(name: &str) -> String {
    let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == ':';
    words(name, is_name).join("_")
}

fn words(text: &str, belongs: impl Fn(char) -> bool) -> Vec<&str> {
    text.split(|char| !belongs(char)).filter(|word| !word.is_empty()).collect()
}

fn escaped_with_suffixes(name: &str, unit: &str, kind: NameKind) -> String {
    let belongs = |char: char| char.is_ascii_alphanumeric() || char == ':';
    let mut parts = words(name, belongs);
    let [main, per] = unit_suffixes(unit).map(|suffix| cleaned(&suffix));
    let per = per.strip_suffix('_').unwrap_or(&per);
    let has_per = !matches!(per, "" | "per") && !parts.contains(&per);
    if !main.is_empty() && !parts.contains(&main.as_str()) {
        parts.push(if has_per { main.strip_suffix('_').unwrap_or(&main) } else { &main });
    }
    if has_per {
        parts.push(per);
    }
    if let Some(ending) = ending(unit, kind) {
        parts.retain(|part| *part != ending);
        parts.push(ending);
    }
    parts.join("_")
}

/// Suffixes that the name ends with are taken off, with whatever stands before them, and added
/// again; the unit, which comes first, may stay as it is.
fn plain_with_suffixes(name: &str, unit: &str, kind: NameKind) -> String {
    let [main, per] = unit_suffixes(unit);
    let endings = [per.as_str(), ending(unit, kind).unwrap_or("")];
    let mut built =
        endings.iter().rev().fold(name, |name, suffix| without(name, suffix)).to_owned();
    if !built.ends_with(&main) {
        built = format!("{built}_{main}");
    }
    for suffix in endings.iter().filter(|suffix| !suffix.is_empty()) {
        built = format!("{built}_{suffix}");
    }
    built
}

/// The name without a suffix and the character before it, unless nothing would be left.
fn without<'a>(name: &'a str, suffix: &str) -> &'a str {
    let bare = name.strip_suffix(suffix).filter(|_| !suffix.is_empty()).map(str::chars);
    match bare.map(|mut bare| bare.next_back().map_or("", |_| bare.as_str())) {
        None | Some("") => name,
        Some(bare) => bare,
    }
}

fn ending(unit: &str, kind: NameKind) -> Option<&'static str> {
    match kind {
        NameKind::Counter => Some("total"),
        NameKind::Gauge if unit == "1" => Some("ratio"),
        NameKind::Gauge | NameKind::Other => None,
    }
}

/// The unit in words, as metadata says it: `bytes_per_second`.
pub(super) fn unit_name(unit: &str, strategy: TranslationStrategy) -> String {
    let suffixes = match strategy.escapes() {
        true => unit_suffixes(unit).map(|suffix| cleaned(&suffix)),
        false => unit_suffixes(unit),
    };
    let [main, per] = &suffixes;
    let joined = if main.is_empty() || per.is_empty() { "" } else { "_" };
    let name = format!("{main}{joined}{per}");
    let name = name.strip_prefix('_').unwrap_or(&name);
    name.strip_suffix('_').unwrap_or(name).to_owned()
}

/// The unit, and what it is per, in words. What stands in braces is a comment.
fn unit_suffixes(unit: &str) -> [String; 2] {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let spelled = |text: &str, table: &[(&str, &str)]| {
        let text = text.trim();
        if text.contains(['{', '}']) {
            return String::new();
        }
        let known = table.iter().find(|(short, _)| *short == text);
        known.map_or_else(|| text.to_owned(), |(_, long)| (*long).to_owned())
    };
    let per = spelled(per, &PER_UNITS);
    let per = if per.is_empty() { per } else { format!("per_{per}") };
    [spelled(main, &UNITS), per]
}

/// Characters that a name may not have become `_`, but never two in a row or one at the start.
fn cleaned(unit: &str) -> String {
    let mut out = String::with_capacity(unit.len());
    for char in unit.chars() {
        match char.is_ascii_alphanumeric() || char == ':' {
            true => out.push(char),
            false if out.is_empty() || out.ends_with('_') => {}
            false => out.push('_'),
        }
    }
    out
}

/// A label's name: every character but letters and digits becomes one `_`. The name must not begin with
/// a digit or with a single underscore.
pub(super) fn label_name(name: &str, strategy: TranslationStrategy) -> String {
    if !strategy.escapes() {
        return name.to_owned();
    }
    let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let escaped: String = name.chars().map(|char| if is_name(char) { char } else { '_' }).collect();
    let is_reserved = escaped.starts_with('_') && !escaped.starts_with("__");
    match escaped.chars().next() {
        Some(first) if first.is_ascii_digit() => format!("key_{escaped}"),
        Some(_) if is_reserved => format!("key{escaped}"),
        _ => escaped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [TranslationStrategy; 4] = [
        TranslationStrategy::UnderscoreEscapingWithSuffixes,
        TranslationStrategy::UnderscoreEscapingWithoutSuffixes,
        TranslationStrategy::NoUtf8EscapingWithSuffixes,
        TranslationStrategy::NoTranslation,
    ];

    fn check(name: &str, unit: &str, kind: NameKind, expected: [&str; 4]) {
        let built = ALL.map(|strategy| metric_name(name, unit, kind, strategy));
        assert_eq!(built, expected, "{name} [{unit}]");
    }

    #[test]
    fn metric_names_under_each_strategy() {
        use NameKind::{Counter, Gauge, Other};
        check(
            "http.server.duration",
            "s",
            Other,
            [
                "http_server_duration_seconds",
                "http_server_duration",
                "http.server.duration_seconds",
                "http.server.duration",
            ],
        );
        check(
            "system.io.total.ops",
            "By/s",
            Counter,
            [
                "system_io_ops_bytes_per_second_total",
                "system_io_total_ops",
                "system.io.total.ops_bytes_per_second_total",
                "system.io.total.ops",
            ],
        );
        check(
            "cpu.utilization",
            "1",
            Gauge,
            [
                "cpu_utilization_ratio",
                "cpu_utilization",
                "cpu.utilization_ratio",
                "cpu.utilization",
            ],
        );
        check(
            "requests_total",
            "{request}",
            Counter,
            ["requests_total", "requests_total", "requests_total", "requests_total"],
        );
        check("2xx", "", Other, ["_2xx", "_2xx", "2xx", "2xx"]);
        check("disk_bytes", "By", Gauge, ["disk_bytes", "disk_bytes", "disk_bytes", "disk_bytes"]);
        check("disk.bytes", "By", Gauge, ["disk_bytes", "disk_bytes", "disk.bytes", "disk.bytes"]);
        check(
            "gc.time.seconds.total",
            "s",
            Counter,
            [
                "gc_time_seconds_total",
                "gc_time_seconds_total",
                "gc.time.seconds_total",
                "gc.time.seconds.total",
            ],
        );
        check(
            "net_bytes_per_second",
            "By/s",
            Gauge,
            [
                "net_bytes_per_second_per_second",
                "net_bytes_per_second",
                "net_bytes_per_second",
                "net_bytes_per_second",
            ],
        );
        check(
            "queue.ratio",
            "1",
            Gauge,
            ["queue_ratio", "queue_ratio", "queue_ratio", "queue.ratio"],
        );
        check("total", "", Counter, ["total", "total", "total_total", "total"]);
        check("speed", "(m)", Other, ["speed_m_", "speed", "speed_(m)", "speed"]);
        check("speed", "(m) / {x}", Other, ["speed_m_", "speed", "speed_(m)", "speed"]);
        check("speed", "m/_", Other, ["speed_meters", "speed", "speed_meters_per__", "speed"]);
        check("load", " 1 ", Gauge, ["load", "load", "load", "load"]);
    }

    #[test]
    fn units_in_words() {
        let [escape, plain] = [ALL[0], ALL[3]];
        for (unit, expected) in [
            ("s", "seconds"),
            ("By/s", "bytes_per_second"),
            ("{request}", ""),
            ("{request}/s", "per_second"),
            ("1", ""),
            ("°C", "C"),
            ("", ""),
        ] {
            assert_eq!(unit_name(unit, escape), expected, "{unit}");
        }
        assert_eq!(unit_name("°C", plain), "°C");
    }

    #[test]
    fn label_names() {
        let escape = TranslationStrategy::UnderscoreEscapingWithSuffixes;
        for (name, expected) in [
            ("http.status", "http_status"),
            ("a__b", "a__b"),
            ("1a", "key_1a"),
            ("_a", "key_a"),
            ("__a", "__a"),
            ("한", "key_"),
        ] {
            assert_eq!(label_name(name, escape), expected);
        }
        assert_eq!(label_name("a.b", TranslationStrategy::NoTranslation), "a.b");
    }

    proptest! {
        #[test]
        fn escaped_names_need_no_quotes(name in "\\PC{1,20}", unit in "[a-zA-Z/{}%1]{0,6}") {
            for kind in [NameKind::Counter, NameKind::Gauge, NameKind::Other] {
                for strategy in &ALL[..2] {
                    let built = metric_name(&name, &unit, kind, *strategy);
                    let plain = |char: char| char.is_ascii_alphanumeric() || "_:".contains(char);
                    prop_assert!(built.chars().all(plain), "{}", built);
                    prop_assert!(!built.starts_with(|first: char| first.is_ascii_digit()));
                }
            }
        }

        #[test]
        fn suffixes_are_added_once(name in "[a-z.]{1,12}", unit in "s|By|1|ms|") {
            for strategy in ALL {
                let once = metric_name(&name, &unit, NameKind::Counter, strategy);
                let twice = metric_name(&once, &unit, NameKind::Counter, strategy);
                if strategy.escapes() {
                    prop_assert_eq!(&once, &twice);
                }
            }
        }
    }
}
