//! Rule groups out of YAML, as Prometheus reads rule files. Not here: groups as YAML again (`write`).
//!
//! Beside Prometheus' fields there are `query_language` of a rule, and fields of Mimir's and Thanos'
//! groups: `evaluation_delay` (an older name of `query_offset`), `align_evaluation_time_on_interval`, and
//! `partial_response_strategy`, which decides nothing because no answer here is partial.
//! `source_tenants` is refused: a rule reads the tenant that it belongs to.

use crate::definition::{Group, Rule, RuleKind};
use crate::language::{Language, Languages};
use crate::templates;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use yaml::{Duration, Error, Node};

/// What is wrong with a rule file, and where. Prints as `8:15: group "a", rule 1, "b": …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// From 1; 0: the whole file.
    pub line: usize,
    pub column: usize,
    pub message: String,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, message } = self;
        match line {
            0 => f.write_str(message),
            _ => write!(f, "{line}:{column}: {message}"),
        }
    }
}

impl std::error::Error for FileError {}

impl From<Error> for FileError {
    fn from(error: Error) -> Self {
        Self { line: error.line, column: error.column, message: error.message }
    }
}

type Texts = BTreeMap<String, String>;

/// The groups of a file (`groups: […]`), or all that is wrong with them.
pub fn read_groups(text: &str, languages: &Languages) -> Result<Vec<Group>, Vec<FileError>> {
    let node = Node::parse(text).map_err(|error| vec![error.into()])?;
    read_groups_of(&node, languages)
}

/// The same of a file that has been parsed.
pub fn read_groups_of(node: &Node, languages: &Languages) -> Result<Vec<Group>, Vec<FileError>> {
    let mut reader = Reader { languages, errors: Vec::new() };
    let groups = reader.file(node).map_err(|error| vec![error.into()])?;
    if reader.errors.is_empty() { Ok(groups) } else { Err(reader.errors) }
}

/// One group by itself.
pub fn read_group(text: &str, languages: &Languages) -> Result<Group, Vec<FileError>> {
    let single = |error: Error| vec![error.into()];
    let node = Node::parse(text).map_err(single)?;
    let mut reader = Reader { languages, errors: Vec::new() };
    let group = reader.group(&node).map_err(single)?;
    if group.name.is_empty() {
        reader.errors.push(node.error("rule group name must not be empty").into());
    }
    if reader.errors.is_empty() { Ok(group) } else { Err(reader.errors) }
}

struct Reader<'l> {
    languages: &'l Languages,
    /// What is wrong with rules, so that a person sees all of it at once.
    errors: Vec<FileError>,
}

/// The place of a rule in its file, for messages.
struct Place<'a> {
    group: &'a str,
    number: usize,
    name: String,
}

impl Place<'_> {
    fn error(&self, node: &Node, message: &str) -> FileError {
        let Self { group, number, name } = self;
        let [group, name] = [*group, name].map(|text| model::quote_go(text.as_bytes()));
        node.error(format!("group {group}, rule {number}, {name}: {message}")).into()
    }
}

impl Reader<'_> {
    fn file(&mut self, node: &Node) -> Result<Vec<Group>, Error> {
        let mut fields = node.fields("rule file")?;
        let groups = fields.take("groups");
        fields.end()?;
        let mut found: Vec<Group> = Vec::new();
        let mut names = BTreeSet::new();
        for node in groups.map(Node::items).transpose()?.unwrap_or_default() {
            let group = self.group(node)?;
            if group.name.is_empty() {
                self.errors.push(node.error("Groupname must not be empty").into());
            }
            if !names.insert(group.name.clone()) {
                let message = format!("groupname: \"{}\" is repeated in the same file", group.name);
                self.errors.push(node.error(message).into());
            }
            found.push(group);
        }
        Ok(found)
    }

    fn group(&mut self, node: &Node) -> Result<Group, Error> {
        let mut fields = node.fields("rule group")?;
        let name: String = fields.or_default("name")?;
        let interval: Duration = fields.or_default("interval")?;
        let limit: i64 = fields.or_default("limit")?;
        let query_offset: Option<Duration> = fields.optional("query_offset")?;
        let evaluation_delay: Option<Duration> = fields.optional("evaluation_delay")?;
        let align = fields.or_default("align_evaluation_time_on_interval")?;
        let _decides_nothing: Option<String> = fields.optional("partial_response_strategy")?;
        if let Some(tenants) = fields.take("source_tenants") {
            let text = "`source_tenants` is not supported: a rule reads the tenant that it belongs \
                        to. Give each tenant the rules that it needs";
            return Err(tenants.error(text));
        }
        let labels: Texts = fields.or_default("labels")?;
        let rules = fields.take("rules");
        fields.end()?;
        self.check_labels(node, &labels);
        let nodes = rules.map(Node::items).transpose()?.unwrap_or_default();
        let mut rules = Vec::with_capacity(nodes.len());
        for (index, node) in nodes.iter().enumerate() {
            rules.push(self.rule(node, (&name, index + 1), &labels)?);
        }
        Ok(Group {
            name,
            interval_ms: interval.ms,
            query_offset_ms: query_offset.or(evaluation_delay).map(|offset| offset.ms),
            limit: usize::try_from(limit).unwrap_or(0),
            align,
            rules,
        })
    }

    fn check_labels(&mut self, node: &Node, labels: &Texts) {
        for name in labels.keys().filter(|name| !is_label_name(name)) {
            self.errors.push(node.error(format!("invalid label name: {name}")).into());
        }
    }

    fn rule(
        &mut self,
        node: &Node,
        (group, number): (&str, usize),
        of_group: &Texts,
    ) -> Result<Rule, Error> {
        let mut fields = node.fields("rule")?;
        let (record, alert) = (fields.take("record"), fields.take("alert"));
        let expr = fields.take("expr");
        let hold: Duration = fields.or_default("for")?;
        let keep_firing: Duration = fields.or_default("keep_firing_for")?;
        let labels: Texts = fields.or_default("labels")?;
        let annotations: Texts = fields.or_default("annotations")?;
        let language = match fields.take("query_language") {
            Some(node) => language(node)?,
            None => self.languages.default,
        };
        fields.end()?;
        let text = |node: Option<&Node>| node.map(Node::read::<String>).transpose();
        let record_name = text(record)?.unwrap_or_default();
        let alert_name = text(alert)?.unwrap_or_default();
        let query = text(expr)?.unwrap_or_default();
        let name = if alert_name.is_empty() { &record_name } else { &alert_name };
        let place = Place { group, number, name: name.clone() };
        let named = alert.or(record).unwrap_or(node);
        match (record_name.is_empty(), alert_name.is_empty()) {
            (false, false) => {
                let message = "only one of 'record' and 'alert' must be set";
                self.errors.push(place.error(named, message));
            }
            (true, true) => {
                let message = "one of 'record' or 'alert' must be set";
                self.errors.push(place.error(node, message));
            }
            _ => {}
        }
        let shown = self.expression(&place, expr.unwrap_or(node), language, &query);
        if !record_name.is_empty() {
            let fields = [
                ("annotations", !annotations.is_empty()),
                ("for", hold.ms != 0),
                ("keep_firing_for", keep_firing.ms != 0),
            ];
            self.check_record(&place, named, &record_name, &fields);
        }
        self.check_names(&place, named, &labels, &annotations);
        let kind = if alert_name.is_empty() {
            RuleKind::Record { name: record_name }
        } else {
            self.check_templates(&place, named, &alert_name, (&labels, &annotations));
            let (hold_ms, keep_firing_ms) = (hold.ms, keep_firing.ms);
            RuleKind::Alert { name: alert_name, hold_ms, keep_firing_ms, annotations }
        };
        let mut merged = of_group.clone();
        merged.extend(labels);
        Ok(Rule { kind, language, query, shown, labels: merged })
    }

    fn expression(
        &mut self,
        place: &Place<'_>,
        node: &Node,
        language: Language,
        query: &str,
    ) -> String {
        if query.is_empty() {
            self.errors.push(place.error(node, "field 'expr' must be set in rule"));
            return String::new();
        }
        self.languages.check(language, query).unwrap_or_else(|message| {
            let message = format!("could not parse expression: {message}");
            self.errors.push(place.error(node, &message));
            String::new()
        })
    }

    fn check_record(
        &mut self,
        place: &Place<'_>,
        node: &Node,
        name: &str,
        fields: &[(&str, bool)],
    ) {
        for (field, _) in fields.iter().filter(|(_, is_set)| *is_set) {
            let message = format!("invalid field '{field}' in recording rule");
            self.errors.push(place.error(node, &message));
        }
        // A name may be any text; an expression in its place is a usual mistake.
        if name.contains(['{', '}']) {
            let message =
                format!("braces present in the recording rule name; should it be in expr?: {name}");
            self.errors.push(place.error(node, &message));
        }
    }

    fn check_names(&mut self, place: &Place<'_>, node: &Node, labels: &Texts, annotations: &Texts) {
        for name in labels.keys().filter(|name| !is_label_name(name)) {
            self.errors.push(place.error(node, &format!("invalid label name: {name}")));
        }
        for name in annotations.keys().filter(|name| name.is_empty()) {
            self.errors.push(place.error(node, &format!("invalid annotation name: {name}")));
        }
    }

    fn check_templates(
        &mut self,
        place: &Place<'_>,
        node: &Node,
        alert: &str,
        (labels, annotations): (&Texts, &Texts),
    ) {
        for (kind, texts) in [("label", labels), ("annotation", annotations)] {
            for (name, text) in texts {
                if let Err(error) = templates::parse(alert, text) {
                    let name = model::quote_go(name.as_bytes());
                    let message = format!("{kind} {name}: {error}");
                    self.errors.push(place.error(node, &message));
                }
            }
        }
    }
}

fn language(node: &Node) -> Result<Language, Error> {
    let name = node.text().unwrap_or_default();
    Language::from_name(name).ok_or_else(|| {
        let name = model::quote_go(name.as_bytes());
        node.error(format!("{name} is no query_language: write promql, logql or traceql"))
    })
}

fn is_label_name(name: &str) -> bool {
    !name.is_empty() && name != model::METRIC_NAME
}
