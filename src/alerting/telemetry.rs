//! What is counted of alerts and notifications.

use observe::{Counter, CounterFamily, Gauge, Metric};

pub(crate) static ALERTS: CounterFamily = CounterFamily::new(
    "mirador_alerting_alerts_received_total",
    "Alerts that were taken, by whether they fire or have ended, and those that found no room.",
    &["status"],
);
pub(crate) static NOTIFICATIONS: CounterFamily = CounterFamily::new(
    "mirador_alerting_notifications_total",
    "Notifications that were delivered, by the kind of integration.",
    &["integration"],
);
pub(crate) static ATTEMPTS_FAILED: CounterFamily = CounterFamily::new(
    "mirador_alerting_notification_attempts_failed_total",
    "Attempts to deliver a notification that failed and are repeated until the next look at the group.",
    &["integration"],
);
pub(crate) static FAILED: CounterFamily = CounterFamily::new(
    "mirador_alerting_notifications_failed_total",
    "Notifications that were given up, by the kind of integration and why.",
    &["integration", "reason"],
);
pub(crate) static ACTIVE_ALERTS: Gauge =
    Gauge::new("mirador_alerting_alerts", "Alerts that are kept, of all tenants.");
pub(crate) static GROUPS: Gauge =
    Gauge::new("mirador_alerting_groups", "Groups of alerts, of all tenants.");
pub(crate) static RECORD_SYNCS: Counter = Counter::new(
    "mirador_alerting_record_syncs_total",
    "Syncs of the file of silences and notifications; records that wait share one.",
);
pub(crate) static RECORD_FAILURES: Counter = Counter::new(
    "mirador_alerting_record_failures_total",
    "Writes of silences and notifications that failed.",
);
pub(crate) static DAMAGED_RECORDS: Counter = Counter::new(
    "mirador_alerting_damaged_records_total",
    "Records of silences and notifications that were damaged when they were read.",
);

pub(crate) static FORWARDED: Counter = Counter::new(
    "mirador_alerting_forwarded_total",
    "Alerts that Alertmanagers elsewhere took; each counts once for each of them.",
);
pub(crate) static FORWARD_FAILED: Counter = Counter::new(
    "mirador_alerting_forward_failed_total",
    "Alerts that an Alertmanager elsewhere did not take.",
);
pub(crate) static FORWARD_DROPPED: Counter = Counter::new(
    "mirador_alerting_forward_dropped_total",
    "Alerts that waited for an Alertmanager elsewhere and made room for newer ones.",
);

pub static METRICS: &[&dyn Metric] = &[
    &ALERTS,
    &NOTIFICATIONS,
    &ATTEMPTS_FAILED,
    &FAILED,
    &ACTIVE_ALERTS,
    &GROUPS,
    &RECORD_SYNCS,
    &RECORD_FAILURES,
    &DAMAGED_RECORDS,
    &FORWARDED,
    &FORWARD_FAILED,
    &FORWARD_DROPPED,
];
