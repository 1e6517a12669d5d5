//! Any line, any pattern; and what other readers make of the same lines.

use super::super::decolorize::decolorize;
use super::super::ip::IpMatcher;
use super::super::json::{self, JsonPath, JsonPaths};
use super::super::logfmt::{self, LogfmtKeys, LogfmtOptions};
use super::super::pattern::{LinePattern, Pattern};
use super::super::regexp::RegexpFields;
use super::super::unpack::unpack;
use super::super::{Buffers, names};
use super::{Taken, paths};
use proptest::prelude::*;

/// What `json` gives of a value that serde_json has read.
fn flattened(value: &serde_json::Value, name: &str, out: &mut Vec<(String, String)>) {
    let serde_json::Value::Object(members) = value else { return };
    for (key, value) in members {
        let mut name = if name.is_empty() { String::new() } else { format!("{name}_") };
        names::push_name(key.as_bytes(), &mut name);
        match value {
            serde_json::Value::Object(_) => flattened(value, &name, out),
            _ if name.is_empty() => {}
            serde_json::Value::Null | serde_json::Value::Array(_) => {}
            serde_json::Value::String(text) => out.push((name, text.replace('\u{fffd}', " "))),
            other => out.push((name, other.to_string())),
        }
    }
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let text = prop_oneof!["[a-z]{0,5}", "\\PC{0,6}", "[\\\\\"/\n\t{}\\[\\],:a]{0,6}"];
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        text.clone().prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        let members = prop::collection::btree_map(text.clone(), inner.clone(), 0..5);
        let object = members.prop_map(serde_json::Value::from_iter);
        prop_oneof![object, prop::collection::vec(inner, 0..4).prop_map(serde_json::Value::from)]
    })
}

/// Lines in which the marks of JSON and logfmt are common.
fn any_line() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        "\"",
        ":",
        ",",
        "\\",
        "\\u12",
        "\\ud83d",
        "a",
        "1",
        "true",
        "null",
        " ",
        "=",
        "\"a\":",
        "\"_entry\":\"",
        "10.0.0.1",
        "::1",
        "1.2.",
        "\x1b[",
        "m",
        "\u{fffd}",
        "<_>",
    ]);
    let pieces =
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes());
    prop_oneof![pieces, any::<Vec<u8>>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn json_agrees_with_serde(members in prop::collection::btree_map("[a-z ]{0,4}", any_json(), 0..6), is_pretty: bool) {
        let value = serde_json::Value::from_iter(members);
        let line = if is_pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let mut taken = Taken::default();
        json::extract(line.as_bytes(), &mut Buffers::default(), &mut taken).unwrap();
        let mut wanted = Vec::new();
        flattened(&value, "", &mut wanted);
        prop_assert_eq!(taken.fields, wanted);
    }

    #[test]
    fn json_paths_agree_with_serde(value in any_json(), first in "[a-z]{1,2}", second in 0_usize..3, third in "[a-z]{1,2}") {
        let value = serde_json::json!({ "x": value, &*first: [{ &*third: 1 }, { &*third: "t" }, [2]] });
        let line = serde_json::to_string(&value).unwrap();
        let path = format!("{first}[{second}].{third}");
        let paths = JsonPaths::new([("v", &*path)].into_iter()).unwrap();
        let mut taken = Taken::default();
        paths.extract(line.as_bytes(), &mut Buffers::default(), &mut taken).unwrap();
        let wanted = match &value[&*first][second][&*third] {
            serde_json::Value::Null => "-v".to_owned(),
            serde_json::Value::String(text) => format!("v={text}"),
            other => format!("v={other}"),
        };
        prop_assert_eq!(taken.shown(), wanted, "{} {}", path, line);
    }

    #[test]
    fn logfmt_reads_what_is_quoted(values in prop::collection::vec("\\PC{0,8}", 1..5)) {
        let pair = |(index, value): (usize, &String)| format!("k{index}={}", serde_json::to_string(value).unwrap());
        let line = values.iter().enumerate().map(pair).collect::<Vec<_>>().join(" ");
        let mut taken = Taken::default();
        let options = LogfmtOptions { strict: true, keep_empty: true };
        logfmt::extract(line.as_bytes(), options, &mut Buffers::default(), &mut taken).unwrap();
        let wanted: Vec<(String, String)> = values.iter().enumerate()
            .map(|(index, value)| (format!("k{index}"), value.replace('\u{fffd}', " "))).collect();
        prop_assert_eq!(taken.fields, wanted);
    }

    #[test]
    fn any_line_gives_fields_or_an_error(line in any_line(), strict: bool, keep_empty: bool) {
        let mut buffers = Buffers::default();
        let mut taken = Taken::default();
        let _ = json::extract(&line, &mut buffers, &mut taken);
        let paths = paths(&[("a", "a"), ("b", "a.a[0]"), ("c", "[1].a"), ("d", "[0][0]")]);
        let _ = paths.extract(&line, &mut buffers, &mut taken);
        let _ = logfmt::extract(&line, LogfmtOptions { strict, keep_empty }, &mut buffers, &mut taken);
        let keys = LogfmtKeys::new([("a", "a"), ("b", "a")].into_iter()).unwrap();
        let _ = keys.extract(&line, strict, &mut buffers, &mut taken);
        let _ = unpack(&line, &mut buffers, &mut Vec::new(), &mut taken);
        RegexpFields::new("(?P<a>.)=?(?P<b>.)").unwrap().extract(&line, &mut buffers, &mut taken);
        Pattern::new("a<a>:<b>").unwrap().extract(&line, &mut buffers, &mut taken);
        let is_clean = |(name, value): &(String, String)| names::is_name(name) && !value.contains(char::REPLACEMENT_CHARACTER);
        prop_assert!(taken.fields.iter().all(is_clean));
        prop_assert!(decolorize(&line).len() <= line.len());
        let _ = LinePattern::new("<_>a<_>").unwrap().is_match(&line);
        let _ = IpMatcher::new("10.0.0.0/8").unwrap().is_match(&line);
    }

    #[test]
    fn any_text_is_a_pattern_or_refused(text in any::<String>(), likely in "[<>a_\"\\[\\].0-9/:-]{0,12}") {
        for text in [&*text, &*likely] {
            let _ = (JsonPath::parse(text), Pattern::new(text).is_ok(), LinePattern::new(text).is_ok());
            let _ = (IpMatcher::new(text), RegexpFields::new(text).is_ok());
            let _ = LogfmtKeys::new([("a", text)].into_iter()).is_ok();
        }
    }

    /// An address that is written somewhere is found there.
    #[test]
    fn addresses_are_found_where_they_are(bits in any::<u128>(), is_long: bool, before in "[ =\"\\[]{1,3}", after in "[ ,\\]/]{1,3}") {
        let address = if is_long {
            std::net::IpAddr::V6(bits.into())
        } else {
            std::net::IpAddr::V4((bits as u32).into())
        };
        let text = format!("{before}{address}{after}");
        let matcher = IpMatcher::new(&address.to_string()).unwrap();
        prop_assert!(matcher.contains(address));
        // `::` alone is no address that a line is searched for.
        prop_assert!(matcher.is_match(text.as_bytes()) || address.is_unspecified(), "{}", text);
    }
}
