//! Pages by the cases of `cases/pages.txt`, which says how they are written.

use super::*;
use std::fmt::Write as _;

const CASES: &str = include_str!("../cases/pages.txt");

/// Writes down what it is told.
#[derive(Default)]
pub(crate) struct Heard {
    series: String,
    pub(crate) lines: Vec<String>,
}

impl MetricSink for Heard {
    fn series(&mut self, labels: &[u8]) {
        self.series = Labels::from_bytes(labels).expect("canonical labels").to_string();
    }

    fn sample(&mut self, timestamp_ms: i64, start_ms: i64, value: f64) {
        let value =
            if model::is_stale(value) { "ended".to_owned() } else { model::format_float_go(value) };
        let mut line = format!("{} {value} @{timestamp_ms}", self.series);
        if start_ms != 0 {
            let _ = write!(line, " since {start_ms}");
        }
        self.lines.push(line);
    }

    fn histogram(&mut self, timestamp_ms: i64, _: i64, histogram: FloatHistogram) {
        let bounds = &histogram.custom_bounds[..];
        let counts: Vec<(i32, f64)> = histogram.positive.entries().collect();
        let (schema, count, sum) = (histogram.schema, histogram.count, histogram.sum);
        self.lines.push(format!(
            "{} schema {schema} count {count} sum {sum} {counts:?} {bounds:?} @{timestamp_ms}",
            self.series
        ));
    }

    fn exemplar(&mut self, exemplar: ExemplarRef<'_>) {
        let labels = Labels::from_bytes(exemplar.labels).expect("canonical labels");
        let (value, at) = (exemplar.value, exemplar.timestamp_ms);
        self.lines.push(format!("  e.g. {labels} {value} @{at}"));
    }

    fn metadata(&mut self, metric: &str, metadata: MetadataRef<'_>) {
        let MetadataRef { kind, unit, help } = metadata;
        self.lines.push(format!("{metric} is a {} unit {unit:?}: {help}", kind.as_str()));
    }
}

#[derive(Default)]
struct Case {
    rules: PageRules,
    pages: Option<Pages>,
    at_ms: i64,
    /// What the last step wrote.
    heard: Vec<String>,
}

fn pairs(text: &str) -> Labels {
    Labels::from_pairs(text.split_whitespace().filter_map(|pair| pair.split_once('=')))
}

impl Case {
    fn step(&mut self, head: &str, body: &str, place: &str) {
        let (word, rest) = head.split_once(' ').unwrap_or((head, ""));
        match word {
            "target" => {
                self.pages = Some(Pages::new(pairs(rest), LabelLimits::NONE, Arc::default()))
            }
            "rule" => self.rule(rest),
            "relabel" => self.rules.relabel = yaml::Node::parse(body).unwrap().read().unwrap(),
            "text" => self.page(PageFormat::Text(TextFormat::Prometheus), body.as_bytes()),
            "openmetrics" => self.page(PageFormat::Text(TextFormat::OpenMetrics), body.as_bytes()),
            "down" => {
                let mut heard = Heard::default();
                self.at_ms += 1_000;
                self.pages().end(1_000, &mut heard);
                self.heard = heard.lines;
            }
            "reload" => self.pages().forget_meanings(),
            "expect" => {
                let expected: Vec<&str> = body.lines().collect();
                assert_eq!(self.heard, expected, "{place}");
            }
            _ => panic!("{place}: {head:?} is no step"),
        }
    }

    fn pages(&mut self) -> &mut Pages {
        self.pages
            .get_or_insert_with(|| Pages::new(Labels::empty(), LabelLimits::NONE, Arc::default()))
    }

    fn rule(&mut self, text: &str) {
        let (name, value) = text.split_once('=').unwrap_or((text, "1"));
        let number: usize = value.parse().unwrap();
        let rules = &mut self.rules;
        match name {
            "honor_labels" => rules.honor_labels = true,
            "ignore_timestamps" => rules.honor_timestamps = false,
            "track_timestamps_staleness" => rules.track_timestamps_staleness = true,
            "legacy_names" => rules.legacy_names = true,
            "sample_limit" => rules.sample_limit = number,
            "label_limit" => rules.label_limit = number,
            "label_name_length_limit" => rules.label_name_length_limit = number,
            "label_value_length_limit" => rules.label_value_length_limit = number,
            "convert_classic" => rules.convert_classic = true,
            "classic_too" => rules.classic_too = true,
            _ => panic!("{name:?} is no rule"),
        }
    }

    /// Each page comes a second after the one before.
    fn page(&mut self, format: PageFormat, page: &[u8]) {
        self.at_ms += 1_000;
        let (at_ms, rules) = (self.at_ms, self.rules.clone());
        let mut heard = Heard::default();
        let outcome = self.pages().read(&rules, (format, page), at_ms, &mut heard);
        match outcome {
            Ok(counts) => {
                let PageCounts { scraped, kept, added, duplicates, ahead } = counts;
                let mut line = format!("scraped {scraped} kept {kept} added {added}");
                if duplicates + ahead > 0 {
                    let _ = write!(line, " duplicates {duplicates} ahead {ahead}");
                }
                heard.lines.push(line);
            }
            Err(error) => {
                heard = Heard::default();
                self.pages().fail(at_ms, &mut heard);
                heard.lines.push(error.to_string());
            }
        }
        self.heard = heard.lines;
    }
}

#[test]
fn cases() {
    let mut case = Case::default();
    let mut step: Option<(String, String, usize)> = None;
    let run = |step: &mut Option<(String, String, usize)>, case: &mut Case| {
        if let Some((head, body, line)) = step.take() {
            case.step(&head, body.trim_end_matches('\n'), &format!("cases/pages.txt:{line}"));
        }
    };
    for (index, line) in CASES.lines().enumerate() {
        if let Some(head) = line.strip_prefix("--- ") {
            run(&mut step, &mut case);
            step = Some((head.to_owned(), String::new(), index + 1));
        } else if line.starts_with("=== ") {
            run(&mut step, &mut case);
            case = Case::default();
        } else if let Some((_, body, _)) = &mut step {
            body.push_str(line);
            body.push('\n');
        }
    }
    run(&mut step, &mut case);
}

/// Two metrics in protobuf, one of them with exponential buckets.
fn families() -> Vec<u8> {
    use wire::protobuf::Writer;
    let mut page = Vec::new();
    let mut family = |name: &str, kind: u64, metric: &dyn Fn(&mut Writer)| {
        let mut writer = Writer::new();
        writer.text(1, name);
        writer.varint(3, kind);
        writer.message(4, metric);
        let bytes = writer.into_bytes();
        assert!(bytes.len() < 128);
        page.push(bytes.len() as u8);
        page.extend(bytes);
    };
    family("requests_total", 0, &|metric| {
        metric.message(1, |pair| {
            pair.text(1, "code");
            pair.text(2, "200");
        });
        metric.message(3, |counter| {
            counter.double(1, 7.0);
            counter.message(3, |time| time.signed(1, 3));
        });
    });
    family("seconds", 4, &|metric| {
        metric.message(7, |histogram| {
            histogram.varint(1, 3);
            histogram.double(2, 1.5);
            histogram.message(3, |bucket| {
                bucket.varint(1, 1);
                bucket.double(2, 1.0);
            });
            histogram.zigzag(5, 8);
            histogram.double(6, 0.001);
            histogram.message(12, |span| span.varint(2, 2));
            histogram.packed_zigzag(13, [1, 1]);
        });
    });
    page
}

fn of_families(rules: &PageRules) -> Result<Vec<String>, PageError> {
    let mut pages = Pages::new(pairs("job=a"), LabelLimits::NONE, Arc::default());
    let page = families();
    let mut lines = Vec::new();
    // The second time by what is known of the first.
    for at_ms in [1_000, 2_000] {
        let mut heard = Heard::default();
        pages.read(rules, (PageFormat::Families, &page), at_ms, &mut heard)?;
        lines = heard.lines;
    }
    Ok(lines)
}

#[test]
fn families_become_samples() {
    let counter = r#"{__name__="requests_total", code="200", job="a"} 7 @2000 since 3000"#;
    let native = PageRules { native_histograms: true, ..PageRules::default() };
    let whole =
        r#"{__name__="seconds", job="a"} schema 8 count 3 sum 1.5 [(0, 1.0), (1, 2.0)] [] @2000"#;
    assert_eq!(of_families(&native).unwrap(), [counter, whole]);
    // The two buckets lie on both sides of 1: no resolution makes them one.
    let limited = of_families(&PageRules { bucket_limit: 1, ..native });
    assert_eq!(
        limited.unwrap_err().to_string(),
        "native_histogram_bucket_limit exceeded by \"seconds\": more than 1 buckets at the lowest \
         resolution"
    );
    let classic = [
        counter,
        r#"{__name__="seconds_count", job="a"} 3 @2000"#,
        r#"{__name__="seconds_sum", job="a"} 1.5 @2000"#,
        r#"{__name__="seconds_bucket", job="a", le="1.0"} 1 @2000"#,
        r#"{__name__="seconds_bucket", job="a", le="+Inf"} 3 @2000"#,
    ];
    assert_eq!(of_families(&PageRules::default()).unwrap(), classic);
}

mod outlines {
    use super::*;
    use proptest::prelude::*;

    /// Lines of pages, which are followed by a value if they are samples.
    const LINES: [&str; 10] = [
        "a",
        "b{x=\"1\"}",
        "b{x=\"2\"}",
        "# HELP a What it is.",
        "# TYPE h histogram",
        "h_bucket{le=\"1\"}",
        "h_bucket{le=\"+Inf\"}",
        "# TYPE g gauge",
        "dropped",
        "# anything",
    ];
    const VALUES: [&str; 8] =
        ["1", "23", "0.5", "NaN", "+Inf", "123456789012345678", "7 1500", "x"];

    /// Lines and values of a page, by their places in the lists.
    type Page = Vec<(usize, usize)>;

    fn text(page: &Page) -> String {
        let line = |(line, value): &(usize, usize)| match LINES[*line].strip_prefix('#') {
            Some(_) => format!("{}\n", LINES[*line]),
            None => format!("{} {}\n", LINES[*line], VALUES[*value]),
        };
        page.iter().map(line).collect()
    }

    fn read(pages: &mut Pages, rules: &PageRules, page: &str, at_ms: i64) -> (Vec<String>, String) {
        let mut heard = Heard::default();
        let page = (PageFormat::Text(TextFormat::Prometheus), page.as_bytes());
        let outcome = pages.read(rules, page, at_ms, &mut heard);
        if outcome.is_err() {
            heard = Heard::default();
            pages.fail(at_ms, &mut heard);
        }
        (heard.lines, format!("{outcome:?}"))
    }

    proptest! {
        /// Pages that mostly stay as they are give the same as when each line of them is read.
        #[test]
        fn an_outline_changes_nothing(
            first in prop::collection::vec((0..LINES.len(), 0..VALUES.len() - 2), 0..12),
            steps in prop::collection::vec((0..8_usize, 0..12_usize, 0..LINES.len(), 0..VALUES.len()), 0..20),
        ) {
            let relabel = "- source_labels: [__name__]\n  regex: dropped\n  action: drop\n";
            let relabel = yaml::Node::parse(relabel).unwrap().read().unwrap();
            let rules = PageRules { relabel, ..PageRules::default() };
            let new = || Pages::new(pairs("job=a"), LabelLimits::NONE, Arc::default());
            let (mut by_outline, mut by_line, mut page) = (new(), new(), first);
            for (number, (change, at, line, value)) in steps.into_iter().enumerate() {
                let at = at.min(page.len());
                match change {
                    0 => page.insert(at, (line, value)),
                    1 if at < page.len() => drop(page.remove(at)),
                    2 => page.iter_mut().for_each(|one| one.1 = value.min(5)),
                    3 if at < page.len() => page[at].1 = value,
                    _ => {}
                }
                let (text, at_ms) = (text(&page), number as i64 * 1_000);
                by_line.forget_outline();
                prop_assert_eq!(
                    read(&mut by_outline, &rules, &text, at_ms),
                    read(&mut by_line, &rules, &text, at_ms),
                    "page {}: {}", number, text
                );
            }
        }
    }

    /// The fourth page is read by the outline of the third, which had the lines of the second.
    #[test]
    fn pages_that_repeat_are_not_read_line_by_line() {
        let mut pages = Pages::new(Labels::empty(), LabelLimits::NONE, Arc::default());
        for (page, has_outline) in [
            ("a 1\nb 2\n", false),
            ("a 2\nb 2\n", false),
            ("a 3\nb 9\n", true),
            ("a 4\nb 9\n", true),
            ("a 3\n", false),
        ] {
            read(&mut pages, &PageRules::default(), page, 1_000);
            assert_eq!(pages.outline.is_some(), has_outline, "{page:?}");
        }
    }

    /// What is missing behind the last value is an error with an outline as without.
    #[test]
    fn a_page_that_is_cut_behind_its_last_value_is_refused() {
        let mut pages = Pages::new(Labels::empty(), LabelLimits::NONE, Arc::default());
        let mut read = |page: &str| {
            let page = (PageFormat::Text(TextFormat::OpenMetrics), page.as_bytes());
            pages.read(&PageRules::default(), page, 1_000, &mut Heard::default())
        };
        for _ in 0..4 {
            assert!(read("a 1\nb 2\n# EOF\n").is_ok());
        }
        let error = read("a 1\nb 2\n").unwrap_err();
        assert!(error.to_string().contains("does not end with # EOF"), "{error}");
    }

    /// Lines of a page of protobuf take the places of lines that are forgotten.
    #[test]
    fn an_outline_ends_where_another_format_comes_between() {
        let mut pages = Pages::new(Labels::empty(), LabelLimits::NONE, Arc::default());
        let text = "a 1\nb 2\n";
        let mut first = None;
        for _ in 0..4 {
            let heard = read(&mut pages, &PageRules::default(), text, 1_000).0;
            first = Some(heard);
        }
        let mut heard = Heard::default();
        let page = families();
        pages
            .read(&PageRules::default(), (PageFormat::Families, &page), 1_000, &mut heard)
            .unwrap();
        assert_eq!(read(&mut pages, &PageRules::default(), text, 1_000).0[..2], first.unwrap()[..]);
    }
}
