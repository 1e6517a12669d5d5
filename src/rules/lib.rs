//! Recording and alerting rules as Prometheus has them: rule files, groups, evaluation, the state of
//! alerts. Step 8.
//!
//! Lives here: what a rule file says (`definition`, read by `read`, written by `write`, found by `files`), the language of a
//! rule (`language`), the templates of labels and annotations (`templates`); one alert after the other
//! (`alert`), one rule (`rule`), one group (`group`) at its times (`slot`); all groups and their
//! reloads (`service`), the task of each (`runner`); groups that came through the API (`book`); recording rules over
//! the past (`backfill`); who answers queries and stores samples (`backend`, `stores`), and memory in their
//! place for tests (`memory`, `unit_test`); what the API shows (`view`).
//! Not here: who is told of alerts ([`AlertSink`]), HTTP, settings.
//! Invariants: a rule is evaluated in a turn of the query pool, with the budget and the deadline of a
//! query; rules of a group see what the rules before them wrote; a reload that fails changes nothing; a
//! group that a reload leaves as it is keeps its state.
//!
//! Read first: [`Service`], [`Backend`], [`read_groups`].

mod alert;
mod backend;
mod backfill;
mod book;
mod definition;
mod files;
mod group;
mod language;
mod memory;
mod read;
mod restore;
mod rule;
mod runner;
mod service;
mod sink;
mod slot;
mod stores;
mod telemetry;
mod templates;
#[cfg(test)]
mod tests;

mod unit_test;
mod view;
mod write;

pub use backend::{Answer, Backend, Evaluate, EvaluateError, OutSample, Question, Sample, Work};
pub use backfill::{BackfillProgress, BackfillRange, BackfillState};
pub use book::{BookError, Namespaces, RuleBook};
pub use definition::{Group, GroupKey, Origin, Rule, RuleKind};
pub use files::{FilesError, RuleFiles, load_files};
pub use language::{Language, Languages};
pub use memory::MemoryBackend;
pub use read::{FileError, read_group, read_groups, read_groups_of};
pub use service::{Options, Service};
pub use sink::{AlertSink, CountingSink};
pub use stores::Stores;
pub use telemetry::METRICS;

pub use unit_test::{UnitTestReport, run_unit_tests};
pub use view::{AlertState, AlertView, AlertingView, GroupView, Health, RuleView};
pub use write::{group_to_yaml, namespaces_to_yaml, to_yaml};
