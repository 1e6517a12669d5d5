//! The sections that Mirador reads and does not do: each is checked, and named in a warning that says
//! what does the same here.

use super::warnings::{Place, Warning};
use outbound::HttpConfig;
use std::collections::BTreeMap;
use yaml::{Duration, Error, Fields, Node, Secret, Size};

/// Reads all of them.
pub(crate) fn read(
    fields: &mut Fields<'_>,
    place: &Place,
    warnings: &mut Vec<Warning>,
) -> Result<(), Error> {
    for (name, check, message) in SECTIONS {
        if let Some(node) = fields.take(name).filter(|node| !node.is_null()) {
            check(node)?;
            warnings.push(place.warning(node, format!("{name} has no effect: {message}")));
        }
    }
    Ok(())
}

type Check = fn(&Node) -> Result<(), Error>;

const SECTIONS: [(&str, Check, &str); 5] = [
    ("remote_read", remote_read, "Mirador does not query other servers yet"),
    (
        "storage",
        storage,
        "Mirador's settings say how long what is kept (retention.metrics), and it takes samples of any \
         age in any order",
    ),
    ("otlp", otlp, "Mirador's settings say how OTLP is taken (section [otlp])"),
    (
        "tracing",
        tracing,
        "Mirador keeps the spans of its own requests itself (traces.store_own_requests)",
    ),
    ("runtime", runtime, "there is no garbage collector to tune"),
];

/// Takes fields that are only checked for their form.
macro_rules! check {
    ($fields:ident: $($name:literal as $kind:ty,)*) => {
        $( let _: Option<$kind> = $fields.optional($name)?; )*
    };
}

fn each(node: &Node, what: &'static str, check: Check) -> Result<(), Error> {
    let mut names: Vec<String> = Vec::new();
    for item in node.items()? {
        if item.is_null() {
            return Err(item.error(format!("empty or null {what} config section")));
        }
        let mut fields = item.fields(what)?;
        let name: String = fields.or_default("name")?;
        if !name.is_empty() && names.contains(&name) {
            let message = format!("found multiple {what} configs with job name {name:?}");
            return Err(item.error(message));
        }
        names.push(name);
        check(item)?;
    }
    Ok(())
}

fn remote_read(node: &Node) -> Result<(), Error> {
    each(node, "remote read", |node| {
        let mut fields = node.fields("remote read")?;
        let _: String = fields.required("url")?;
        check!(fields: "name" as String, "remote_timeout" as Duration,
            "chunked_read_limit" as u64, "headers" as BTreeMap<String, String>,
            "read_recent" as bool, "required_matchers" as BTreeMap<String, String>,
            "filter_external_labels" as bool,);
        HttpConfig::read(&mut fields)?;
        fields.end()
    })
}

fn storage(node: &Node) -> Result<(), Error> {
    let mut fields = node.fields("storage section")?;
    if let Some(tsdb) = fields.take("tsdb") {
        let mut fields = tsdb.fields("tsdb section")?;
        check!(fields: "out_of_order_time_window" as Duration,
            "stale_series_compaction_threshold" as f64,);
        if let Some(retention) = fields.take("retention") {
            let mut fields = retention.fields("retention section")?;
            check!(fields: "time" as Duration, "size" as Size, "percentage" as f64,);
            fields.end()?;
        }
        if let Some(encoding) = fields.take("chunk_encoding") {
            let mut fields = encoding.fields("chunk_encoding section")?;
            check!(fields: "floats" as String,);
            fields.end()?;
        }
        fields.end()?;
    }
    if let Some(exemplars) = fields.take("exemplars") {
        let mut fields = exemplars.fields("exemplars section")?;
        check!(fields: "max_exemplars" as i64,);
        fields.end()?;
    }
    fields.end()
}

fn otlp(node: &Node) -> Result<(), Error> {
    let mut fields = node.fields("otlp section")?;
    check!(fields: "promote_all_resource_attributes" as bool,
        "promote_resource_attributes" as Vec<String>,
        "ignore_resource_attributes" as Vec<String>,
        "translation_strategy" as String, "keep_identifying_resource_attributes" as bool,
        "convert_histograms_to_nhcb" as bool, "promote_scope_metadata" as bool,
        "label_name_underscore_sanitization" as bool,
        "label_name_preserve_multiple_underscores" as bool,);
    fields.end()
}

fn tracing(node: &Node) -> Result<(), Error> {
    let mut fields = node.fields("tracing section")?;
    let endpoint: String = fields.or_default("endpoint")?;
    if endpoint.is_empty() {
        return Err(node.error("tracing endpoint must be set"));
    }
    check!(fields: "client_type" as String, "sampling_fraction" as f64, "insecure" as bool,
        "tls_config" as Node, "headers" as BTreeMap<String, Secret>, "compression" as String,
        "timeout" as Duration,);
    fields.end()
}

fn runtime(node: &Node) -> Result<(), Error> {
    let mut fields = node.fields("runtime section")?;
    check!(fields: "gogc" as i64,);
    fields.end()
}
