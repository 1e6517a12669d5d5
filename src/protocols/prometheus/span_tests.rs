//! The series that spans give, asked through the API.

use crate::testing::TestServer;
use serde_json::{Value, json};

/// The answer to an instant query: each series as text with its value.
fn vector(server: &TestServer, query: &str) -> Vec<String> {
    let escaped: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let answer = server.get_json(&format!("/api/v1/query?time=1700000000&query={escaped}"));
    assert_eq!(answer["warnings"], Value::Null);
    let shown = |one: &Value| {
        let labels: Vec<String> = one["metric"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| format!("{name}={}", value.as_str().unwrap()))
            .collect();
        format!("{} = {}", labels.join(","), one["value"][1].as_str().unwrap())
    };
    let mut found: Vec<String> =
        answer["data"]["result"].as_array().unwrap().iter().map(shown).collect();
    found.sort();
    found
}

fn data(server: &TestServer, path: &str) -> Value {
    server.get_json(&format!("/api/v1/{path}"))["data"].take()
}

fn both_before_and_after_a_flush(check: impl Fn(&TestServer)) {
    let server = TestServer::with_sample();
    check(&server);
    server.flush_traces();
    check(&server);
}

#[test]
fn spans_are_counted() {
    both_before_and_after_a_flush(|server| {
        let calls = vector(server, "traces_spanmetrics_calls_total");
        let of = |labels: &str| format!("__name__=traces_spanmetrics_calls_total,{labels} = 1");
        let expected = [
            of(
                "service=shop,span_kind=SPAN_KIND_CLIENT,span_name=ask,status_code=STATUS_CODE_UNSET",
            ),
            of(
                "service=shop,span_kind=SPAN_KIND_SERVER,span_name=GET /cart,status_code=STATUS_CODE_UNSET",
            ),
            of(
                "service=stock,span_kind=SPAN_KIND_SERVER,span_name=count,status_code=STATUS_CODE_ERROR",
            ),
            of(
                "service=stock,span_kind=SPAN_KIND_SERVER,span_name=count,status_code=STATUS_CODE_UNSET",
            ),
            of("span_kind=SPAN_KIND_UNSPECIFIED,span_name=tick,status_code=STATUS_CODE_UNSET"),
        ];
        assert_eq!(calls, expected);
        let buckets =
            vector(server, r#"sum by (le) (traces_spanmetrics_latency_bucket{service="stock"})"#);
        let count = |le: &str, count: u32| format!("le={le} = {count}");
        let expected = [
            ("+Inf", 2),
            ("0.002", 0),
            ("0.004", 0),
            ("0.008", 0),
            ("0.016", 0),
            ("0.032", 1),
            ("0.064", 2),
            ("0.128", 2),
            ("0.256", 2),
            ("0.512", 2),
            ("1.024", 2),
            ("16.384", 2),
            ("2.048", 2),
            ("4.096", 2),
            ("8.192", 2),
        ];
        assert_eq!(buckets, expected.map(|(le, number)| count(le, number)));
        let some = r#"sum by (__name__, le) ({__name__=~"traces_spanmetrics_.*",service="stock",le=~"|0.032"})"#;
        let expected = [("bucket,le=0.032", "1"), ("count", "2"), ("sum", "0.07")];
        let mut expected = expected
            .map(|(name, value)| format!("__name__=traces_spanmetrics_latency_{name} = {value}"))
            .to_vec();
        expected.insert(0, "__name__=traces_spanmetrics_calls_total = 2".to_owned());
        assert_eq!(vector(server, some), expected);
        let sums = vector(server, "sum(traces_spanmetrics_latency_sum)");
        assert_eq!(sums, [" = 0.67"]);
        assert_eq!(vector(server, "sum(traces_spanmetrics_latency_count)"), [" = 5"]);
    });
}

#[test]
fn the_service_graph_is_there() {
    both_before_and_after_a_flush(|server| {
        let edges = |metric: &str| {
            vector(server, &format!("sum by (client, server, connection_type) ({metric})"))
        };
        let user = "client=user,connection_type=virtual_node,server=shop";
        let expected = |[shop, of_user]: [&str; 2]| {
            [format!("client=shop,server=stock = {shop}"), format!("{user} = {of_user}")]
        };
        let graph = "traces_service_graph_request";
        assert_eq!(edges(&format!("{graph}_total")), expected(["2", "1"]));
        assert_eq!(edges(&format!("{graph}_failed_total")), expected(["1", "0"]));
        assert_eq!(edges(&format!("{graph}_server_seconds_sum")), expected(["0.07", "0.5"]));
        assert_eq!(edges(&format!("{graph}_client_seconds_sum")), expected(["0.2", "0.5"]));
        assert_eq!(edges(&format!("{graph}_client_seconds_count")), expected(["2", "1"]));
        let plain = vector(server, &format!(r#"{graph}_total{{connection_type=""}}"#));
        assert_eq!(plain, [format!("__name__={graph}_total,client=shop,server=stock = 2")]);
        let quick = vector(
            server,
            &format!(
                r#"sum by (le) ({graph}_server_seconds_bucket{{client="shop",le=~"0.1|.Inf"}})"#
            ),
        );
        assert_eq!(quick, ["le=+Inf = 2", "le=0.1 = 2"]);
    });
}

/// As Grafana asks for its table of services.
#[test]
fn rates_and_quantiles_see_the_first_spans() {
    let server = TestServer::with_sample();
    let increases = vector(
        &server,
        r#"sum by (span_name) (increase(traces_spanmetrics_calls_total{service="stock"}[35s]))"#,
    );
    // Two in 15 seconds, and as many for the 5 until now.
    assert_eq!(increases, ["span_name=count = 2.6666666666666665"]);
    let quantile = r#"histogram_quantile(.9, sum(rate(traces_spanmetrics_latency_bucket{span_name="GET /cart"}[1h])) by (le, span_name))"#;
    assert_eq!(vector(&server, quantile), ["span_name=GET /cart = 0.48640000000000005"]);
    let range = server.get_json(
        "/api/v1/query_range?start=1699999950&end=1700000005&step=5&query=traces_service_graph_request_failed_total%7Bclient=%22shop%22%7D",
    );
    let values = &range["data"]["result"][0]["values"];
    let expected: Vec<Value> = [(80, 0), (85, 0), (90, 0), (95, 1), (100, 1), (105, 1)]
        .iter()
        .map(|(after, value)| json!([1_699_999_900 + after, value.to_string()]))
        .collect();
    assert_eq!(values, &json!(expected));
}

#[test]
fn names_and_values_are_listed() {
    both_before_and_after_a_flush(|server| {
        let names = ["__name__", "client", "connection_type", "le", "server", "service"];
        let names = [&names[..], &["span_kind", "span_name", "status_code"]].concat();
        assert_eq!(data(server, "labels"), json!(names));
        let of_edges = json!(["__name__", "client", "connection_type", "server"]);
        let path = "labels?match[]=traces_service_graph_request_total";
        assert_eq!(data(server, path), of_edges);
        let metrics = data(server, "label/__name__/values");
        assert_eq!(metrics.as_array().unwrap().len(), 12, "{metrics}");
        assert_eq!(
            metrics,
            data(server, "label/__name__/values?match[]={__name__=~%22traces_.*%22}")
        );
        assert_eq!(data(server, "label/service/values"), json!(["shop", "stock"]));
        assert_eq!(data(server, "label/job/values"), json!([]));
        let old = "label/service/values?end=1699999979";
        assert_eq!(data(server, old), json!([]));
        let series = data(server, "series?match[]={client=%22user%22,le=%22%22}");
        assert_eq!(series.as_array().unwrap().len(), 6, "{series}");
        assert_eq!(data(server, "series?match[]={client=%22user%22}&limit=1")[0]["le"], "+Inf");
        let told = data(server, "metadata?metric=traces_spanmetrics_latency");
        assert_eq!(told["traces_spanmetrics_latency"][0]["type"], "histogram");
        assert_eq!(data(server, "metadata").as_object().unwrap().len(), 6);
    });
}

#[test]
fn buckets_have_exemplars() {
    both_before_and_after_a_flush(|server| {
        let ask = |query: &str| data(server, &format!("query_exemplars?query={query}"));
        let found = ask("rate(traces_spanmetrics_latency_bucket{span_name=%22ask%22}[5m])");
        let exemplar = json!({
            "labels": { "span_id": "0000000000000002", "trace_id": "0000000000000000000000000000abcd" },
            "value": "0.1",
            "timestamp": 1_699_999_990.1,
        });
        assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
        assert_eq!(found[0]["seriesLabels"]["le"], "0.128");
        assert_eq!(found[0]["exemplars"], json!([exemplar]));
        let edges = ask("traces_service_graph_request_server_seconds_bucket");
        assert_eq!(edges.as_array().unwrap().len(), 2, "{edges}");
        assert_eq!(ask("traces_spanmetrics_calls_total"), json!([]));
        let old = ask("traces_spanmetrics_latency_bucket&end=1699999979");
        assert_eq!(old, json!([]));
    });
}

#[test]
fn other_questions_do_not_see_them() {
    let server = TestServer::with_sample();
    for query in [
        r#"traces_spanmetrics_calls_total{job="x"}"#,
        r#"traces_spanmetrics_calls_total{service="no shop"}"#,
        r#"{service="shop",job!=""}"#,
        r#"traces_spanmetrics_calls_total{le!=""}"#,
        "traces_spanmetrics_calls_total offset 1h",
        "up",
    ] {
        assert_eq!(vector(&server, query), Vec::<String>::new(), "{query}");
    }
    assert_eq!(vector(&server, r#"count({service="shop",job=""})"#), [" = 36"]);
}

#[test]
fn a_setting_switches_them_off() {
    let server = TestServer::new(|setup| setup.settings.prometheus.span_metrics = false);
    server.push_sample();
    assert_eq!(vector(&server, "traces_spanmetrics_calls_total"), Vec::<String>::new());
    assert_eq!(data(&server, "labels"), json!([]));
    assert_eq!(data(&server, "metadata"), json!({}));
}

#[test]
fn a_stored_series_stands_for_the_derived_one() {
    let server = TestServer::with_sample();
    let stored = concat!(
        r#"traces_service_graph_request_total{client="shop",server="stock"} 70 1699999995000"#,
        "\n",
        r#"traces_service_graph_request_total{client="a",server="b"} 7 1699999995000"#,
        "\n"
    );
    let answer = server.send("POST /api/v1/import/prometheus", &[], stored);
    assert!(answer.status.is_success(), "{}", answer.text());
    let found = vector(&server, "sum by (client) (traces_service_graph_request_total)");
    assert_eq!(found, ["client=a = 7", "client=shop = 70", "client=user = 1"]);
    let series = data(&server, "series?match[]=traces_service_graph_request_total");
    assert_eq!(series.as_array().unwrap().len(), 3, "each once: {series}");
}

#[test]
fn tenants_and_filters_are_kept_apart() {
    let server = TestServer::with_sample();
    let only_shop = server.get_json(
        "/api/v1/query?time=1700000000&query=count(traces_spanmetrics_calls_total)&extra_label=service=shop",
    );
    assert_eq!(only_shop["data"]["result"][0]["value"][1], "2");
    let other = server.send(
        "GET /api/v1/query?time=1700000000&query=traces_spanmetrics_calls_total",
        &[("x-scope-orgid", "other")],
        "",
    );
    assert!(other.text().contains(r#""result":[]"#), "{}", other.text());
}

#[test]
fn many_names_end_at_the_memory_of_a_query() {
    let server = TestServer::new(|setup| {
        setup.services.metric_options.engine.memory_max = 300_000;
    });
    let span = |number: u32| {
        json!({
            "traceId": format!("{number:032x}"), "spanId": format!("{number:016x}"), "name": format!("GET /{number}"),
            "startTimeUnixNano": "1699999990000000000", "endTimeUnixNano": "1699999990500000000",
        })
    };
    let spans: Vec<Value> = (1..500).map(span).collect();
    let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] });
    let answer =
        server.send("POST /v1/traces", &[("content-type", "application/json")], body.to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let ask = |query: &str| server.get(&format!("/api/v1/query?time=1700000000&query={query}"));
    let (status, text) = ask("count(traces_spanmetrics_latency_bucket)");
    assert!(status == 422 && text.contains("promql.max_memory"), "{status} {text}");
    let (status, text) = ask("traces_spanmetrics_latency_bucket%7Bspan_name=%22GET%20/7%22%7D");
    assert!(status == 200 && text.contains(r#""le":"+Inf""#), "{status} {text}");
}
