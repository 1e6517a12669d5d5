//! One target over time: its pages, and the series that tell of each scrape. Pure: times and pages are
//! passed, and what is stored goes into a sink.

use crate::fetch::ScrapeError;
use crate::page::{Interned, PageCounts, PageFormat, Pages};
use crate::target::Target;
use model::{Labels, METRIC_NAME, stale_marker};
use std::sync::Arc;
use wire::{LabelLimits, MetricSink};

/// In the order in which they are stored.
const REPORTS: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];
/// Where `extra_scrape_metrics` is on.
const EXTRA_REPORTS: [&str; 3] =
    ["scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes"];

/// What there was of a scrape.
pub(crate) struct Scrape<'s> {
    /// The time that its samples get.
    pub(crate) at_ms: i64,
    pub(crate) took_seconds: f64,
    pub(crate) page: Result<(PageFormat, &'s [u8]), ScrapeError>,
}

#[derive(Debug)]
pub(crate) struct Scraper {
    pub(crate) target: Arc<Target>,
    pub(crate) pages: Pages,
    /// The labels of the series that tell of scrapes.
    reports: Vec<Labels>,
}

impl Scraper {
    pub(crate) fn new(
        target: Arc<Target>,
        extra: bool,
        limits: LabelLimits,
        interned: Arc<Interned>,
    ) -> Self {
        let pages = Pages::new(target.labels.clone(), limits, interned);
        let extra: &[&str] = if extra { &EXTRA_REPORTS } else { &[] };
        let named = |name: &&str| target.labels.with(METRIC_NAME, name);
        let reports = REPORTS.iter().chain(extra).map(named).collect();
        Self { target, pages, reports }
    }

    /// Writes what a scrape brought, also if it failed. After an error of the page, `renew` gives a sink
    /// without what was written of it.
    pub(crate) fn store<S: MetricSink>(
        &mut self,
        scrape: Scrape<'_>,
        renew: impl Fn() -> S,
    ) -> (S, Result<PageCounts, ScrapeError>) {
        let Scrape { at_ms, took_seconds, page } = scrape;
        let mut sink = renew();
        let length = page.as_ref().map_or(0, |(_, body)| body.len());
        let outcome = match page {
            Ok(page) => {
                let read = self.pages.read(&self.target.rules, page, at_ms, &mut sink);
                read.map_err(|error| {
                    sink = renew();
                    self.pages.fail(at_ms, &mut sink);
                    ScrapeError::from(error)
                })
            }
            Err(error) => {
                self.pages.end(at_ms, &mut sink);
                Err(error)
            }
        };
        let body_bytes = match &outcome {
            Ok(_) => length as f64,
            Err(ScrapeError::TooLarge(_)) => -1.0,
            Err(_) => 0.0,
        };
        let counts = *outcome.as_ref().unwrap_or(&PageCounts::default());
        let values = [
            f64::from(u8::from(outcome.is_ok())),
            took_seconds,
            counts.scraped as f64,
            counts.kept as f64,
            counts.added as f64,
            self.target.timeout_ms as f64 / 1e3,
            self.target.rules.sample_limit as f64,
            body_bytes,
        ];
        for (labels, value) in self.reports.iter().zip(values) {
            sink.series(labels.as_bytes());
            sink.sample(at_ms, 0, value);
        }
        (sink, outcome)
    }

    /// The target is gone: ends all its series.
    pub(crate) fn end(&mut self, at_ms: i64, sink: &mut dyn MetricSink) {
        self.pages.end(at_ms, sink);
        for labels in &self.reports {
            sink.series(labels.as_bytes());
            sink.sample(at_ms, 0, stale_marker());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::{Heard, PageRules};
    use model::Labels;
    use outbound::Url;
    use wire::TextFormat;

    fn scraper(extra: bool) -> Scraper {
        let labels = Labels::from_pairs([("job", "a")]);
        let rules = PageRules { sample_limit: 2, ..PageRules::default() };
        let target = Target {
            discovered: labels.clone(),
            labels,
            url: Url::parse("http://a:1/metrics").unwrap(),
            unix_socket: None,
            interval_ms: 15_000,
            timeout_ms: 1_500,
            rules: Arc::new(rules),
            key: Vec::new(),
        };
        Scraper::new(Arc::new(target), extra, LabelLimits::NONE, Arc::default())
    }

    fn scrape(scraper: &mut Scraper, at_ms: i64, page: Result<&str, ScrapeError>) -> Vec<String> {
        let format = PageFormat::Text(TextFormat::Prometheus);
        let page = page.map(|text| (format, text.as_bytes()));
        let scrape = Scrape { at_ms, took_seconds: 0.25, page };
        scraper.store(scrape, Heard::default).0.lines
    }

    /// The lines of the series that tell of a scrape.
    fn reports(values: [&str; 5], at_ms: i64) -> Vec<String> {
        let line = |(name, value): (&&str, &str)| {
            format!("{{__name__=\"{name}\", job=\"a\"}} {value} @{at_ms}")
        };
        REPORTS.iter().zip(values).map(line).collect()
    }

    #[test]
    fn every_scrape_is_told_of() {
        let mut scraper = scraper(false);
        let page = "m 1\nn 2\n";
        let lines = scrape(&mut scraper, 1_000, Ok(page));
        assert_eq!(lines[2..], reports(["1", "0.25", "2", "2", "2"], 1_000));
        assert_eq!(
            scrape(&mut scraper, 2_000, Ok(page))[2..],
            reports(["1", "0.25", "2", "2", "0"], 2_000)
        );

        // What a refused page wrote is thrown away.
        let lines = scrape(&mut scraper, 3_000, Ok("m 1\nn 2\no 3\n"));
        let mut expected = vec![
            r#"{__name__="m", job="a"} ended @3000"#.to_owned(),
            r#"{__name__="n", job="a"} ended @3000"#.to_owned(),
        ];
        expected.extend(reports(["0", "0.25", "0", "0", "0"], 3_000));
        assert_eq!(lines, expected);
        let lines = scrape(&mut scraper, 4_000, Err(ScrapeError::Fetch("gone".to_owned())));
        assert_eq!(lines, reports(["0", "0.25", "0", "0", "0"], 4_000));
    }

    #[test]
    fn more_is_told_where_it_is_asked_for() {
        let mut scraper = scraper(true);
        let lines = scrape(&mut scraper, 1_000, Ok("m 1\n"));
        let extra =
            |name: &str, value: &str| format!("{{__name__=\"{name}\", job=\"a\"}} {value} @1000");
        assert_eq!(
            lines[6..],
            [
                extra("scrape_timeout_seconds", "1.5"),
                extra("scrape_sample_limit", "2"),
                extra("scrape_body_size_bytes", "4"),
            ]
        );
        let lines = scrape(&mut scraper, 2_000, Err(ScrapeError::TooLarge("large".to_owned())));
        assert!(lines.last().unwrap().contains(" -1 @2000"), "{lines:?}");
    }

    #[test]
    fn a_target_that_is_gone_ends_all_its_series() {
        let mut scraper = scraper(false);
        scrape(&mut scraper, 1_000, Ok("m 1\n"));
        let mut heard = Heard::default();
        scraper.end(2_000, &mut heard);
        let expected = std::iter::once(&"m").chain(&REPORTS);
        let expected: Vec<String> = expected
            .map(|name| format!("{{__name__=\"{name}\", job=\"a\"}} ended @2000"))
            .collect();
        assert_eq!(heard.lines, expected);
    }
}
