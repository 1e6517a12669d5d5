//! The JSON of aggregations.

use super::super::dsl;
use super::super::error::{Result, SearchError};
use super::super::field::Field;
use super::super::json::{Object, bool_of, scalar, shown, text_of};
use super::super::leaf::Builder;
use super::super::zone::Zone;
use super::interval::{Interval, offset};
use super::pipeline::{self, Pipeline};
use super::{
    AGGS_MAX, Agg, Choice, DEPTH_MAX, DateHistogram, Figure, FigureKind, Histogram, Kind, Order,
    OrderBy, Span, Terms, TopMetrics,
};
use model::AnchoredRegex;
use serde_json::Value;

/// The aggregations of a request.
pub(in super::super) fn parse(aggs: &Value, builder: &mut Builder) -> Result<Vec<Agg>> {
    let mut count = 0;
    let (aggs, pipelines) = level(aggs, builder, 1, &mut count)?;
    match pipelines.first() {
        None => Ok(aggs),
        Some((name, _)) => Err(SearchError::illegal(format!(
            "aggregation [{name}] must be declared inside of another aggregation, whose buckets it looks at"
        ))),
    }
}

type Level = (Vec<Agg>, Vec<(String, Pipeline)>);

fn level(aggs: &Value, builder: &mut Builder, depth: usize, count: &mut usize) -> Result<Level> {
    if depth > DEPTH_MAX {
        return Err(SearchError::parsing(format!("aggregations nest deeper than {DEPTH_MAX}")));
    }
    let (mut found, mut pipelines) = (Vec::new(), Vec::new());
    for (name, body) in Object::of("aggs", aggs)?.iter() {
        *count += 1;
        if *count > AGGS_MAX {
            return Err(SearchError::parsing(format!(
                "a request may have {AGGS_MAX} aggregations"
            )));
        }
        let object = Object::of(name, body)?;
        let is_sub = |key: &str| matches!(key, "aggs" | "aggregations");
        let mut kinds = object.iter().filter(|(key, _)| !is_sub(key) && *key != "meta");
        let (Some((kind, body)), None) = (kinds.next(), kinds.next()) else {
            return Err(SearchError::parsing(format!("aggregation [{name}] needs one type")));
        };
        if let Some(pipeline) = pipeline::parse(kind, body)? {
            pipelines.push((name.to_owned(), pipeline));
            continue;
        }
        let kind = of_kind(kind, body, builder)?;
        let subs = object.iter().find(|(key, _)| is_sub(key));
        let (subs, of_buckets) = match subs {
            Some((_, subs)) => level(subs, builder, depth + 1, count)?,
            None => Level::default(),
        };
        if matches!(kind, Kind::Figure(_) | Kind::TopMetrics(_))
            && !(subs.is_empty() && of_buckets.is_empty())
        {
            return Err(SearchError::parsing(format!(
                "aggregation [{name}] is a figure and can't have aggregations inside"
            )));
        }
        found.push(Agg { name: name.to_owned(), kind, subs, pipelines: of_buckets });
    }
    Ok((found, pipelines))
}

fn of_kind(kind: &str, body: &Value, builder: &mut Builder) -> Result<Kind> {
    match kind {
        "date_histogram" => date_histogram(body, builder).map(Kind::DateHistogram),
        "histogram" => histogram(body, builder).map(Kind::Histogram),
        "terms" => terms(body, builder).map(Kind::Terms),
        "filter" => dsl::parse(body, builder).map(Kind::Filter),
        "filters" => filters(body, builder),
        "range" => range(body, builder),
        "missing" => field(&Object::of(kind, body)?, builder).map(Kind::Missing),
        "top_metrics" => top_metrics(body, builder).map(Kind::TopMetrics),
        _ => match figure_kind(kind, body)? {
            Some(figure) => of_figure(figure, &Object::of(kind, body)?, builder),
            None => Err(SearchError::parsing(format!(
                "Unknown aggregation type [{kind}]: known are avg, bucket_script, cardinality, \
                 cumulative_sum, date_histogram, derivative, extended_stats, filter, filters, histogram, \
                 max, min, missing, moving_avg, moving_fn, percentiles, range, serial_diff, stats, sum, \
                 terms, top_metrics, value_count"
            ))),
        },
    }
}

fn field(object: &Object<'_>, builder: &mut Builder) -> Result<Field> {
    if object.get("script").is_some() {
        return Err(SearchError::parsing(
            "[script] is not known here: aggregate a [field], and calculate with bucket_script",
        ));
    }
    Ok(builder.fields.find(&object.needed_text("field")?))
}

fn figure_kind(kind: &str, body: &Value) -> Result<Option<FigureKind>> {
    Ok(Some(match kind {
        "avg" => FigureKind::Avg,
        "min" => FigureKind::Min,
        "max" => FigureKind::Max,
        "sum" => FigureKind::Sum,
        "value_count" => FigureKind::ValueCount,
        "stats" => FigureKind::Stats,
        "cardinality" => FigureKind::Cardinality,
        "extended_stats" => FigureKind::ExtendedStats {
            sigma: Object::of(kind, body)?.number("sigma")?.unwrap_or(2.0),
        },
        "percentiles" => FigureKind::Percentiles(percents(&Object::of(kind, body)?)?),
        _ => return Ok(None),
    }))
}

const PERCENTS_MAX: usize = 100;

fn percents(object: &Object<'_>) -> Result<Vec<f64>> {
    let Some(value) = object.get("percents") else {
        return Ok(vec![1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0]);
    };
    let wrong = || {
        SearchError::parsing(format!(
            "[percentiles] [percents] is {}: expected up to {PERCENTS_MAX} numbers from 0 to 100",
            shown(value)
        ))
    };
    let all = value.as_array().filter(|all| all.len() <= PERCENTS_MAX).ok_or_else(wrong)?;
    let percent = |one: &Value| text_of(one).and_then(|text| text.parse::<f64>().ok());
    let percent = |one| percent(one).filter(|percent| (0.0..=100.0).contains(percent));
    all.iter().map(|one| percent(one).ok_or_else(wrong)).collect()
}

fn of_figure(kind: FigureKind, object: &Object<'_>, builder: &mut Builder) -> Result<Kind> {
    let field = field(object, builder)?;
    let known = ["field", "missing", "format", "sigma", "percents", "keyed"];
    // How exact Elasticsearch's figures are.
    let exactness = ["precision_threshold", "tdigest", "hdr", "execution_hint", "value_type"];
    object.expect_only(&[&known[..], &exactness[..]].concat())?;
    let is_list = object.get("keyed").map(bool_of).transpose()? == Some(false);
    if is_list && matches!(kind, FigureKind::Percentiles(_)) {
        return Err(SearchError::parsing(
            "[percentiles] [keyed] is false: only true is known here",
        ));
    }
    let missing = object.get("missing").and_then(scalar);
    Ok(Kind::Figure(Figure { kind, field, missing }))
}

fn date_histogram(body: &Value, builder: &mut Builder) -> Result<DateHistogram> {
    let object = Object::of("date_histogram", body)?;
    object.expect_only(&[
        "field",
        "fixed_interval",
        "calendar_interval",
        "interval",
        "time_zone",
        "offset",
        "min_doc_count",
        "format",
        "extended_bounds",
        "hard_bounds",
        "order",
        "keyed",
        "missing",
    ])?;
    expect_list(&object)?;
    let name = object.needed_text("field")?;
    if builder.fields.find(&name) != Field::Time {
        return Err(SearchError::illegal(format!(
            "[date_histogram] field [{name}] is no date: only @timestamp is"
        )));
    }
    let interval =
        match ["fixed_interval", "calendar_interval", "interval"].map(|key| object.text(key)) {
            [Some(fixed), ..] => Interval::fixed(&fixed)?,
            [_, Some(calendar), _] => Interval::calendar(&calendar)?,
            [_, _, Some(either)] => {
                Interval::calendar(&either).or_else(|_| Interval::fixed(&either))?
            }
            _ => {
                return Err(SearchError::parsing(
                    "[date_histogram] needs [fixed_interval] or [calendar_interval]",
                ));
            }
        };
    let order = object.get("order").map(orders).transpose()?.unwrap_or_default();
    if order.iter().any(|order| !matches!(order.by, OrderBy::Key)) {
        return Err(SearchError::parsing("[date_histogram] can be ordered by _key only"));
    }
    let zone = object.text("time_zone").map_or(Ok(Zone::UTC), |zone| Zone::parse(&zone))?;
    let bounds = |key: &str| time_bounds(&object, key, builder, zone);
    Ok(DateHistogram {
        interval,
        zone,
        offset_ms: object.text("offset").map_or(Ok(0), |text| offset(&text))?,
        min_doc_count: object.count("min_doc_count")?.unwrap_or(0) as u64,
        format: object.text("format").unwrap_or_default(),
        extended: bounds("extended_bounds")?,
        hard: bounds("hard_bounds")?,
        keys_fall: order.iter().any(|order| order.is_descending),
    })
}

/// `{"min": …, "max": …}`, each a date or milliseconds.
fn time_bounds(
    object: &Object<'_>,
    key: &str,
    builder: &Builder,
    zone: Zone,
) -> Result<Option<(i64, i64)>> {
    let Some(value) = object.get(key).filter(|value| !value.is_null()) else { return Ok(None) };
    let bounds = Object::of(key, value)?;
    let reader = super::super::date::DateReader {
        now_ms: builder.now_ms,
        zone,
        format: "",
        rounds_up: false,
    };
    let end = |name: &str, default: i64| -> Result<i64> {
        match bounds.text(name) {
            Some(text) => Ok(reader.read(&text)?.div_euclid(1_000_000)),
            None => Ok(default),
        }
    };
    let (from, to) = (end("min", i64::MIN)?, end("max", i64::MAX)?);
    match (from, to, key) {
        (from, to, _) if from > to => {
            Err(SearchError::parsing(format!("[{key}] [min] lies behind [max]")))
        }
        (i64::MIN, _, "extended_bounds") | (_, i64::MAX, "extended_bounds") => Ok(None),
        _ => Ok(Some((from, to))),
    }
}

fn histogram(body: &Value, builder: &mut Builder) -> Result<Histogram> {
    let object = Object::of("histogram", body)?;
    let field = field(&object, builder)?;
    object.expect_only(&[
        "field",
        "interval",
        "offset",
        "min_doc_count",
        "extended_bounds",
        "keyed",
    ])?;
    expect_list(&object)?;
    let interval = object.number("interval")?.filter(|interval| *interval > 0.0);
    let wrong = || SearchError::parsing("[histogram] needs an [interval] above 0");
    let extended = match object.get("extended_bounds") {
        None | Some(Value::Null) => None,
        Some(bounds) => {
            let bounds = Object::of("extended_bounds", bounds)?;
            bounds.number("min")?.zip(bounds.number("max")?)
        }
    };
    Ok(Histogram {
        field,
        interval: interval.ok_or_else(wrong)?,
        offset: object.number("offset")?.unwrap_or(0.0),
        min_doc_count: object.count("min_doc_count")?.unwrap_or(0) as u64,
        extended,
    })
}

const TERMS_DEFAULT: usize = 10;

fn terms(body: &Value, builder: &mut Builder) -> Result<Terms> {
    let object = Object::of("terms", body)?;
    let field = field(&object, builder)?;
    object.expect_only(&[
        "field",
        "size",
        "order",
        "min_doc_count",
        "missing",
        "include",
        "exclude",
        // How Elasticsearch goes about it, and how exact it is.
        "shard_size",
        "shard_min_doc_count",
        "show_term_doc_count_error",
        "collect_mode",
        "execution_hint",
        "value_type",
    ])?;
    let choice = |key: &str| object.get(key).map(choice).transpose();
    Ok(Terms {
        field,
        // 0 once stood for all.
        size: match object.count("size")? {
            None => TERMS_DEFAULT,
            Some(0) => usize::MAX,
            Some(size) => size,
        },
        order: object.get("order").map(orders).transpose()?.unwrap_or_default(),
        min_doc_count: object.count("min_doc_count")?.unwrap_or(1).max(1) as u64,
        missing: object.get("missing").and_then(scalar),
        include: choice("include")?,
        exclude: choice("exclude")?,
    })
}

fn choice(value: &Value) -> Result<Choice> {
    match value {
        Value::Array(all) => Ok(Choice::These(all.iter().filter_map(scalar).collect())),
        Value::String(pattern) => {
            AnchoredRegex::new(pattern).map(Choice::Like).map_err(SearchError::parsing)
        }
        other => Err(SearchError::parsing(format!(
            "[terms] [include] and [exclude] are lists or regular expressions, found {}",
            shown(other)
        ))),
    }
}

/// `{"_count": "desc"}`, or a list of such.
fn orders(value: &Value) -> Result<Vec<Order>> {
    let each: Vec<&Value> = match value {
        Value::Array(all) => all.iter().collect(),
        one => vec![one],
    };
    let mut orders = Vec::new();
    for one in each {
        for (name, direction) in Object::of("order", one)?.iter() {
            let by = match name {
                "_count" => OrderBy::Count,
                "_key" | "_term" | "_time" => OrderBy::Key,
                path => OrderBy::Figure(path.to_owned()),
            };
            let is_descending = match direction.as_str() {
                Some("desc" | "DESC") => true,
                Some("asc" | "ASC") => false,
                _ => {
                    return Err(SearchError::parsing(format!(
                        "[order] [{name}] is {}: expected asc or desc",
                        shown(direction)
                    )));
                }
            };
            orders.push(Order { by, is_descending });
        }
    }
    Ok(orders)
}

fn filters(body: &Value, builder: &mut Builder) -> Result<Kind> {
    let object = Object::of("filters", body)?;
    object.expect_only(&["filters", "other_bucket", "other_bucket_key"])?;
    let mut named = Vec::new();
    match object.needed("filters")? {
        Value::Object(filters) => {
            for (name, filter) in filters {
                named.push((name.clone(), dsl::parse(filter, builder)?));
            }
        }
        other => {
            return Err(SearchError::parsing(format!(
                "[filters] is {}: expected an object with a query for each name",
                shown(other)
            )));
        }
    }
    if object.get("other_bucket").map(bool_of).transpose()?.unwrap_or(false)
        || object.get("other_bucket_key").is_some()
    {
        return Err(SearchError::parsing(
            "[filters] [other_bucket] is not known here: add a filter for it",
        ));
    }
    Ok(Kind::Filters(named))
}

/// Buckets are lists: as an object with keys nobody here asks for them.
fn expect_list(object: &Object<'_>) -> Result<()> {
    match object.get("keyed").map(bool_of).transpose()? {
        Some(true) => Err(SearchError::parsing("[keyed] is true: only false is known here")),
        _ => Ok(()),
    }
}

fn range(body: &Value, builder: &mut Builder) -> Result<Kind> {
    let object = Object::of("range", body)?;
    let field = field(&object, builder)?;
    object.expect_only(&["field", "ranges", "keyed"])?;
    expect_list(&object)?;
    let ranges = object.needed("ranges")?;
    let wrong =
        || SearchError::parsing(format!("[range] [ranges] is {}: expected a list", shown(ranges)));
    let mut spans = Vec::new();
    for one in ranges.as_array().ok_or_else(wrong)? {
        let one = Object::of("ranges", one)?;
        let from = one.number("from")?.unwrap_or(f64::NEG_INFINITY);
        let to = one.number("to")?.unwrap_or(f64::INFINITY);
        let end = |end: f64| if end.is_finite() { format!("{end:?}") } else { "*".to_owned() };
        let key = one.text("key").unwrap_or_else(|| format!("{}-{}", end(from), end(to)));
        spans.push(Span { key, from, to });
    }
    Ok(Kind::Range { field, ranges: spans })
}

const TOP_MAX: usize = 10;

fn top_metrics(body: &Value, builder: &mut Builder) -> Result<TopMetrics> {
    let object = Object::of("top_metrics", body)?;
    object.expect_only(&["metrics", "sort", "size"])?;
    let metrics = object.needed("metrics")?;
    let all: Vec<&Value> =
        metrics.as_array().map_or_else(|| vec![metrics], |all| all.iter().collect());
    let mut fields = Vec::new();
    for one in all {
        let name = Object::of("metrics", one)?.needed_text("field")?;
        let field = builder.fields.find(&name);
        fields.push((name, field));
    }
    let sort = object.needed("sort")?;
    let sort = sort.as_array().and_then(|all| all.first()).unwrap_or(sort);
    let (name, order) = match sort {
        Value::String(name) => (name.clone(), String::new()),
        Value::Object(fields) => {
            let wrong = || SearchError::parsing("[top_metrics] [sort] needs a field");
            let (name, order) = fields.iter().next().ok_or_else(wrong)?;
            (name.clone(), text_of(order.get("order").unwrap_or(order)).unwrap_or_default())
        }
        other => {
            return Err(SearchError::parsing(format!("[top_metrics] [sort] is {}", shown(other))));
        }
    };
    let by = builder.fields.find(&name);
    let size = object.count("size")?.unwrap_or(1).clamp(1, TOP_MAX);
    Ok(TopMetrics { fields, by, is_descending: order == "desc", size })
}
