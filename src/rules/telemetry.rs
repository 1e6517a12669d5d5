//! The counters of rules.

use observe::{Counter, Histogram, LATENCY_SECONDS, Metric};

pub(crate) static ITERATIONS: Counter = Counter::new(
    "mirador_rules_group_iterations_total",
    "Time slots of rule groups, evaluated or missed",
);
pub(crate) static MISSED: Counter = Counter::new(
    "mirador_rules_group_iterations_missed_total",
    "Time slots of rule groups that were missed because the evaluation before took too long",
);
pub(crate) static EVALUATIONS: Counter =
    Counter::new("mirador_rules_evaluations_total", "Evaluations of rules");
pub(crate) static FAILURES: Counter =
    Counter::new("mirador_rules_evaluation_failures_total", "Evaluations of rules that failed");
pub(crate) static SAMPLES: Counter =
    Counter::new("mirador_rules_samples_total", "Samples that rules stored");
pub(crate) static ALERTS: Counter = Counter::new(
    "mirador_rules_alerts_sent_total",
    "Alerts that rules handed over, each time that they did",
);
pub(crate) static DURATION: Histogram = Histogram::new(
    "mirador_rules_evaluation_duration_seconds",
    "How long the evaluation of a rule took on its query thread",
    LATENCY_SECONDS,
);
pub(crate) static RELOADS_FAILED: Counter = Counter::new(
    "mirador_rules_reloads_failed_total",
    "Reloads of rule files that changed nothing because a file was wrong",
);

pub static METRICS: &[&dyn Metric] =
    &[&ITERATIONS, &MISSED, &EVALUATIONS, &FAILURES, &SAMPLES, &ALERTS, &DURATION, &RELOADS_FAILED];
