//! The counters of scraping.

use crate::discovery;
use crate::fetch::ScrapeError;
use crate::page::PageCounts;
use observe::{Counter, CounterFamily, Gauge, Metric};

static SCRAPES: CounterFamily = CounterFamily::new(
    "mirador_scrapes_total",
    "Scrapes of targets, by how they ended.",
    &["result"],
);
static SAMPLES: Counter =
    Counter::new("mirador_scrape_samples_total", "Samples of scrapes, after relabeling.");
static LEFT_OUT: CounterFamily = CounterFamily::new(
    "mirador_scrape_samples_left_out_total",
    "Samples of scrapes that were not stored though their page was: their series was there twice, or \
     their own time lies far ahead.",
    &["reason"],
);
pub(crate) static RELOADS: CounterFamily = CounterFamily::new(
    "mirador_scrape_configuration_loads_total",
    "Times that the configuration of Prometheus was read, by how it went.",
    &["result"],
);
pub(crate) static POOLS: Gauge =
    Gauge::new("mirador_scrape_pools", "Jobs whose targets are scraped.");

/// The metrics of this crate.
pub static METRICS: &[&dyn Metric] =
    &[&SCRAPES, &SAMPLES, &LEFT_OUT, &RELOADS, &POOLS, &discovery::FAILURES];

pub(crate) fn note(outcome: &Result<(PageCounts, Option<String>), ScrapeError>) {
    let result = match outcome {
        Ok(_) => "taken",
        Err(ScrapeError::Fetch(_)) => "unreachable",
        Err(ScrapeError::Status { .. }) => "status",
        Err(ScrapeError::TooLarge(_)) => "too_large",
        Err(ScrapeError::ContentType(_) | ScrapeError::Page(_)) => "page",
        Err(ScrapeError::TargetLimit { .. }) => "target_limit",
        Err(ScrapeError::Store(_)) => "store",
    };
    SCRAPES.increment(&[result]);
    if let Ok((counts, _)) = outcome {
        SAMPLES.add(counts.kept);
        for (reason, count) in [("duplicate", counts.duplicates), ("ahead", counts.ahead)] {
            if count > 0 {
                LEFT_OUT.add(&[reason], count);
            }
        }
    }
}
