//! Templates by name, and texts made with them.

use super::NoticeData;
use std::sync::Arc;
use template::{
    Arguments, Bounds, Data, Escape, Failure, Library, Registry, Template, Value, alertmanager,
};

const DEFAULTS: [(&str, &str); 2] =
    [("default.tmpl", include_str!("default.tmpl")), ("email.tmpl", include_str!("email.tmpl"))];

/// Enough for a thousand alerts in one message.
const BOUNDS: Bounds =
    Bounds { steps: 2_000_000, depth: 250, output_bytes: 4 << 20, made_bytes: 64 << 20 };

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(String);

/// The templates of a configuration.
#[derive(Clone, Debug)]
pub struct Templates {
    library: Arc<Library>,
    registry: Arc<Registry>,
}

impl Templates {
    /// Those that are always there, and those of files, which are given by name and text. A later
    /// definition takes the place of an earlier one.
    pub fn new<'a>(
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, TemplateError> {
        let registry = alertmanager::functions();
        let mut library = Library::default();
        for (name, text) in DEFAULTS.into_iter().chain(files) {
            let parsed = Template::parse(name, text, &registry);
            library.add(parsed.map_err(|error| TemplateError(error.to_string()))?);
        }
        Ok(Self { library: Arc::new(library), registry: Arc::new(registry) })
    }

    pub fn text(
        &self,
        template: &str,
        data: &Arc<NoticeData>,
        now_ms: i64,
    ) -> Result<String, TemplateError> {
        self.run(template, data, now_ms, Escape::Nothing)
    }

    /// The same with every value escaped for HTML.
    pub fn html(
        &self,
        template: &str,
        data: &Arc<NoticeData>,
        now_ms: i64,
    ) -> Result<String, TemplateError> {
        self.run(template, data, now_ms, Escape::Html)
    }

    fn run(
        &self,
        text: &str,
        data: &Arc<NoticeData>,
        now_ms: i64,
        escape: Escape,
    ) -> Result<String, TemplateError> {
        if !text.contains("{{") {
            return Ok(text.to_owned());
        }
        let template = Template::parse("", text, &self.registry);
        let template = template.map_err(|error| TemplateError(error.to_string()))?;
        let template = template.with_library(Arc::clone(&self.library));
        let mut out = Vec::new();
        template
            .execute_value(&data.value(), &Clocked { now_ms }, escape, &BOUNDS, &mut out)
            .map_err(|error| TemplateError(error.to_string()))?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }
}

/// Answers functions that ask for the time.
#[derive(Debug)]
struct Clocked {
    now_ms: i64,
}

impl Data for Clocked {
    fn get(&self, _: &str) -> Option<Value<'_>> {
        None
    }

    fn entries(&self) -> std::collections::BTreeMap<String, Value<'_>> {
        Default::default()
    }

    fn call<'a>(
        &'a self,
        name: &str,
        arguments: &mut Arguments<'a, '_>,
    ) -> Result<Value<'a>, Failure> {
        if name != alertmanager::SINCE {
            return Err(Failure::message(format!("{name} is not available here")));
        }
        let then_ns = arguments.time(0).unix_nanoseconds();
        Ok(Value::Duration(self.now_ms.saturating_mul(1_000_000).saturating_sub(then_ns)))
    }
}
