//! The cases of `cases/*.test`, and properties of any template.

mod alert_cases;
mod cases;
mod properties;

use crate::logql::{Entry, functions};
use crate::{Bounds, ExecuteError, Template};
use std::collections::BTreeMap;

type Labels = BTreeMap<String, String>;

pub(crate) fn entry<'l>(labels: &'l Labels, line: &'l [u8], timestamp: i64) -> Entry<'l, Labels> {
    Entry { labels, line, timestamp, now: 1_700_000_000_000_000_000 }
}

/// What a template of LogQL makes of a line.
fn render(
    text: &str,
    labels: &Labels,
    line: &str,
    bounds: &Bounds,
) -> Result<Vec<u8>, ExecuteError> {
    let template = Template::parse("line", text, &functions()).unwrap();
    let mut out = Vec::new();
    template.execute(&entry(labels, line.as_bytes(), 0), bounds, &mut out)?;
    Ok(out)
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn each_bound_is_named() {
    let no_labels = Labels::new();
    let fails = |text: &str, bounds: Bounds| {
        let error = render(text, &no_labels, "", &bounds).unwrap_err();
        assert!(error.bound.is_some());
        assert_eq!(error.kind(), model::ErrorKind::Limit);
        error.message.into_string()
    };
    let bounds = Bounds { steps: 1000, depth: 30, output_bytes: 100, made_bytes: 1000 };
    assert_eq!(
        fails("{{range 1000000000}}{{end}}", bounds),
        "the template takes more than 1000 steps"
    );
    // Going through long texts takes steps, too.
    let line = "x".repeat(10_000);
    let text = r#"{{ range 30 }}{{ count "a.*b" __line__ }}{{ end }}"#;
    let wide = Bounds { steps: 1000, ..Bounds::default() };
    // So does compiling ever new patterns.
    let patterns = r#"{{ range 9 }}{{ count (print "a" .) "a1" }}{{ end }}"#;
    let error = render(patterns, &no_labels, "", &wide).unwrap_err();
    assert_eq!(error.bound, Some(crate::Bound::Steps(1000)));
    let error = render(text, &no_labels, &line, &wide).unwrap_err();
    assert_eq!(error.bound, Some(crate::Bound::Steps(1000)));
    assert_eq!(
        fails(r#"{{define "a"}}{{template "a"}}{{end}}{{template "a"}}"#, bounds),
        "templates, branches and parentheses are nested more than 30 deep"
    );
    assert_eq!(fails("{{range 50}}abc{{end}}", bounds), "the template writes more than 100 bytes");
    for text in [
        r#"{{ repeat 1000000000000 "ab" }}"#,
        r#"{{ $x := "x" | repeat 500 }}{{ range 10 }}{{ $x = print $x $x }}{{ end }}"#,
        r#"{{ indent 2000 "a" }}"#,
        r#"{{ printf "%999999d" 1 | len }}"#,
        r#"{{ alignLeft 2000 "a" }}"#,
        r#"{{ replace "" (repeat 300 "x") "abcd" }}"#,
        r#"{{ regexReplaceAll "." "abcdef" (repeat 300 "x") }}"#,
        r#"{{ fromJson (repeat 300 "1") }}"#,
    ] {
        let wanted = "the functions of the template make more than 1000 bytes";
        assert_eq!(fails(text, bounds), wanted, "{text}");
    }
}

#[test]
fn deep_templates_within_the_bounds_are_executed() {
    let nested = format!("{}x{}", "{{if true}}".repeat(100), "{{end}}".repeat(100));
    assert_eq!(render(&nested, &Labels::new(), "", &Bounds::default()), Ok(b"x".to_vec()));
    let beyond = format!("{}x{}", "{{if true}}".repeat(101), "{{end}}".repeat(101));
    let error = Template::parse("line", &beyond, &functions()).unwrap_err();
    assert_eq!(error.message, "nested more than 100 deep");
    let parentheses = format!("{{{{ {}1{} }}}}", "(".repeat(100), ")".repeat(100));
    assert_eq!(render(&parentheses, &Labels::new(), "", &Bounds::default()), Ok(b"1".to_vec()));
    // Templates that call each other, with much between, reach the bound and not the stack's end.
    let open = "{{with 1}}".repeat(90);
    let close = "{{end}}".repeat(90);
    let text = format!(
        "{{{{define \"a\"}}}}{open}{{{{template \"a\"}}}}{close}{{{{end}}}}{{{{template \"a\"}}}}"
    );
    assert!(render(&text, &Labels::new(), "", &Bounds::default()).is_err());
}

#[test]
fn what_fails_leaves_the_buffer_as_it_was() {
    let template = Template::parse("line", "text {{ div 1 0 }}", &functions()).unwrap();
    let mut out = b"before ".to_vec();
    let no_labels = Labels::new();
    let error = template.execute(&entry(&no_labels, b"", 0), &Bounds::default(), &mut out);
    assert!(error.is_err());
    assert_eq!(out, b"before ");
}

#[test]
fn keys_are_those_that_may_be_asked_for() {
    let keys = |text: &str| {
        let template = Template::parse("line", text, &functions()).unwrap();
        template.keys().map(|keys| keys.into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    assert_eq!(keys("{{.b}}{{if eq .a $.c}}{{end}}{{__line__}}").unwrap(), ["a", "b", "c"]);
    assert_eq!(keys("{{range fromJson .tags}}{{.x.y}}{{end}}").unwrap(), ["tags", "x"]);
    assert_eq!(keys("{{$x := .a}}{{$x}}").unwrap(), ["a"]);
    assert_eq!(keys("{{range .}}{{end}}"), None);
    assert_eq!(keys("{{index $ \"a\"}}"), None);
}

#[test]
fn positions_of_mistakes_have_columns() {
    let error = Template::parse("line", "one\ntwo {{ nosuch }}", &functions()).unwrap_err();
    assert_eq!((error.line, error.column), (2, 8));
    let error = render("one\ntwo {{ div 1 0 }}", &Labels::new(), "", &Bounds::default());
    let error = error.unwrap_err();
    assert_eq!((error.line, error.column), (2, 7));
}

#[test]
fn a_map_is_data_too() {
    use crate::{Map, Missing, Registry, Value};
    let alert = Value::Map(std::sync::Arc::new(Map {
        entries: BTreeMap::from([("job".to_owned(), Value::text(b"api"))]),
        missing: Missing::EmptyText,
    }));
    let entries = BTreeMap::from([("Labels".to_owned(), alert), ("Value".to_owned(), 1.5.into())]);
    let data = Map { entries, missing: Missing::Nothing };
    let text = "{{$l := .Labels}}{{$l.job}}|{{$l.none}}|{{.Value}}|{{.Nothing}}|{{.}}";
    let template = Template::parse("alert", text, &Registry::new()).unwrap();
    let mut out = Vec::new();
    template.execute(&data, &Bounds::default(), &mut out).unwrap();
    let shown = String::from_utf8(out).unwrap();
    assert_eq!(shown, "api||1.5|<no value>|map[Labels:map[job:api] Value:1.5]");
}

#[test]
fn every_function_of_logql_is_there() {
    let names = "__line__ __timestamp__ now date toDate toDateInZone unixEpoch unixEpochMillis \
        unixEpochNanos unixToTime duration duration_seconds bytes lower upper title trunc substr \
        replace repeat trim trimAll trimPrefix trimSuffix indent nindent contains hasPrefix hasSuffix \
        default printf print println eq ne lt le gt ge and or not len index slice call html js \
        urlquery alignLeft alignRight b64enc b64dec urlencode urldecode count regexReplaceAll \
        regexReplaceAllLiteral fromJson int float64 add sub mul div mod max min addf subf mulf divf \
        maxf minf ceil floor round ToLower ToUpper Replace Trim TrimLeft TrimRight TrimPrefix \
        TrimSuffix TrimSpace";
    let mut wanted: Vec<&str> = names.split_whitespace().collect();
    wanted.sort_unstable();
    let registry = functions();
    assert_eq!(registry.names().collect::<Vec<_>>(), wanted);
}

#[test]
fn labels_need_not_be_text() {
    struct Bytes;
    impl crate::logql::Labels for Bytes {
        fn get(&self, name: &str) -> Option<&[u8]> {
            (name == "a").then_some(b"\xffx")
        }

        fn each<'l>(&'l self, visit: &mut dyn FnMut(&'l str, &'l [u8])) {
            visit("a", b"\xffx");
        }
    }
    let template = Template::parse("line", "{{.a}}{{upper .a}}{{printf \"%q\" .a}}", &functions());
    let entry = Entry { labels: &Bytes, line: b"", timestamp: 0, now: 0 };
    let mut out = Vec::new();
    template.unwrap().execute(&entry, &Bounds::default(), &mut out).unwrap();
    assert_eq!(out, b"\xffx\xffX\"\\xffx\"");
    assert_eq!(render("{{.a}}", &labels(&[("a", "b")]), "", &Bounds::default()), Ok(b"b".to_vec()));
}
