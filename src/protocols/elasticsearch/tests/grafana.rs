//! The requests of Grafana's data source for Elasticsearch, in the shapes that it sends, and what it reads
//! of their answers.

use super::{JSON, send};
use crate::testing::{NOW_MS, TestServer};
use serde_json::{Value, json};

/// Lines of one second, 50 ms from each other, the first of them half a minute before now.
fn server() -> TestServer {
    let server = TestServer::new(|_| {});
    let mut body = String::new();
    for index in 0..20 {
        let time = NOW_MS - 30_000 + 50 * index;
        let level = if index % 4 == 0 { "error" } else { "info" };
        let document = json!({
            "@timestamp": time, "message": format!("request {index} took {}ms", index * 10), "level": level,
            "took": index * 10, "service": { "name": if index % 2 == 0 { "shop" } else { "cart" } },
        });
        body += &format!("{{\"create\":{{\"_index\":\"logs-shop\"}}}}\n{document}\n");
    }
    let (status, answer) = send(&server, "POST /_bulk", &[JSON], &body);
    assert_eq!((status, &answer["errors"]), (200, &Value::Bool(false)));
    let push = json!({ "streams": [{ "stream": { "app": "other" }, "values": [[
        format!("{}000000", NOW_MS - 30_000), "from Loki 결제"
    ]] }] });
    let pushed = server.send(
        "POST /loki/api/v1/push",
        &[("content-type", "application/json")],
        push.to_string(),
    );
    assert_eq!(pushed.status, 204);
    server
}

const MSEARCH: &str = "POST /elasticsearch/_msearch?max_concurrent_shard_requests=5";

/// The answers of several searches, each of `logs-*`.
fn msearch(server: &TestServer, bodies: &[Value]) -> Vec<Value> {
    let header = r#"{"ignore_unavailable":true,"index":"logs-*","search_type":"query_then_fetch"}"#;
    let body: String = bodies.iter().map(|body| format!("{header}\n{body}\n")).collect();
    let content = ("content-type", "application/x-ndjson");
    let (status, answer) = send(server, MSEARCH, &[content], &body);
    assert_eq!(status, 200, "{answer}");
    answer["responses"].as_array().unwrap().clone()
}

fn filter(query: &str) -> Value {
    json!({ "bool": { "filter": [
        { "range": { "@timestamp": {
            "format": "epoch_millis", "gte": NOW_MS - 60_000, "lte": NOW_MS,
        } } },
        { "query_string": { "analyze_wildcard": true, "query": query } },
    ] } })
}

#[test]
fn save_and_test() {
    let server = server();
    let (status, answer) =
        send(&server, "GET /elasticsearch/_cluster/health?wait_for_status=yellow", &[], "");
    assert_eq!((status, &answer["status"]), (200, &json!("green")));
    let path = "GET /elasticsearch/logs-*/_field_caps?fields=@timestamp";
    let (status, answer) = send(&server, path, &[], "");
    assert_eq!(status, 200);
    assert_eq!(answer["fields"]["@timestamp"]["date"]["type"], "date");
    assert_eq!(answer["indices"], json!(["logs-shop"]));
    // Before the first line there is nothing but the fields that all have.
    let (status, answer) = send(&TestServer::new(|_| {}), path, &[], "");
    assert_eq!((status, &answer["fields"]["@timestamp"]["date"]["type"]), (200, &json!("date")));
}

#[test]
fn the_editor_knows_the_fields() {
    let server = server();
    let (_, answer) = send(&server, "GET /elasticsearch/logs-*/_mapping", &[], "");
    let properties = &answer["logs-shop"]["mappings"]["properties"];
    let kind = |name: &str| properties[name]["type"].as_str().unwrap_or_default().to_owned();
    let names = ["@timestamp", "message", "took", "level", "service_name", "app"];
    assert_eq!(names.map(kind), ["date", "text", "long", "keyword", "keyword", ""]);
    let (_, answer) = send(&server, "GET /elasticsearch/_all/_field_caps?fields=*", &[], "");
    let took = json!({ "type": "long", "metadata_field": false, "searchable": true, "aggregatable": true });
    assert_eq!(answer["fields"]["took"]["long"], took);
    assert_eq!(answer["fields"]["app"]["keyword"]["type"], "keyword");
}

/// What Explore asks for lines.
fn lines_query(query: &str, size: usize) -> Value {
    let tag = |text: &str| json!([text]);
    json!({
        "docvalue_fields": ["@timestamp"],
        "fields": [{ "field": "@timestamp", "format": "strict_date_optional_time_nanos" }],
        "highlight": {
            "fields": { "*": {} }, "fragment_size": 2_147_483_647_u32,
            "post_tags": tag("@/HIGHLIGHT@"), "pre_tags": tag("@HIGHLIGHT@"),
        },
        "query": filter(query), "script_fields": {}, "size": size,
        "sort": [
            { "@timestamp": { "order": "desc", "unmapped_type": "boolean" } },
            { "_doc": { "order": "desc" } },
        ],
    })
}

#[test]
fn explore_shows_lines() {
    let server = server();
    for is_flushed in [false, true] {
        if is_flushed {
            server.flush_logs();
        }
        let answers = msearch(&server, &[lines_query("request AND level:error", 500)]);
        let hits = answers[0]["hits"]["hits"].as_array().unwrap();
        assert_eq!((answers[0]["status"].as_u64(), hits.len()), (Some(200), 5));
        assert_eq!(answers[0]["hits"]["total"], json!({ "value": 5, "relation": "eq" }));
        let first = &hits[0];
        assert_eq!(first["_index"], "logs-shop");
        assert_eq!(
            first["highlight"],
            json!({ "message": ["@HIGHLIGHT@request@/HIGHLIGHT@ 16 took 160ms"] })
        );
        assert_eq!(first["fields"]["@timestamp"], json!(["2023-11-14T22:12:50.800000000Z"]));
        assert_eq!(first["sort"][0], NOW_MS - 29_200);
        assert!(first["sort"][1].is_u64());
        assert_eq!(
            first["_source"],
            json!({
                "@timestamp": "2023-11-14T22:12:50.800Z", "message": "request 16 took 160ms",
                "level": "error", "took": "160", "service_name": "shop", "detected_level": "error",
            })
        );
    }
}

#[test]
fn the_context_of_a_line_is_what_lies_beside_it() {
    let server = server();
    let all = msearch(&server, &[lines_query("*", 500)]).remove(0);
    let all = all["hits"]["hits"].as_array().unwrap();
    assert_eq!(all.len(), 20);
    let place = 7;
    let context = |order: &str| {
        let query = json!({
            "query": { "bool": { "filter": [{ "range": { "@timestamp": {
                "format": "epoch_millis", "gte": NOW_MS - 7_200_000, "lte": NOW_MS + 7_200_000,
            } } }] } },
            "search_after": all[place]["sort"], "size": 3,
            "sort": [
                { "@timestamp": { "order": order, "unmapped_type": "boolean" } },
                { "_doc": { "order": order } },
            ],
        });
        let answer = msearch(&server, &[query]).remove(0);
        let hits = answer["hits"]["hits"].as_array().unwrap().clone();
        hits.iter().map(|hit| hit["_id"].clone()).collect::<Vec<_>>()
    };
    let ids: Vec<Value> = all.iter().map(|hit| hit["_id"].clone()).collect();
    assert_eq!(context("desc"), ids[place + 1..place + 4]);
    let mut before = ids[place - 3..place].to_vec();
    before.reverse();
    assert_eq!(context("asc"), before);
}

#[test]
fn lines_of_one_millisecond_are_told_apart() {
    let server = TestServer::new(|_| {});
    let values: Vec<Value> = (0..9)
        .map(|index| {
            json!([format!("{}00{}", NOW_MS * 1_000 - 1_000, index % 3), format!("line {index}")])
        })
        .collect();
    let push = json!({ "streams": [{ "stream": { "app": "x" }, "values": values }] });
    server.send(
        "POST /loki/api/v1/push",
        &[("content-type", "application/json")],
        push.to_string(),
    );
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let mut query = json!({ "size": 2, "sort": [{ "@timestamp": "asc" }, { "_doc": "asc" }] });
        if let Some(after) = after {
            query["search_after"] = after;
        }
        let (_, answer) = send(&server, "POST /elasticsearch/_search", &[JSON], &query.to_string());
        let hits = answer["hits"]["hits"].as_array().unwrap().clone();
        let Some(last) = hits.last() else { break };
        after = Some(last["sort"].clone());
        seen.extend(hits.iter().map(|hit| hit["_source"]["message"].to_string()));
        server.flush_logs();
    }
    seen.sort();
    let expected: Vec<String> = (0..9).map(|index| format!("\"line {index}\"")).collect();
    assert_eq!(seen, expected);
}

/// The volume above the lines: a filter for each group of levels, in steps of time.
#[test]
fn the_volume_of_lines_is_counted_by_level() {
    let server = server();
    let volume = json!({
        "aggs": { "1": {
            "filters": { "filters": {
                "error": { "query_string": { "analyze_wildcard": true, "query": "level:error OR level:err" } },
                "info": { "query_string": { "analyze_wildcard": true, "query": "level:info" } },
            } },
            "aggs": { "2": { "date_histogram": {
                "extended_bounds": { "max": NOW_MS, "min": NOW_MS - 60_000 }, "field": "@timestamp",
                "fixed_interval": "20s", "format": "epoch_millis", "min_doc_count": 0,
            } } },
        } },
        "query": filter("*"), "size": 0,
    });
    let answer = msearch(&server, &[volume]).remove(0);
    let counts = |name: &str| {
        let buckets =
            answer["aggregations"]["1"]["buckets"][name]["2"]["buckets"].as_array().unwrap();
        buckets.iter().map(|bucket| bucket["doc_count"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(counts("error"), [0, 5, 0, 0]);
    assert_eq!(counts("info"), [0, 15, 0, 0]);
}

/// Terms, steps of time and a figure, as a panel of a dashboard asks for them.
#[test]
fn dashboards_show_figures() {
    let server = server();
    let panel = json!({
        "aggs": { "3": {
            "terms": { "field": "service.name.keyword", "min_doc_count": 1, "order": { "1": "desc" }, "size": 10 },
            "aggs": {
                "1": { "avg": { "field": "took" } },
                "2": {
                    "date_histogram": {
                        "extended_bounds": { "max": NOW_MS, "min": NOW_MS - 60_000 }, "field": "@timestamp",
                        "fixed_interval": "60s", "format": "epoch_millis", "min_doc_count": 0,
                    },
                    "aggs": {
                        "1": { "avg": { "field": "took" } },
                        "4": { "percentiles": { "field": "took", "percents": ["50"] } },
                        "5": { "bucket_script": { "buckets_path": { "var1": "1" }, "script": "params.var1 * 2" } },
                    },
                },
            },
        } },
        "query": filter("*"), "size": 0,
    });
    let answer = msearch(&server, &[panel]).remove(0);
    let terms = answer["aggregations"]["3"]["buckets"].as_array().unwrap();
    let keys: Vec<&str> = terms.iter().map(|bucket| bucket["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["cart", "shop"]);
    let steps = terms[0]["2"]["buckets"].as_array().unwrap();
    let full = steps.iter().find(|step| step["doc_count"] == 10).unwrap();
    assert_eq!(full["1"]["value"], 100.0);
    assert_eq!(full["4"]["values"]["50.0"], 100.0);
    assert_eq!(full["5"]["value"], 200.0);
    assert_eq!(full["key_as_string"], (NOW_MS - 80_000).to_string());
}

/// The values of a template variable, without a time and of a query.
#[test]
fn variables_list_values() {
    let server = server();
    let variable = json!({
        "aggs": { "1": { "terms": { "field": "service_name", "order": { "_key": "asc" }, "size": 500 } } },
        "query": filter("level:error"), "size": 0,
    });
    let answer = msearch(&server, &[variable]).remove(0);
    let buckets = answer["aggregations"]["1"]["buckets"].clone();
    assert_eq!(buckets, json!([{ "key": "shop", "doc_count": 5 }]));
}

#[test]
fn one_search_that_is_wrong_leaves_the_others() {
    let server = server();
    let wrong = json!({ "query": filter("(request") });
    let answers = msearch(&server, &[lines_query("*", 1), wrong]);
    assert_eq!(answers[0]["hits"]["hits"].as_array().unwrap().len(), 1);
    assert_eq!((answers[1]["status"].as_u64(), answers.len()), (Some(400), 2));
    let error = &answers[1]["error"];
    assert_eq!(error["type"], "query_shard_exception");
    assert_eq!(error["root_cause"][0]["reason"], error["reason"]);
    for (body, reason) in [("", "holds no search"), ("{}\n", "no body"), ("{\n{}\n", "")] {
        let (status, answer) = send(&server, MSEARCH, &[JSON], body);
        match reason {
            "" => assert_eq!(answer["responses"][0]["status"], 400),
            reason => {
                assert_eq!(status, 400);
                assert!(answer["error"]["reason"].as_str().unwrap().contains(reason), "{answer}");
            }
        }
    }
}

#[test]
fn buckets_are_bounded() {
    let server = TestServer::new(|setup| setup.settings.elasticsearch.max_buckets = 10);
    let steps = |interval: &str| {
        let body = json!({ "size": 0, "aggs": { "a": { "date_histogram": {
            "field": "@timestamp", "fixed_interval": interval,
            "extended_bounds": { "min": NOW_MS - 60_000, "max": NOW_MS },
        } } } });
        send(&server, "POST /elasticsearch/_search", &[JSON], &body.to_string())
    };
    assert_eq!(steps("10s").0, 200);
    let (status, answer) = steps("1s");
    assert_eq!((status, &answer["error"]["type"]), (400, &json!("too_many_buckets_exception")));
    let reason = answer["error"]["reason"].as_str().unwrap();
    assert!(reason.contains("elasticsearch.max_buckets"), "{reason}");
}

#[test]
fn indices_are_listed() {
    let server = server();
    let (_, answer) = send(&server, "GET /elasticsearch/_cat/indices?format=json", &[], "");
    let rows: Vec<(&str, &str)> = answer
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["index"].as_str().unwrap(), row["docs.count"].as_str().unwrap()))
        .collect();
    assert_eq!(rows, [("logs-shop", "20"), ("mirador", "1")]);
    let table = server.send("GET /_cat/indices/logs-*?v", &[], "");
    assert_eq!(
        table.text(),
        "health status index uuid pri rep docs.count docs.deleted\ngreen open logs-shop logs-shop 1 0 20 0\n"
    );
    let (_, answer) = send(&server, "GET /elasticsearch/_resolve/index/log*", &[], "");
    assert_eq!(answer["indices"], json!([{ "name": "logs-shop", "attributes": ["open"] }]));
    let (_, answer) = send(&server, "GET /elasticsearch/_aliases", &[], "");
    assert_eq!(answer, json!({ "logs-shop": { "aliases": {} }, "mirador": { "aliases": {} } }));
    let (_, answer) = send(&server, "GET /logs-*/_count?q=level:error", &[], "");
    assert_eq!(answer["count"], 5);
}

#[test]
fn searches_are_for_those_who_may_read() {
    let server = TestServer::new(|_| {});
    let refused = server.send("POST /elasticsearch/_search", &[("x-test-refuse", "scope")], "{}");
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("security_exception"), "{}", refused.text());
}
