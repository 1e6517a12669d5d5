//! Unit tests of rules, in the files of `promtool test rules`: series are loaded, groups evaluated at
//! their interval, and alerts and results of expressions compared with what is expected.
//!
//! Lives here: running a file. `read`: what a file says. `compare`: what counts as expected.
//! Not here: files on disks, which the caller reads.
//! Invariant: a test never waits and never reads a clock for what it expects.

mod compare;
mod read;

use crate::backend::{Evaluate, Question};
use crate::definition::{Group, GroupKey, Origin};
use crate::files::load_files;
use crate::group::{Defaults, RunningGroup};
use crate::language::{Language, Languages};
use crate::memory::MemoryBackend;
use crate::read::FileError;
use crate::rule::Surroundings;
use crate::sink::CountingSink;
use compare::{check_alerts, check_expression};
use model::{Labels, TenantId};
use promql::EngineOptions;
use promql::script::{LoadedSeries, load_series};
use query::CancelFlag;
use read::{Test, TestFile};
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// What became of the tests of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitTestReport {
    /// Comparisons that were as expected.
    pub passed: usize,
    pub failures: Vec<String>,
}

/// Evaluations of one group that a test may ask for; more would take hours.
const SLOTS_MAX: i64 = 1_000_000;

/// Runs the tests of a file. Rule files are found beside it, in `folder`.
pub fn run_unit_tests(
    text: &str,
    folder: &str,
    options: &EngineOptions,
) -> Result<UnitTestReport, FileError> {
    let file = TestFile::read(text)?;
    let languages = Languages { promql: options.parse.clone(), default: Language::Promql };
    let globs: Vec<String> = file.rule_files.iter().map(|path| beside(folder, path)).collect();
    let whole = |message: String| FileError { line: 0, column: 0, message };
    let mut files = load_files(&globs, &languages).map_err(|error| whole(error.to_string()))?;
    // Groups without a place in the order come first, as with promtool.
    let order: BTreeMap<&str, usize> =
        file.group_order.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
    let mut groups: Vec<(String, Group)> = Vec::new();
    for (path, of_file) in files.drain(..) {
        groups.extend(of_file.into_iter().map(|group| (path.clone(), group)));
    }
    groups.sort_by_key(|(_, group)| order.get(group.name.as_str()).copied().unwrap_or(0));
    let mut report = UnitTestReport::default();
    for test in &file.tests {
        let run = Run::new(test, file.interval_ms, options, &groups);
        match run {
            Ok(mut run) => run.go(&mut report),
            Err(message) => report.failures.push(test.named(&message)),
        }
    }
    Ok(report)
}

fn beside(folder: &str, path: &str) -> String {
    match path.starts_with('/') || folder.is_empty() {
        true => path.to_owned(),
        false => format!("{folder}/{path}"),
    }
}

/// Memory answers at once, so that nothing is ever pending.
fn finished(future: impl Future<Output = ()>) -> Result<(), String> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(()) => Ok(()),
        Poll::Pending => Err("an evaluation waits for something".to_owned()),
    }
}

/// One test, while it runs.
struct Run<'t> {
    test: &'t Test,
    interval_ms: i64,
    backend: MemoryBackend,
    series: Vec<LoadedSeries>,
    groups: Vec<RunningGroup>,
}

impl<'t> Run<'t> {
    fn new(
        test: &'t Test,
        interval_ms: i64,
        options: &EngineOptions,
        groups: &[(String, Group)],
    ) -> Result<Self, String> {
        if test.last_ms() / interval_ms > SLOTS_MAX {
            return Err(format!("more than {SLOTS_MAX} evaluations: choose a longer interval"));
        }
        let mut series = Vec::new();
        for line in &test.series {
            series
                .push(load_series(line, 0, test.interval_ms).map_err(|e| format!("{line}: {e}"))?);
        }
        let around = Arc::new(Surroundings {
            external_labels: test.external_labels.clone(),
            external_url: test.external_url.clone(),
            resend_ms: 60_000,
        });
        let defaults = Defaults { interval_ms: test.interval_ms, query_offset_ms: 0, around };
        let running = |(file, group): &(String, Group)| {
            let key = GroupKey {
                tenant: TenantId::default_tenant(),
                origin: Origin::Files,
                file: file.clone(),
                name: group.name.clone(),
            };
            RunningGroup::new(key, Arc::new(group.clone()), &defaults, true)
        };
        // Subqueries without a step take the interval of evaluation.
        let options = EngineOptions { subquery_step_ms: interval_ms, ..options.clone() };
        Ok(Self {
            test,
            interval_ms,
            backend: MemoryBackend::new(options),
            series,
            groups: groups.iter().map(running).collect(),
        })
    }

    fn go(&mut self, report: &mut UnitTestReport) {
        let mut failures = Vec::new();
        let last_ms = self.test.last_ms();
        let (mut now_ms, mut loaded_ms) = (0, i64::MIN);
        while now_ms <= last_ms {
            self.load((loaded_ms, now_ms + 1));
            loaded_ms = now_ms + 1;
            if let Err(found) = self.evaluate(now_ms) {
                failures.extend(found);
                break;
            }
            let next_ms = now_ms + self.interval_ms;
            let alerts = self.test.alerts.iter();
            for expected in alerts.filter(|one| (now_ms..next_ms).contains(&one.time_ms)) {
                let views = self.groups.iter().map(RunningGroup::view);
                match check_alerts(expected, views) {
                    Ok(()) => report.passed += 1,
                    Err(failure) => failures.push(failure),
                }
            }
            now_ms = next_ms;
        }
        self.load((loaded_ms, i64::MAX));
        for expected in &self.test.expressions {
            let found = self.ask(&expected.query, expected.time_ms);
            match check_expression(expected, found) {
                Ok(()) => report.passed += 1,
                Err(failure) => failures.push(failure),
            }
        }
        let named = failures.iter().map(|failure| self.test.named(failure));
        report.failures.extend(named);
    }

    fn load(&self, (from_ms, before_ms): (i64, i64)) {
        for one in &self.series {
            self.backend.load(one, (from_ms, before_ms));
        }
        self.backend.commit();
    }

    fn evaluate(&self, now_ms: i64) -> Result<(), Vec<String>> {
        self.backend.set_now(now_ms);
        let mut errors = Vec::new();
        for group in &self.groups {
            let sink = CountingSink::default();
            finished(group.iterate(&self.backend, &sink, now_ms)).map_err(|error| vec![error])?;
            for rule in group.view().rules {
                if let Some(error) = rule.last_error {
                    let (name, time) = (rule.rule.name(), model::format_duration(now_ms));
                    errors.push(format!("rule: {name}, time: {time}, err: {error}"));
                }
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn ask(&self, query: &str, time_ms: i64) -> Result<Vec<crate::Sample>, String> {
        let question = Question {
            tenant: &TenantId::default_tenant(),
            language: Language::Promql,
            query,
            time_ms,
            window_ms: self.interval_ms,
            lookback_ms: None,
            cancel: CancelFlag::new(),
        };
        self.backend.instant(&question).map_err(|error| error.to_string())
    }
}

/// Labels as a test names them.
fn labels_of(texts: &BTreeMap<String, String>) -> Labels {
    Labels::from_pairs(texts.iter().map(|(name, text)| (&**name, &**text)))
}
