//! Names: from OpenTelemetry's to Prometheus'.
//!
//! 1. With suffixes, the unit is spelled out and added (`s` is `seconds`, `By/s` is
//!    `bytes_per_second`), then `total` for counters and `ratio` for gauges of unit `1`.
//! 2. A word that the name has already is not added again; `total` and `ratio` move to the end.
//! 3. With escaping, what is no letter, digit or colon separates words, and `_` joins them.

use super::settings::TranslationStrategy;

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

/// What of a metric's kind shows in its name.
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

/// Runs of other characters become one underscore; those that are there stay.
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
    let (main, per) = unit_words(unit);
    let (main, per) = (main.as_str(), per.as_str());
    let word_lists = [main, per].map(|text| words(text, belongs));
    if word_lists[0].iter().any(|word| !parts.contains(word)) {
        parts.extend(&word_lists[0]);
    }
    if !per.is_empty() && word_lists[1].iter().any(|word| !parts.contains(word)) {
        parts.push("per");
        parts.extend(&word_lists[1]);
    }
    if let Some(ending) = ending(unit, kind) {
        parts.retain(|part| *part != ending);
        parts.push(ending);
    }
    parts.join("_")
}

fn plain_with_suffixes(name: &str, unit: &str, kind: NameKind) -> String {
    let (main, per) = unit_words(unit);
    let per = if per.is_empty() { per } else { format!("per_{per}") };
    let mut built = name.to_owned();
    for suffix in [main.as_str(), per.as_str(), ending(unit, kind).unwrap_or("")] {
        if suffix.is_empty() {
            continue;
        }
        let bare = built.strip_suffix(suffix).map(|bare| bare.trim_end_matches('_'));
        built = format!("{}_{suffix}", bare.unwrap_or(&built));
    }
    built
}

fn ending(unit: &str, kind: NameKind) -> Option<&'static str> {
    match kind {
        NameKind::Counter => Some("total"),
        NameKind::Gauge if unit.trim() == "1" => Some("ratio"),
        NameKind::Gauge | NameKind::Other => None,
    }
}

/// The unit and what it is per, in words. What stands in braces is a comment.
fn unit_words(unit: &str) -> (String, String) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let spelled = |text: &str, table: &[(&str, &str)]| {
        let text = text.trim();
        if text.contains(['{', '}']) {
            return String::new();
        }
        let known = table.iter().find(|(short, _)| *short == text);
        known.map_or_else(|| cleaned(text), |(_, long)| (*long).to_owned())
    };
    (spelled(main, &UNITS), spelled(per, &PER_UNITS))
}

fn cleaned(unit: &str) -> String {
    words(unit, |char| char.is_ascii_alphanumeric()).join("_")
}

/// A label's name: what is no letter or digit becomes `_`, one for one; a name must not begin with
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
        fn suffixes_are_added_once(name in "[a-z.]{1,12}", unit in "s|By|1|ms|By/s|") {
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
