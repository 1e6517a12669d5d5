//! The sections that Mirador reads and does not do: each is checked, and named in a warning that says
//! what does the same here.

use super::warnings::{Place, Warning};
use outbound::HttpConfig;
use relabel::Rules;
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

const SECTIONS: [(&str, Check, &str); 6] = [
    ("remote_write", remote_write, "Mirador does not send samples on yet"),
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

fn remote_write(node: &Node) -> Result<(), Error> {
    each(node, "remote write", |node| {
        let mut fields = node.fields("remote write")?;
        let _: String = fields.required("url")?;
        check!(fields: "name" as String, "remote_timeout" as Duration,
            "headers" as BTreeMap<String, String>, "write_relabel_configs" as Rules,
            "send_exemplars" as bool, "send_native_histograms" as bool,
            "round_robin_dns" as bool, "protobuf_message" as String, "sigv4" as Node,
            "azuread" as Node, "google_iam" as Node,);
        if let Some(queue) = fields.take("queue_config") {
            let mut fields = queue.fields("queue_config")?;
            check!(fields: "capacity" as u32, "max_shards" as u32, "min_shards" as u32,
                "max_samples_per_send" as u32, "batch_send_deadline" as Duration,
                "min_backoff" as Duration, "max_backoff" as Duration, "retry_on_http_429" as bool,
                "sample_age_limit" as Duration,);
            fields.end()?;
        }
        if let Some(metadata) = fields.take("metadata_config") {
            let mut fields = metadata.fields("metadata_config")?;
            check!(fields: "send" as bool, "send_interval" as Duration,
                "max_samples_per_send" as u32,);
            fields.end()?;
        }
        HttpConfig::read(&mut fields)?;
        fields.end()
    })
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
