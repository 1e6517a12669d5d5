//! Any text is a template or an error, and no execution panics.

use super::{Labels, labels, render};
use crate::logql::functions;
use crate::time::{Time, Zone, read, show};
use crate::units::{parse_bytes, parse_duration, parse_float, parse_int};
use crate::{Bounds, Template};
use proptest::prelude::*;

const BOUNDS: Bounds =
    Bounds { steps: 2_000, depth: 40, output_bytes: 20_000, made_bytes: 100_000 };

/// Pieces of which templates are made, so that many of them are right.
const PIECES: [&str; 58] = [
    "{{",
    "}}",
    "{{- ",
    " -}}",
    " ",
    ".",
    ".a",
    ".b.c",
    "$",
    "$x",
    "$x := ",
    "$x = ",
    "|",
    "(",
    ")",
    "\"text\"",
    "`raw`",
    "'c'",
    "1",
    "-2",
    "3.5",
    "1e3",
    "0x1F",
    "true",
    "nil",
    "if ",
    "else ",
    "end",
    "range ",
    "with ",
    "break",
    "continue",
    "define \"t\"",
    "template \"t\" ",
    "block \"t\" .",
    "/* */",
    "printf \"%5.2f|%-3s|%d|%v|%q|%x\" ",
    "eq ",
    "and ",
    "index ",
    "len ",
    "substr ",
    "repeat ",
    "fromJson ",
    "toDate ",
    "date ",
    "unixToTime ",
    "regexReplaceAll ",
    "div ",
    "round ",
    "divf ",
    "duration ",
    "trunc ",
    "alignLeft ",
    "urldecode ",
    "b64dec ",
    "__line__",
    "__timestamp__",
];

fn any_template() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(PIECES.to_vec()).prop_map(str::to_owned);
    let pieces = prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat());
    // One action, which is right more often.
    let word = prop::sample::select(PIECES[5..].to_vec());
    let action = prop::collection::vec(word, 1..7)
        .prop_map(|words| format!("{{{{ {} }}}}", words.join(" ")));
    prop_oneof![pieces, action, any::<String>()]
}

/// A call of any function with any constants.
fn any_call() -> impl Strategy<Value = String> {
    let names: Vec<&str> = functions().names().collect();
    let constant = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:e}")),
        any::<String>().prop_map(|text| model::quote_go(text.as_bytes())),
        "[%a-z0-9.:+*(){}$ -]{0,12}".prop_map(|text| model::quote_go(text.as_bytes())),
        prop::sample::select(vec![
            ".a",
            ".none",
            ".",
            "nil",
            "true",
            "__timestamp__",
            "(fromJson .j)"
        ])
        .prop_map(str::to_owned),
    ];
    (prop::sample::select(names), prop::collection::vec(constant, 0..5))
        .prop_map(|(name, constants)| format!("{{{{ {name} {} }}}}", constants.join(" ")))
}

fn some_labels() -> Labels {
    labels(&[("a", "한 text"), ("b", "12"), ("j", r#"{"k":[1,"x",null,{"l":true}]}"#)])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_a_template_or_an_error(text in any_template()) {
        if Template::parse("line", &text, &functions()).is_ok() {
            match render(&text, &some_labels(), "the line", &BOUNDS) {
                Ok(out) => prop_assert!(out.len() <= BOUNDS.output_bytes),
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
    }

    #[test]
    fn any_call_gives_a_value_or_an_error(text in any_call()) {
        if Template::parse("line", &text, &functions()).is_ok() {
            match render(&text, &some_labels(), "the line", &BOUNDS) {
                Ok(out) => prop_assert!(out.len() <= BOUNDS.output_bytes),
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
    }

    #[test]
    fn any_format_is_written(format in "(%[-+# 0]{0,2}[0-9*]{0,3}(\\.[0-9*]{0,2})?(\\[[0-9]\\])?[a-zA-Z%!]| |[a-z]){0,5}", number in any::<i64>(), float in any::<f64>()) {
        let format = model::quote_go(format.as_bytes());
        let text = format!("{{{{ printf {format} .a {number} {float:e} true nil }}}}");
        if let Err(error) = render(&text, &some_labels(), "", &BOUNDS) {
            prop_assert!(error.bound.is_some(), "{error}");
        }
    }

    #[test]
    fn any_text_is_a_quantity_or_an_error(text in any::<Vec<u8>>(), likely in "[-+]?[0-9._xXpPeE]{0,6}[a-zA-Zµ ]{0,4}") {
        for text in [&text[..], likely.as_bytes()] {
            let _ = (parse_bytes(text), parse_duration(text), parse_float(text));
            let _ = std::str::from_utf8(text).map(parse_int);
        }
    }

    #[test]
    fn floats_are_read_back(value in any::<f64>()) {
        let text = model::format_float_go(value);
        let read = parse_float(text.as_bytes()).unwrap();
        prop_assert!(read.to_bits() == value.to_bits() || value.is_nan());
    }

    #[test]
    fn whole_numbers_are_read_back(value in any::<i64>()) {
        prop_assert_eq!(parse_int(&value.to_string()), Some(value));
        prop_assert_eq!(parse_int(&format!("{}0x{:x}", if value < 0 { "-" } else { "" }, value.unsigned_abs())), Some(value));
    }

    #[test]
    fn durations_are_read_back(nanoseconds in any::<i64>()) {
        let text = crate::time::format_duration(nanoseconds);
        prop_assert_eq!(parse_duration(text.as_bytes()), Ok(nanoseconds));
    }

    #[test]
    fn times_are_read_back(nanoseconds in any::<i64>(), zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "Asia/Seoul", "America/St_Johns", "Asia/Kathmandu"])) {
        let time = Time::from_unix_nanoseconds(nanoseconds).in_zone(Zone::named(zone).unwrap());
        // Before 1900 zones had offsets with seconds.
        for layout in ["2006-01-02T15:04:05.999999999Z07:00:00", "Mon, 02 Jan 2006 03:04:05.000000000 PM -070000", "2006 002 15:04:05,999999999 -07:00:00"] {
            let mut text = String::new();
            show(&time, layout, &mut text);
            let read = read(layout, &text, Zone::Utc).map(|time| time.unix_nanoseconds());
            prop_assert_eq!(read, Some(nanoseconds), "{}", text);
        }
    }

    #[test]
    fn any_layout_and_text_is_a_time_or_none(layout in "([A-Za-z ]|0[1-6]|15|2006|_2|__2|002|\\.0{0,3}|Z07:00|-0700|MST|PM|Jan|Mon){0,6}", text in any::<String>(), seconds in any::<i64>()) {
        let _ = read(&layout, &text, Zone::Utc);
        let mut out = String::new();
        show(&Time::from_unix_seconds(seconds), &layout, &mut out);
        let _ = read(&layout, &out, Zone::named("Europe/Berlin").unwrap());
    }
}
