//! The templates of an alert rule's labels and annotations, parsed once.

use observe::Notice;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use template::alerts::{AlertData, DEFINITIONS, functions};
use template::{Bounds, ParseError, Registry, Template};

static FUNCTIONS: LazyLock<Registry> = LazyLock::new(functions);

pub(crate) fn parse(alert: &str, text: &str) -> Result<Template, ParseError> {
    Template::parse(&format!("__alert_{alert}"), &format!("{DEFINITIONS}{text}"), &FUNCTIONS)
}

/// Texts by name: those without an action are known already.
#[derive(Debug)]
pub(crate) struct Texts(Vec<(String, Text)>);

#[derive(Debug)]
enum Text {
    Plain(String),
    Template(Box<Template>),
}

impl Texts {
    /// The reader has checked them; one that can't be parsed stands for itself.
    pub(crate) fn new(alert: &str, texts: &BTreeMap<String, String>) -> Self {
        let text = |(name, text): (&String, &String)| {
            let parsed = text.contains("{{").then(|| parse(alert, text).ok()).flatten();
            let plain = || Text::Plain(text.clone());
            (name.clone(), parsed.map_or_else(plain, |one| Text::Template(Box::new(one))))
        };
        Self(texts.iter().map(text).collect())
    }

    /// Calls back with each name and what its text gives. A template that fails gives the reason.
    pub(crate) fn expand(&self, data: &AlertData<'_>, mut each: impl FnMut(&str, &str)) {
        for (name, text) in &self.0 {
            match text {
                Text::Plain(text) => each(name, text),
                Text::Template(template) => each(name, &expanded(template, data)),
            }
        }
    }
}

fn expanded(template: &Template, data: &AlertData<'_>) -> String {
    let mut out = Vec::new();
    match template.execute(data, &Bounds::default(), &mut out) {
        Ok(()) => String::from_utf8_lossy(&out).into_owned(),
        Err(error) => {
            Notice::warn("a template of an alert failed", &[("error", &error)]);
            format!("<error expanding template: {error}>")
        }
    }
}
