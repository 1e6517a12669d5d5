//! The functions of Alertmanager's templates.
//!
//! Lives here: `texts`, `times` and `values`, the functions by family. Not here: the data of a
//! notification, which `alerting` makes.

mod texts;
mod times;
mod values;

use crate::registry::Registry;

/// All that a template of a notification may call.
pub fn functions() -> Registry {
    Registry::new().with(&texts::FUNCTIONS).with(&times::FUNCTIONS).with(&values::FUNCTIONS)
}

/// The name of the function whose answer depends on the time: the data of the execution answers it.
pub const SINCE: &str = "since";
