//! One rule while it runs: what it is, and what it remembers.
//!
//! A rule is evaluated on a query thread: its expression, then the templates of each alert, which may
//! ask further queries. Its state is locked only after that, for a moment.

use crate::alert::{ALERT_NAME, Alerts, Found, Patience};
use crate::backend::{Evaluate, EvaluateError, OutSample, Question, Sample};
use crate::definition::{Rule, RuleKind};
use crate::templates::Texts;
use crate::view::{AlertState, AlertView, AlertingView, Health, RuleView};
use model::{ErrorKind, Labels, LabelsBuilder, METRIC_NAME, SampleValue, TenantId};
use query::CancelFlag;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use template::alerts::{AlertData, AlertValue, TemplateSample, table_link};

/// What holds for all rules of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Surroundings {
    pub(crate) external_labels: Labels,
    pub(crate) external_url: String,
    pub(crate) resend_ms: i64,
}

/// When a rule is evaluated, and what its group says.
#[derive(Clone, Debug)]
pub(crate) struct Occasion {
    pub(crate) tenant: TenantId,
    pub(crate) slot_ms: i64,
    pub(crate) query_offset_ms: i64,
    pub(crate) interval_ms: i64,
    pub(crate) limit: usize,
    pub(crate) around: Arc<Surroundings>,
}

impl Occasion {
    /// The time that queries see and samples get.
    pub(crate) fn time_ms(&self) -> i64 {
        self.slot_ms - self.query_offset_ms
    }
}

#[derive(Debug)]
pub(crate) struct RunningRule {
    pub(crate) rule: Arc<Rule>,
    templates: Option<Templates>,
    state: Mutex<RuleState>,
}

/// Of an alerting rule.
#[derive(Debug)]
struct Templates {
    labels: Texts,
    annotations: Texts,
}

#[derive(Debug, Default)]
pub(crate) struct RuleState {
    pub(crate) health: Health,
    pub(crate) last_error: Option<String>,
    pub(crate) evaluated_at_ns: Option<i64>,
    pub(crate) took_seconds: f64,
    pub(crate) alerts: Alerts,
    /// The series that the last evaluation gave.
    pub(crate) previous: BTreeSet<Labels>,
}

impl RunningRule {
    pub(crate) fn new(rule: Arc<Rule>, restored: bool) -> Self {
        let templates = match &rule.kind {
            RuleKind::Record { .. } => None,
            RuleKind::Alert { name, annotations, .. } => Some(Templates {
                labels: Texts::new(name, &rule.labels),
                annotations: Texts::new(name, annotations),
            }),
        };
        let state = RuleState { alerts: Alerts::new(restored), ..RuleState::default() };
        Self { rule, templates, state: Mutex::new(state) }
    }

    /// No panic can happen while it is held.
    pub(crate) fn state(&self) -> MutexGuard<'_, RuleState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Name and labels, by which a rule is recognised after a reload.
    pub(crate) fn identity(&self) -> (&str, bool, &std::collections::BTreeMap<String, String>) {
        (self.rule.name(), self.rule.is_alert(), &self.rule.labels)
    }

    pub(crate) fn take_over(&self, other: &Self) {
        let mut state = self.state();
        let other = other.state();
        state.alerts.take_over(&other.alerts);
        state.previous.clone_from(&other.previous);
        state.health = other.health;
        state.last_error.clone_from(&other.last_error);
        state.evaluated_at_ns = other.evaluated_at_ns;
        state.took_seconds = other.took_seconds;
    }

    /// What is to be stored. Alerts have changed their states when it returns.
    pub(crate) fn evaluate(
        &self,
        by: &dyn Evaluate,
        on: &Occasion,
    ) -> Result<Vec<OutSample>, EvaluateError> {
        let found = by.instant(&self.question(on, CancelFlag::new()))?;
        match &self.rule.kind {
            RuleKind::Record { name } => self.recorded(name, found, on),
            RuleKind::Alert { name, hold_ms, keep_firing_ms, .. } => {
                let patience = Patience { hold_ms: *hold_ms, keep_firing_ms: *keep_firing_ms };
                let found = self.found_alerts(name, found, by, on)?;
                let mut state = self.state();
                let stepped = state.alerts.step(found, on.slot_ms, patience, on.limit);
                stepped.map_err(|message| EvaluateError::new(ErrorKind::Limit, message))?;
                Ok(state.alerts.samples(name, on.time_ms()))
            }
        }
    }

    fn question<'a>(&'a self, on: &'a Occasion, cancel: CancelFlag) -> Question<'a> {
        Question {
            tenant: &on.tenant,
            language: self.rule.language,
            query: &self.rule.query,
            time_ms: on.time_ms(),
            window_ms: on.interval_ms,
            lookback_ms: None,
            cancel,
        }
    }

    fn recorded(
        &self,
        name: &str,
        found: Vec<Sample>,
        on: &Occasion,
    ) -> Result<Vec<OutSample>, EvaluateError> {
        let mut seen = BTreeSet::new();
        let mut samples = Vec::with_capacity(found.len());
        for Sample { labels, value } in found {
            let own = self.rule.labels.iter().map(|(name, value)| (&**name, &**value));
            let named = labels.iter().chain([(METRIC_NAME, name)]);
            let labels = Labels::from_pairs(named.chain(own));
            if !seen.insert(labels.clone()) {
                let text =
                    "vector contains metrics with the same labelset after applying rule labels";
                return Err(EvaluateError::new(ErrorKind::Invalid, text));
            }
            samples.push(OutSample { labels, time_ms: on.time_ms(), value });
        }
        if on.limit > 0 && samples.len() > on.limit {
            let text = format!("exceeded limit of {} with {} series", on.limit, samples.len());
            return Err(EvaluateError::new(ErrorKind::Limit, text));
        }
        Ok(samples)
    }

    fn found_alerts(
        &self,
        name: &str,
        found: Vec<Sample>,
        by: &dyn Evaluate,
        on: &Occasion,
    ) -> Result<Vec<Found>, EvaluateError> {
        // All queries of templates together may take as long as one.
        let cancel = by.deadline();
        let ask = |query: &str| {
            // At the time of the slot, however far the rule looks back.
            let time_ms = on.slot_ms;
            let question = Question { query, time_ms, ..self.question(on, cancel.clone()) };
            by.instant(&question).map_err(|error| error.message).map(template_samples)
        };
        let mut seen = BTreeSet::new();
        let mut alerts = Vec::with_capacity(found.len());
        for sample in &found {
            let alert = self.alert(name, sample, on, &ask);
            if !seen.insert(alert.labels.clone()) {
                let text =
                    "vector contains metrics with the same labelset after applying alert labels";
                return Err(EvaluateError::new(ErrorKind::Invalid, text));
            }
            alerts.push(alert);
        }
        Ok(alerts)
    }

    fn alert(
        &self,
        name: &str,
        sample: &Sample,
        on: &Occasion,
        ask: &dyn Fn(&str) -> Result<Vec<TemplateSample>, String>,
    ) -> Found {
        let text;
        let (value, number) = match &sample.value {
            SampleValue::Float(value) => (AlertValue::Float(*value), *value),
            SampleValue::Histogram(histogram) => {
                text = histogram.to_string();
                (AlertValue::Text(&text), 0.0)
            }
        };
        let around = &on.around;
        let data = AlertData::new(
            (&sample.labels, value),
            (&around.external_labels, &around.external_url),
            on.slot_ms,
            ask,
        );
        let mut labels = sample.labels.with(METRIC_NAME, "");
        let mut annotations = LabelsBuilder::new();
        if let Some(templates) = &self.templates {
            templates.labels.expand(&data, |name, value| labels = labels.with(name, value));
            templates.annotations.expand(&data, |name, value| {
                annotations.set(name, value);
            });
        }
        Found {
            labels: labels.with(ALERT_NAME, name),
            annotations: annotations.build(),
            value: number,
        }
    }

    /// The alerts that are to be sent now, with the labels that name this installation.
    pub(crate) fn take_due(&self, on: &Occasion) -> Vec<model::Alert> {
        let around = &on.around;
        let link = format!("{}{}", around.external_url, table_link(&self.rule.shown));
        let finish = |labels: &Labels| {
            around.external_labels.iter().fold(labels.clone(), |labels, (name, value)| match labels
                .get(name)
            {
                Some(_) => labels,
                None => labels.with(name, value),
            })
        };
        let times = (on.interval_ms, around.resend_ms);
        self.state().alerts.take_due(on.slot_ms, times, finish, &link)
    }

    pub(crate) fn view(&self) -> RuleView {
        let state = self.state();
        let alerting = self.rule.is_alert().then(|| AlertingView {
            state: match state.evaluated_at_ns {
                None => AlertState::Unknown,
                Some(_) => state.alerts.state(),
            },
            alerts: active_alerts(&state.alerts),
        });
        RuleView {
            rule: Arc::clone(&self.rule),
            health: state.health,
            last_error: state.last_error.clone(),
            evaluated_at_ns: state.evaluated_at_ns,
            took_seconds: state.took_seconds,
            alerting,
        }
    }
}

fn active_alerts(alerts: &Alerts) -> Vec<AlertView> {
    let active = alerts.iter().filter(|(_, alert)| alert.resolved_at_ms.is_none());
    let view = active.map(|(labels, alert)| AlertView {
        state: alert.state,
        labels: labels.clone(),
        annotations: alert.annotations.clone(),
        value: alert.value,
        active_at_ms: alert.active_at_ms,
        keep_firing_since_ms: alert.keep_firing_since_ms,
    });
    view.collect()
}

/// Templates know no histograms: of these they get 0, as from Prometheus.
fn template_samples(samples: Vec<Sample>) -> Vec<TemplateSample> {
    let sample = |sample: Sample| TemplateSample {
        labels: sample.labels,
        value: match sample.value {
            SampleValue::Float(value) => value,
            SampleValue::Histogram(_) => 0.0,
        },
    };
    samples.into_iter().map(sample).collect()
}
