//! What a notification says: its data, and the templates that make texts of it.
//!
//! Lives here: `data` (what templates and webhooks see), `templates` (those of the file and those that
//! are always there: `default.tmpl`, `email.tmpl`).
//! Not here: how a receiver wants to be told.

mod data;
mod templates;

pub(crate) use data::{AlertData, NoticeData};
pub use templates::{TemplateError, Templates};

#[cfg(test)]
mod tests;
