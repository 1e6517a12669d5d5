//! AlertmanagerConfigs: routes and receivers of a namespace, as the Operator adds them to the
//! Alertmanager's configuration: names get the object's path in front, and routes concern alerts of the
//! namespace only.

use crate::derive::{Options, path};
use crate::secrets::References;
use crate::section::Section;
use crate::{Object, http};
use yaml::{Error, Fields, Node};

/// What one object adds.
#[derive(Clone, Debug)]
pub(crate) struct Alerting {
    route: Option<Node>,
    receivers: Vec<Node>,
    pub(crate) receiver_names: Vec<String>,
    inhibit_rules: Vec<Node>,
    time_intervals: Vec<Node>,
}

/// What everything in one object needs.
struct Reading<'a> {
    references: References<'a>,
    /// In front of the names of receivers and intervals.
    prefix: String,
    /// The matcher that binds alerts to the namespace.
    namespace: Option<String>,
    warnings: &'a mut Vec<String>,
}

pub(crate) fn read(
    object: &Object,
    references: References<'_>,
    options: &Options,
    warnings: &mut Vec<String>,
) -> Result<Alerting, Error> {
    let spec = object.spec()?;
    let mut fields = spec.fields("AlertmanagerConfig")?;
    let binds = options.binds_alerts_to_namespace;
    let namespace = binds.then(|| format!("namespace={:?}", references.namespace));
    let prefix = path(object, references);
    let mut reading = Reading { references, prefix, namespace, warnings };
    let route = fields.take("route").filter(|node| !node.is_null());
    let route = route.map(|node| reading.route(node, true)).transpose()?;
    let (mut receivers, mut receiver_names) = (Vec::new(), Vec::new());
    for node in &fields.or_default::<Vec<Node>>("receivers")? {
        let (name, receiver) = reading.receiver(node)?;
        receivers.push(receiver);
        receiver_names.push(name);
    }
    let rules: Vec<Node> = fields.or_default("inhibitRules")?;
    let inhibit_rules =
        rules.iter().map(|node| reading.inhibit_rule(node)).collect::<Result<_, _>>()?;
    let mut intervals: Vec<Node> = fields.or_default("muteTimeIntervals")?;
    intervals.extend(fields.or_default::<Vec<Node>>("timeIntervals")?);
    let time_intervals =
        intervals.iter().map(|node| reading.interval(node)).collect::<Result<_, _>>()?;
    fields.end()?;
    Ok(Alerting { route, receivers, receiver_names, inhibit_rules, time_intervals })
}

impl Reading<'_> {
    fn named(&self, name: &str) -> String {
        format!("{}/{name}", self.prefix)
    }

    fn route(&mut self, node: &Node, is_first: bool) -> Result<Node, Error> {
        let mut fields = node.fields("route")?;
        let mut section = Section::new(node);
        if let Some(receiver) = fields.optional::<String>("receiver")?.filter(|it| !it.is_empty()) {
            section.text("receiver", &self.named(&receiver));
        }
        section.copy(
            &mut fields,
            &[
                ("groupBy", "group_by"),
                ("groupWait", "group_wait"),
                ("groupInterval", "group_interval"),
                ("repeatInterval", "repeat_interval"),
            ],
        );
        let own = matchers(&mut fields, "matchers")?;
        let bound = self.namespace.clone().filter(|_| is_first);
        let all: Vec<String> = bound.into_iter().chain(own).collect();
        if !all.is_empty() {
            section.texts("matchers", &all);
        }
        let goes_on = fields.or("continue", false)?;
        // The next object's routes are looked at as well.
        if goes_on || is_first {
            section.set("continue", Node::plain("true", node));
        }
        for (name, renamed) in [
            ("muteTimeIntervals", "mute_time_intervals"),
            ("activeTimeIntervals", "active_time_intervals"),
        ] {
            let names: Vec<String> = fields.or_default(name)?;
            if !names.is_empty() {
                let names: Vec<String> = names.iter().map(|name| self.named(name)).collect();
                section.texts(renamed, &names);
            }
        }
        let routes: Vec<Node> = fields.or_default("routes")?;
        fields.end()?;
        if !routes.is_empty() {
            let routes =
                routes.iter().map(|route| self.route(route, false)).collect::<Result<_, _>>()?;
            section.set("routes", Node::list(routes, node));
        }
        Ok(section.build())
    }

    fn receiver(&mut self, node: &Node) -> Result<(String, Node), Error> {
        let mut section = Section::new(node);
        let mut name = String::new();
        for (field, value) in node.entries()?.into_iter().filter(|(_, value)| !value.is_null()) {
            if field == "name" {
                name = self.named(&value.read::<String>()?);
                section.text("name", &name);
                continue;
            }
            let configs = value.items()?.iter().map(|config| self.config(config));
            let configs = configs.collect::<Result<_, _>>()?;
            section.set(&snake_case(field), Node::list(configs, value));
        }
        if name.is_empty() {
            return Err(node.error("a receiver needs the field `name`"));
        }
        Ok((name, section.build()))
    }

    /// One integration of a receiver, whatever its kind: names change their case, references to secrets
    /// become values.
    fn config(&mut self, node: &Node) -> Result<Node, Error> {
        let mut section = Section::new(node);
        for (field, value) in node.entries()?.into_iter().filter(|(_, value)| !value.is_null()) {
            match field {
                "httpConfig" => {
                    section.set("http_config", self.http_config(value)?);
                }
                "tlsConfig" => {
                    section.set("tls_config", http::tls_config(value, self.references)?);
                }
                "headers" | "details" => {
                    section.set(field, pairs(value)?);
                }
                "pagerDutyImageConfigs" | "pagerDutyLinkConfigs" => {
                    let name = if field.contains("Image") { "images" } else { "links" };
                    section.set(name, self.renamed(value)?);
                }
                _ => {
                    if let Some(value) = self.value(value)? {
                        section.set(&self.field_name(node, field), value);
                    }
                }
            }
        }
        Ok(section.build())
    }

    fn field_name(&mut self, node: &Node, field: &str) -> String {
        if field.contains('_') {
            let line = node.line();
            let text = format!(
                "line {line}: `{field}` is the Alertmanager's spelling, which a cluster would not keep; it is understood here"
            );
            self.warnings.push(text);
        }
        match field {
            // References to secrets have names of their own.
            "urlSecret" => "url".to_owned(),
            "tokenSecret" => "token".to_owned(),
            _ => snake_case(field),
        }
    }

    /// The value of a field; `None` for a reference to an optional secret that is not there.
    fn value(&self, value: &Node) -> Result<Option<Node>, Error> {
        let Ok(entries) = value.entries() else { return self.renamed(value).map(Some) };
        let is_reference = entries.iter().any(|(name, _)| *name == "key")
            && entries.iter().all(|(name, _)| matches!(*name, "key" | "name" | "optional"));
        if is_reference { self.references.secret(value) } else { self.renamed(value).map(Some) }
    }

    /// The same with the names of all fields in the Alertmanager's case.
    fn renamed(&self, value: &Node) -> Result<Node, Error> {
        if value.text().is_some() {
            return Ok(value.clone());
        }
        if let Ok(items) = value.items() {
            let items = items.iter().map(|item| self.renamed(item)).collect::<Result<_, _>>()?;
            return Ok(Node::list(items, value));
        }
        let mut section = Section::new(value);
        for (name, inner) in value.entries()?.into_iter().filter(|(_, inner)| !inner.is_null()) {
            if let Some(inner) = self.value(inner)? {
                section.set(&snake_case(name), inner);
            }
        }
        Ok(section.build())
    }

    fn http_config(&self, node: &Node) -> Result<Node, Error> {
        let mut fields = node.fields("httpConfig")?;
        let mut section = Section::new(node);
        http::add(&mut section, &mut fields, self.references)?;
        fields.end()?;
        Ok(section.build())
    }

    fn inhibit_rule(&self, node: &Node) -> Result<Node, Error> {
        let mut fields = node.fields("inhibitRule")?;
        let mut section = Section::new(node);
        for (name, renamed) in
            [("sourceMatch", "source_matchers"), ("targetMatch", "target_matchers")]
        {
            let own = matchers(&mut fields, name)?;
            let all: Vec<String> = self.namespace.iter().cloned().chain(own).collect();
            section.texts(renamed, &all);
        }
        section.copy(&mut fields, &[("equal", "equal")]);
        fields.end()?;
        Ok(section.build())
    }

    fn interval(&self, node: &Node) -> Result<Node, Error> {
        let mut fields = node.fields("muteTimeInterval")?;
        let name: String = fields.required("name")?;
        let intervals: Vec<Node> = fields.or_default("timeIntervals")?;
        fields.end()?;
        let intervals = intervals.iter().map(time_interval).collect::<Result<_, _>>()?;
        let mut section = Section::new(node);
        section.text("name", &self.named(&name));
        section.set("time_intervals", Node::list(intervals, node));
        Ok(section.build())
    }
}

fn time_interval(node: &Node) -> Result<Node, Error> {
    let mut fields = node.fields("timeInterval")?;
    let mut section = Section::new(node);
    section.copy(
        &mut fields,
        &[
            ("weekdays", "weekdays"),
            ("months", "months"),
            ("years", "years"),
            ("location", "location"),
        ],
    );
    let times: Vec<Node> = fields.or_default("times")?;
    let days: Vec<Node> = fields.or_default("daysOfMonth")?;
    fields.end()?;
    let mut of_times = Vec::new();
    for time in &times {
        let mut fields = time.fields("timeRange")?;
        let mut range = Section::new(time);
        range.copy(&mut fields, &[("startTime", "start_time"), ("endTime", "end_time")]);
        fields.end()?;
        of_times.push(range.build());
    }
    if !of_times.is_empty() {
        section.set("times", Node::list(of_times, node));
    }
    let mut of_days = Vec::new();
    for day in &days {
        let mut fields = day.fields("dayOfMonthRange")?;
        let start: i64 = fields.or("start", 1)?;
        let end: i64 = fields.or("end", start)?;
        fields.end()?;
        of_days.push(format!("{start}:{end}"));
    }
    if !of_days.is_empty() {
        section.texts("days_of_month", &of_days);
    }
    Ok(section.build())
}

/// Matchers as the Alertmanager writes them.
fn matchers(fields: &mut Fields<'_>, name: &'static str) -> Result<Vec<String>, Error> {
    let nodes: Vec<Node> = fields.or_default(name)?;
    nodes.iter().map(matcher).collect()
}

fn matcher(node: &Node) -> Result<String, Error> {
    let mut fields = node.fields("matcher")?;
    let name: String = fields.required("name")?;
    let value: String = fields.or_default("value")?;
    let kind: String = fields.or_default("matchType")?;
    let is_regex = fields.or("regex", false)?;
    fields.end()?;
    let operator = match (kind.as_str(), is_regex) {
        ("", true) => "=~",
        ("", false) => "=",
        (operator @ ("=" | "!=" | "=~" | "!~"), _) => operator,
        (other, _) => {
            return Err(node.error(format!("`{other}` is not a matchType: =, !=, =~ or !~")));
        }
    };
    Ok(format!("{name}{operator}{}", model::quote_go(value.as_bytes())))
}

/// A list of keys and values as a mapping.
fn pairs(node: &Node) -> Result<Node, Error> {
    let mut section = Section::new(node);
    for item in node.items()? {
        let mut fields = item.fields("pair")?;
        let (key, value): (String, String) = (fields.required("key")?, fields.or_default("value")?);
        fields.end()?;
        section.text(&key, &value);
    }
    Ok(section.build())
}

/// `apiURL` is `api_url`, `sendResolved` is `send_resolved`.
fn snake_case(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (index, c) in characters.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| characters.get(before));
        let after = characters.get(index + 1);
        let begins_word = c.is_ascii_uppercase()
            && before.is_some_and(|before| {
                !before.is_ascii_uppercase() || after.is_some_and(char::is_ascii_lowercase)
            });
        if begins_word && !out.ends_with('_') {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// A receiver that tells nobody: alerts that no object routes go there.
const NOBODY: &str = "null";

/// The routes of all objects come before those of the file, as the Operator has it.
pub(crate) fn combined(all: &[&Alerting], base: Option<&Node>) -> Result<Node, Error> {
    let at =
        base.or_else(|| all.iter().find_map(|one| one.route.as_ref().or(one.receivers.first())));
    let Some(at) = at else {
        return Node::parse("{route: {receiver: 'null'}, receivers: [{name: 'null'}]}");
    };
    let entries = base.map_or(Ok(Vec::new()), Node::entries)?;
    let of_base = |name: &str| entries.iter().find(|(known, _)| *known == name).map(|(_, it)| *it);
    let mut section = Section::new(at);
    for (name, node) in &entries {
        section.set(name, (*node).clone());
    }
    let routes: Vec<Node> = all.iter().filter_map(|one| one.route.clone()).collect();
    section.set("route", root_route(of_base("route"), routes, at)?);
    let mut receivers =
        of_base("receivers").map_or(Ok(Vec::new()), |it| it.items().map(<[Node]>::to_vec))?;
    if of_base("route").is_none() {
        let mut nobody = Section::new(at);
        nobody.text("name", NOBODY);
        receivers.push(nobody.build());
    }
    receivers.extend(all.iter().flat_map(|one| one.receivers.iter().cloned()));
    section.set("receivers", Node::list(receivers, at));
    for (name, added) in [
        ("inhibit_rules", all.iter().flat_map(|one| one.inhibit_rules.clone()).collect::<Vec<_>>()),
        ("time_intervals", all.iter().flat_map(|one| one.time_intervals.clone()).collect()),
    ] {
        let known = of_base(name).map_or(Ok(Vec::new()), |it| it.items().map(<[Node]>::to_vec))?;
        let list: Vec<Node> = known.into_iter().chain(added).collect();
        if !list.is_empty() {
            section.set(name, Node::list(list, at));
        }
    }
    Ok(section.build())
}

fn root_route(base: Option<&Node>, mut routes: Vec<Node>, at: &Node) -> Result<Node, Error> {
    let mut section = Section::new(base.unwrap_or(at));
    match base {
        Some(base) => {
            for (name, node) in base.entries()? {
                match name {
                    "routes" => routes.extend(node.items()?.iter().cloned()),
                    _ => {
                        section.set(name, node.clone());
                    }
                }
            }
        }
        None => {
            section.text("receiver", NOBODY);
        }
    }
    section.set("routes", Node::list(routes, at));
    Ok(section.build())
}
