//! Runs the cases of `alert_cases/*.test`, templates of alert rules:
//!
//! ```text
//! label instance web-1:9090
//! external cluster eu
//! value 0.5
//! answer up{job="db"}
//! sample 1 instance=b,job=db
//!
//! template {{ $labels.instance | stripPort }}
//! gives web-1
//! ```
//!
//! What is set holds until it is set again. `template` may be followed by `gives`, `fails` and `refused`
//! as in `cases`. Lines with `#` are comments.

use crate::alerts::{AlertData, AlertValue, DEFINITIONS, TemplateSample, functions};
use crate::{Bounds, Template};
use model::Labels;
use std::collections::BTreeMap;
use std::fmt::Write as _;

#[derive(Default)]
struct Scene {
    labels: Vec<(String, String)>,
    external: Vec<(String, String)>,
    url: String,
    value: f64,
    histogram: Option<String>,
    time_ms: i64,
    answers: BTreeMap<String, Vec<TemplateSample>>,
    query: String,
    template: String,
}

fn pair(text: &str) -> (String, String) {
    let (name, value) = text.split_once(' ').unwrap_or((text, ""));
    (name.to_owned(), value.to_owned())
}

fn built(pairs: &[(String, String)]) -> Labels {
    Labels::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

impl Scene {
    fn run(&mut self, line: &str) -> Result<(), String> {
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        match command {
            "label" => self.labels.push(pair(rest)),
            "external" => self.external.push(pair(rest)),
            "url" => rest.clone_into(&mut self.url),
            "value" => (self.value, self.histogram) = (rest.parse().unwrap(), None),
            "histogram" => self.histogram = Some(rest.to_owned()),
            "time" => self.time_ms = rest.parse().unwrap(),
            "answer" => {
                rest.clone_into(&mut self.query);
                self.answers.insert(self.query.clone(), Vec::new());
            }
            "sample" => {
                let (value, labels) = rest.split_once(' ').unwrap_or((rest, ""));
                let pairs = labels.split(',').filter_map(|pair| pair.split_once('='));
                let sample = TemplateSample {
                    labels: Labels::from_pairs(pairs),
                    value: value.parse().unwrap(),
                };
                self.answers.get_mut(&self.query).unwrap().push(sample);
            }
            "template" => rest.clone_into(&mut self.template),
            "gives" => return self.compare("", rest),
            "fails" => return self.compare("fails: ", rest),
            "refused" => return self.compare("refused: ", rest),
            other => return Err(format!("no command {other}")),
        }
        Ok(())
    }

    fn compare(&self, kind: &str, wanted: &str) -> Result<(), String> {
        let wanted = format!("{kind}{wanted}");
        let got = self.expanded();
        match got == wanted {
            true => Ok(()),
            false => Err(format!("{}\n  wanted {wanted:?}\n  got    {got:?}", self.template)),
        }
    }

    fn expanded(&self) -> String {
        let text = format!("{DEFINITIONS}{}", self.template);
        let template = match Template::parse("__alert_X", &text, &functions()) {
            Ok(template) => template,
            Err(error) => return format!("refused: {error}"),
        };
        let query = |query: &str| {
            self.answers.get(query).cloned().ok_or_else(|| format!("no answer to {query}"))
        };
        let value = match &self.histogram {
            Some(text) => AlertValue::Text(text),
            None => AlertValue::Float(self.value),
        };
        let (labels, external) = (built(&self.labels), built(&self.external));
        let data = AlertData::new((&labels, value), (&external, &self.url), self.time_ms, &query);
        let mut out = Vec::new();
        match template.execute(&data, &Bounds::default(), &mut out) {
            Ok(()) => String::from_utf8(out).unwrap(),
            Err(error) => format!("fails: {}", error.message),
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the cases are files of this crate")]
fn templates_of_alerts_give_what_they_say() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("alert_cases");
    let (mut failures, mut count) = (String::new(), 0);
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut scene = Scene::default();
        for (number, line) in std::fs::read_to_string(&path).unwrap().lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            count += usize::from(line.starts_with("gives"));
            if let Err(failure) = scene.run(line) {
                writeln!(failures, "{name}:{}: {failure}", number + 1).unwrap();
            }
        }
    }
    assert!(count > 30, "only {count} cases were found");
    assert!(failures.is_empty(), "{failures}");
}

/// Whatever the queries answer, their number is bounded.
#[test]
fn queries_are_bounded() {
    let text = "{{ range 1000 }}{{ query \"up\" | len }}{{ end }}";
    let template = Template::parse("a", text, &functions()).unwrap();
    let none = Labels::empty();
    let query = |_: &str| Ok(Vec::new());
    let data = AlertData::new((&none, AlertValue::Float(0.0)), (&none, ""), 0, &query);
    let error = template.execute(&data, &Bounds::default(), &mut Vec::new()).unwrap_err();
    assert_eq!(&*error.message, "error calling query: the template asks more than 100 queries");
}

#[test]
fn all_functions_of_prometheus_are_there() {
    let wanted = "query first label value strvalue sortByLabel humanize humanize1024 \
                  humanizeDuration humanizePercentage humanizeTimestamp toTime toDuration now title \
                  toUpper toLower stripPort stripDomain match reReplaceAll graphLink tableLink \
                  parseDuration urlQueryEscape args tmpl safeHtml externalURL pathPrefix";
    let known: Vec<_> = functions().names().collect();
    let missing: Vec<_> = wanted.split_whitespace().filter(|name| !known.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
