//! What a file of unit tests says.

use super::labels_of;
use crate::read::FileError;
use model::Labels;
use promql::script::load_series;
use std::collections::BTreeMap;
use yaml::{Duration, Error, FromNode, Node};

#[derive(Debug)]
pub(super) struct TestFile {
    pub(super) rule_files: Vec<String>,
    pub(super) interval_ms: i64,
    pub(super) group_order: Vec<String>,
    pub(super) tests: Vec<Test>,
}

#[derive(Debug)]
pub(super) struct Test {
    name: String,
    pub(super) interval_ms: i64,
    /// A series and its values on a line each.
    pub(super) series: Vec<String>,
    pub(super) alerts: Vec<AlertTest>,
    pub(super) expressions: Vec<ExpressionTest>,
    pub(super) external_labels: Labels,
    pub(super) external_url: String,
}

/// The alerts of a name that must fire at a time, and no others.
#[derive(Debug)]
pub(super) struct AlertTest {
    pub(super) time_ms: i64,
    pub(super) name: String,
    /// Empty: of all groups.
    pub(super) group: String,
    /// Labels and annotations.
    pub(super) expected: Vec<(Labels, Labels)>,
}

#[derive(Debug)]
pub(super) struct ExpressionTest {
    pub(super) query: String,
    pub(super) time_ms: i64,
    pub(super) expected: Vec<crate::Sample>,
    /// Whether the last digits of numbers may differ.
    pub(super) is_fuzzy: bool,
}

impl Test {
    pub(super) fn last_ms(&self) -> i64 {
        let times = self.alerts.iter().map(|one| one.time_ms);
        times.chain(self.expressions.iter().map(|one| one.time_ms)).max().unwrap_or(0)
    }

    /// A failure with the name of the test.
    pub(super) fn named(&self, failure: &str) -> String {
        match &*self.name {
            "" => failure.to_owned(),
            name => format!("name: {name}\n{failure}"),
        }
    }
}

impl TestFile {
    pub(super) fn read(text: &str) -> Result<Self, FileError> {
        Ok(Self::of(&Node::parse(text)?)?)
    }

    fn of(node: &Node) -> Result<Self, Error> {
        let mut fields = node.fields("file of unit tests")?;
        let rule_files = fields.or_default("rule_files")?;
        let interval: Duration = fields.or("evaluation_interval", Duration::from_secs(60))?;
        let group_order: Vec<String> = fields.or_default("group_eval_order")?;
        let is_fuzzy = fields.or_default("fuzzy_compare")?;
        let tests = fields.take("tests");
        fields.end()?;
        for (index, name) in group_order.iter().enumerate() {
            if group_order[..index].contains(name) {
                let text = format!("group name repeated in evaluation order: {name}");
                return Err(node.error(text));
            }
        }
        let tests = tests.map(Node::items).transpose()?.unwrap_or_default();
        let tests = tests.iter().map(|node| test(node, is_fuzzy)).collect::<Result<_, _>>()?;
        let interval_ms = if interval.ms == 0 { 60_000 } else { interval.ms };
        Ok(Self { rule_files, interval_ms, group_order, tests })
    }
}

fn test(node: &Node, is_fuzzy: bool) -> Result<Test, Error> {
    let mut fields = node.fields("test")?;
    let name = fields.or_default("name")?;
    let interval: Duration = fields.or("interval", Duration::from_secs(60))?;
    let series = fields.take("input_series");
    let alerts = fields.take("alert_rule_test");
    let expressions = fields.take("promql_expr_test");
    let external: BTreeMap<String, String> = fields.or_default("external_labels")?;
    let external_url = fields.or_default("external_url")?;
    fields.end()?;
    let items = |node: Option<&Node>| -> Result<Vec<Node>, Error> {
        Ok(node.map(Node::items).transpose()?.unwrap_or_default().to_vec())
    };
    let interval_ms = if interval.ms == 0 { 60_000 } else { interval.ms };
    Ok(Test {
        name,
        interval_ms,
        series: items(series)?.iter().map(series_line).collect::<Result<_, _>>()?,
        alerts: items(alerts)?.iter().map(alert_test).collect::<Result<_, _>>()?,
        expressions: items(expressions)?
            .iter()
            .map(|node| expression_test(node, is_fuzzy))
            .collect::<Result<_, _>>()?,
        external_labels: labels_of(&external),
        external_url,
    })
}

fn series_line(node: &Node) -> Result<String, Error> {
    let mut fields = node.fields("series")?;
    let (series, values): (String, String) =
        (fields.required("series")?, fields.required("values")?);
    fields.end()?;
    let line = format!("{series} {values}");
    // Checked here, where its line is known.
    load_series(&line, 0, 1).map_err(|message| node.error(message))?;
    Ok(line)
}

fn alert_test(node: &Node) -> Result<AlertTest, Error> {
    let mut fields = node.fields("alert_rule_test")?;
    let time: Duration = fields.required("eval_time")?;
    let name: String = fields.or_default("alertname")?;
    let group = fields.or_default("groupname")?;
    let expected = fields.take("exp_alerts");
    fields.end()?;
    if name.is_empty() {
        let text = "an item under alert_rule_test misses required attribute alertname";
        return Err(node.error(format!("{text} at eval_time {time}")));
    }
    let mut alerts = Vec::new();
    for node in expected.map(Node::items).transpose()?.unwrap_or_default() {
        let mut fields = node.fields("expected alert")?;
        let mut labels: BTreeMap<String, String> = fields.or_default("exp_labels")?;
        let annotations: BTreeMap<String, String> = fields.or_default("exp_annotations")?;
        fields.end()?;
        labels.insert(crate::alert::ALERT_NAME.to_owned(), name.clone());
        alerts.push((labels_of(&labels), labels_of(&annotations)));
    }
    alerts.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(AlertTest { time_ms: time.ms, name, group, expected: alerts })
}

fn expression_test(node: &Node, is_fuzzy: bool) -> Result<ExpressionTest, Error> {
    let mut fields = node.fields("promql_expr_test")?;
    let query = fields.required("expr")?;
    let time: Duration = fields.required("eval_time")?;
    let samples = fields.take("exp_samples");
    fields.end()?;
    let samples = samples.map(Node::items).transpose()?.unwrap_or_default();
    let expected = samples.iter().map(sample).collect::<Result<_, _>>()?;
    Ok(ExpressionTest { query, time_ms: time.ms, expected, is_fuzzy })
}

fn sample(node: &Node) -> Result<crate::Sample, Error> {
    let mut fields = node.fields("expected sample")?;
    let labels: String = fields.or_default("labels")?;
    let value: Number = fields.or("value", Number(0.0))?;
    let histogram: Option<String> = fields.optional("histogram")?;
    fields.end()?;
    let labels = match labels.trim() {
        "" => Labels::empty(),
        text => promql::parse_metric(text).map_err(|error| {
            node.error(format!("labels {}: {error}", model::quote_go(text.as_bytes())))
        })?,
    };
    let value = match histogram {
        None => model::SampleValue::Float(value.0),
        Some(text) => histogram_of(&text).map_err(|message| node.error(message))?,
    };
    Ok(crate::Sample { labels, value })
}

/// A number as YAML writes it, with `.inf` and `.nan`, and as Go does.
struct Number(f64);

impl FromNode for Number {
    fn from_node(node: &Node) -> Result<Self, Error> {
        let text = node.text().unwrap_or_default().replace(".inf", "Inf").replace(".nan", "NaN");
        let text = text.replace(".Inf", "Inf").replace(".NaN", "NaN");
        query::parse_number(&text).map(Self).map_err(|_| node.error("expected a number"))
    }
}

fn histogram_of(text: &str) -> Result<model::SampleValue, String> {
    let series = load_series(&format!("x {text}"), 0, 1)?;
    let first = series.samples.into_iter().next().ok_or("expected a histogram")?;
    Ok(first.value)
}
