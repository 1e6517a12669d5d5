//! `info`: takes labels over from info metrics (`target_info`) of the same instance and job.
//!
//! 1. The base series say which instances and jobs matter; the info series of those are selected.
//! 2. At each step every info metric gives one series per instance and job: of several the one
//!    with the newest sample.
//! 3. Labels that the base series has itself are left alone; two info metrics must not contradict
//!    each other.
//!
//! Which metrics are info metrics: those that the second argument names; where it only says which
//! are not, all others that end in `_info`; where it says nothing, `target_info`.

use crate::error::QueryError;
use crate::function::Invocation;
use crate::selector::SampleTime;
use crate::selector::Selector;
use crate::value::Value;
use model::{
    BytesHash, LabelChoice, Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher, escape_regex,
};
use query::{Holding, LabelGroups, Portions, Series, StepColumn, Weight};
use std::collections::{BTreeMap, BTreeSet, HashMap};

type Result<T> = std::result::Result<T, QueryError>;

const DEFAULT_METRIC: &str = "target_info";
/// What may be an info metric where only others are ruled out.
const ANY_INFO_METRIC: &str = ".+_info";
const IDENTIFYING: [&str; 2] = ["instance", "job"];

pub(super) fn info(mut call: Invocation<'_>) -> Result<Value> {
    let base = call.take_vector(0);
    let wanted = Wanted::new(call.arguments.get(1).and_then(|argument| argument.selector));
    let ignored: Vec<bool> =
        base.iter().map(|one| wanted.is_info_metric(one.labels.metric_name())).collect();
    let infos = select_infos(&call, &base, &ignored, &wanted)?;
    let mut known: Vec<Option<Enriched>> = base.iter().map(|_| None).collect();
    let mut output = Output::new(call.grid.steps(), call.holding);
    let mut index = InfoIndex::new(&infos, &mut output.portions)?;
    for step in 0..call.grid.steps() {
        call.evaluation.check()?;
        let present = |one: &&Series| one.column.get(step).is_some();
        if !base.iter().any(|one| present(&one)) {
            // There is nothing to enrich, so contradictions among the info series do not matter.
            continue;
        }
        let current = index.at(&infos, step)?;
        for (position, one) in base.iter().enumerate().filter(|(_, one)| present(one)) {
            let labels = if ignored[position] {
                Some(one.labels.clone())
            } else {
                let found = index.groups.find(&one.labels).map(|group| &current[group]);
                let found: Vec<usize> = found.into_iter().flatten().map(|(_, at)| *at).collect();
                let latest = &mut known[position];
                if latest.as_ref().is_none_or(|latest| latest.infos != found) {
                    let infos = found.iter().map(|at| &infos[*at].labels);
                    let labels = enriched(&one.labels, infos, &wanted, &mut output.portions)?;
                    *latest = Some(Enriched { infos: found, labels });
                }
                latest.as_ref().and_then(|latest| latest.labels.clone())
            };
            if let Some(labels) = labels {
                output.put(one, step, labels)?;
            }
        }
    }
    Ok(Value::Vector(output.series))
}

/// What a base series became at the latest step: the same at most steps.
struct Enriched {
    infos: Vec<usize>,
    labels: Option<Labels>,
}

/// What the second argument asks for.
struct Wanted {
    names: Vec<Matcher>,
    /// Which labels to take, and what they must be; empty: all.
    data: Vec<Matcher>,
}

impl Wanted {
    fn new(selector: Option<&Selector>) -> Self {
        let matchers = selector.map_or_else(Vec::new, |selector| selector.matchers.to_vec());
        let (mut names, data): (Vec<_>, Vec<_>) =
            matchers.into_iter().partition(Matcher::is_metric_name);
        if names.is_empty() {
            names.push(Matcher::equal(METRIC_NAME, DEFAULT_METRIC));
        } else if names.iter().all(|matcher| !matcher.op.is_positive()) {
            let any = Matcher::new(MatchOp::Regex, METRIC_NAME, ANY_INFO_METRIC);
            names.push(any.expect("a constant that compiles"));
        }
        Self { names, data }
    }

    fn is_info_metric(&self, name: &str) -> bool {
        self.names.iter().all(|matcher| matcher.matches(name))
    }

    fn takes(&self, label: &str) -> bool {
        self.data.is_empty() || self.data.iter().any(|matcher| matcher.name == label)
    }

    fn allows_nothing(&self) -> bool {
        self.data.iter().all(|matcher| matcher.matches(""))
    }
}

fn select_infos(
    call: &Invocation<'_>,
    base: &[Series],
    ignored: &[bool],
    wanted: &Wanted,
) -> Result<Vec<Series>> {
    let mut matchers = wanted.names.clone();
    matchers.extend(wanted.data.iter().cloned());
    let (mut identified, mut portions) = (false, call.holding.portions());
    for name in IDENTIFYING {
        let values: BTreeSet<&str> = base
            .iter()
            .zip(ignored)
            .filter(|(_, ignored)| !**ignored)
            .filter_map(|(one, _)| one.labels.get(name))
            .collect();
        if !values.is_empty() {
            identified = true;
            // The pattern, and the list that is made of it.
            let length: usize = values.iter().map(|value| 4 * value.len() + 32).sum();
            portions.take(Weight::bytes(length))?;
            let quoted: Vec<String> = values.into_iter().map(escape_regex).collect();
            let matcher = Matcher::new(MatchOp::Regex, name, &quoted.join("|"));
            matchers.push(matcher.map_err(QueryError::execution)?);
        }
    }
    if !identified {
        return Ok(Vec::new());
    }
    let mut selector = Selector::of_matchers(matchers, call.arguments[0].position);
    if let Some(first) = call.arguments[0].first_shift {
        selector.offset_ms = first.offset_ms;
        selector.at_ms = first.at_ms;
    }
    let infos = call.evaluation.sample_times(&selector, call.grid, SampleTime::TakenOfFloats)?;
    match infos.iter().find(|one| one.column.has_histograms()) {
        Some(one) => Err(QueryError::execution(format!(
            "this should be an info metric, with float samples: {}",
            one.labels
        ))),
        None => Ok(infos),
    }
}

/// Which info series belong to one instance and job.
struct InfoIndex {
    groups: LabelGroups,
    /// The series of each group.
    members: Vec<Vec<usize>>,
}

/// For each group and info metric, the series that counts.
type Current<'a> = Vec<BTreeMap<&'a str, usize>>;

impl InfoIndex {
    fn new(infos: &[Series], portions: &mut Portions<'_>) -> Result<Self> {
        let groups = LabelGroups::new(LabelChoice::only(IDENTIFYING));
        let mut index = Self { groups, members: Vec::new() };
        for (position, one) in infos.iter().enumerate() {
            let group = index.groups.number(&one.labels, portions)?;
            if group == index.members.len() {
                index.members.push(Vec::new());
            }
            index.members[group].push(position);
        }
        Ok(index)
    }

    fn at<'a>(&self, infos: &'a [Series], step: usize) -> Result<Current<'a>> {
        self.members.iter().map(|members| newest_of_each_metric(members, infos, step)).collect()
    }
}

fn newest_of_each_metric<'a>(
    members: &[usize],
    infos: &'a [Series],
    step: usize,
) -> Result<BTreeMap<&'a str, usize>> {
    let mut metrics: BTreeMap<&str, (usize, f64)> = BTreeMap::new();
    for member in members {
        let Some(taken) = infos[*member].column.float(step) else { continue };
        let name = infos[*member].labels.metric_name();
        match metrics.get(name) {
            Some((_, known)) if *known > taken => {}
            Some((other, known)) if *known == taken => {
                return Err(duplicate(&infos[*other], &infos[*member], taken));
            }
            _ => {
                metrics.insert(name, (*member, taken));
            }
        }
    }
    Ok(metrics.into_iter().map(|(name, (member, _))| (name, member)).collect())
}

fn duplicate(existing: &Series, new: &Series, seconds: f64) -> QueryError {
    let millis = (seconds * 1000.0).round();
    QueryError::execution(format!(
        "found duplicate series for info metric: existing {} @ {millis}, new {} @ {millis}",
        existing.labels, new.labels
    ))
}

/// The base labels with those of the info series; `None` where the series is to be left out.
fn enriched<'a>(
    base: &Labels,
    found: impl Iterator<Item = &'a Labels>,
    wanted: &Wanted,
    portions: &mut Portions<'_>,
) -> Result<Option<Labels>> {
    let mut found = found.peekable();
    if found.peek().is_none() {
        return Ok(wanted.allows_nothing().then(|| base.clone()));
    }
    let mut added: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, value) in found.flat_map(Labels::iter) {
        if name == METRIC_NAME || !wanted.takes(name) {
            continue;
        }
        if added.get(name).is_some_and(|known| *known != value) {
            return Err(QueryError::execution(format!("conflicting label: {name}")));
        }
        if base.get(name).is_none() {
            added.insert(name, value);
        }
    }
    let length = added.iter().map(|(name, value)| name.len() + value.len() + 8).sum::<usize>();
    let make = || {
        let mut builder = LabelsBuilder::from_labels(base);
        added.iter().for_each(|(name, value)| {
            builder.set(name, value);
        });
        builder.build()
    };
    Ok(Some(portions.labels(base.as_bytes().len() + length, make)?))
}

/// Series whose labels may change from step to step.
struct Output<'a> {
    series: Vec<Series>,
    by_labels: HashMap<Labels, usize, BytesHash>,
    empty: StepColumn,
    portions: Portions<'a>,
}

impl<'a> Output<'a> {
    fn new(steps: usize, holding: &'a Holding) -> Self {
        Self {
            series: Vec::new(),
            by_labels: HashMap::default(),
            empty: StepColumn::new(steps),
            portions: holding.portions(),
        }
    }

    fn add(&mut self, from: &Series, labels: Labels) -> Result<usize> {
        let mut one = Series::new(labels.clone(), self.empty.clone());
        self.portions.take(one.weight())?;
        one.drop_name = from.drop_name;
        self.series.push(one);
        self.by_labels.insert(labels, self.series.len() - 1);
        Ok(self.series.len() - 1)
    }

    fn put(&mut self, from: &Series, step: usize, labels: Labels) -> Result<()> {
        let index = match self.by_labels.get(&labels) {
            Some(index) => *index,
            None => self.add(from, labels)?,
        };
        let column = &mut self.series[index].column;
        if column.get(step).is_some() {
            let message = "vector cannot contain metrics with the same labelset";
            return Err(QueryError::execution(message));
        }
        if let Some(slot) = from.column.get(step) {
            column.set(step, slot);
        }
        Ok(())
    }
}
