//! Relabeling: Prometheus' rules that rewrite, keep and drop sets of labels. Step 2.
//!
//! ```text
//! let rules: Rules = node.read()?;          // a list of `relabel_configs`
//! let labels = rules.apply(&labels);        // None where a rule drops them
//! ```
//!
//! Targets, samples, alerts and what is sent on to other servers are relabeled by the same rules.
//!
//! Lives here: the rules as files write them, with Prometheus' checks (`read`), what each does
//! (`apply`), the condition in front of a rule (`condition`), VictoriaMetrics' additions to Prometheus'
//! actions (`graphite` among them).
//! Not here: where labels come from, and which of them survive afterwards (`__meta_*`).
//! Invariants: applying never fails and never panics; a value is never longer than
//! [`VALUE_MAX`]: a longer one leaves the label as it was.

mod apply;
mod condition;
mod graphite;
mod pattern;
mod read;
mod rule;

#[cfg(test)]
mod tests;

pub use apply::Step;
pub use rule::{Action, Rule, Rules, VALUE_MAX};
