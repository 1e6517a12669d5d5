//! Runs `cases/templates.test`: a template, and what it makes of a notification with two alerts that
//! fire and one that has ended.

use super::{NoticeData, Templates};
use crate::receivers::tests::delivery;
use std::sync::Arc;

fn run(template: &str, is_html: bool) -> String {
    let files = [(
        "users.tmpl",
        "{{ define \"slack.default.text\" }}own {{ .Status }}{{ end }}{{ define \"__subject\" }}{{ end }}",
    )];
    let templates = Templates::new(files).unwrap();
    let data = Arc::new(NoticeData::new(&delivery(), "http://mirador"));
    let made = match is_html {
        true => templates.html(template, &data, 1_700_000_000_000),
        false => templates.text(template, &data, 1_700_000_000_000),
    };
    match made {
        Ok(text) => model::quote_go(text.as_bytes()),
        Err(error) => format!("fails {error}"),
    }
}

#[test]
fn templates_are_those_of_alertmanager() {
    let cases = include_str!("../cases/templates.test");
    let mut wrong = Vec::new();
    let mut lines = cases.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    while let Some(line) = lines.next() {
        let wanted = lines.next().unwrap();
        let (kind, template) = line.split_once(' ').unwrap();
        let got = run(template, kind == "html");
        if got != wanted {
            wrong.push(format!("{line}\n  wanted {wanted}\n  got    {got}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_default_template_can_be_made() {
    let data = Arc::new(NoticeData::new(&delivery(), "http://mirador"));
    let templates = Templates::new([]).unwrap();
    let text = include_str!("default.tmpl").to_owned() + include_str!("email.tmpl");
    let names: Vec<&str> =
        text.split("{{ define \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(names.len() > 35);
    for name in names {
        let dot = match name {
            "__text_alert_list" | "__text_alert_list_markdown" | "pagerduty.default.instances" => {
                ".Alerts.Firing"
            }
            "__email_alert" => "(index .Alerts.Firing 0)",
            _ => ".",
        };
        let template = format!("{{{{ template {name:?} {dot} }}}}");
        for made in [templates.text(&template, &data, 0), templates.html(&template, &data, 0)] {
            let made = made.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(!made.contains("<no value>") && !made.contains("{{"), "{name}: {made}");
        }
    }
}
