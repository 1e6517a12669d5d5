//! Traces over gRPC, asked by tonic's client of the real server: Tempo's streams, Jaeger's query API and
//! what Jaeger reads from a storage. On the main port, beside HTTP.

use crate::support::{Folder, Server, wait_for};
use std::time::{SystemTime, UNIX_EPOCH};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use wire::proto::jaeger::{api_v3, storage::v2 as storage};
use wire::proto::opentelemetry::proto::trace::v1::TracesData;
use wire::proto::tempopb as tempo;

/// Ten traces of two spans, the last the newest; answers the time of the first, in nanoseconds.
fn send(server: &Server) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let spans = (1..=10).map(|trace| {
        let start = now - 60_000_000_000 + trace * 1_000_000_000;
        let span = |id: u64, parent: &str| {
            format!(
                r#"{{"traceId":"{trace:032x}","spanId":"{id:016x}","name":"span {id}"{parent},"kind":2,
                "startTimeUnixNano":"{start}","endTimeUnixNano":"{}"}}"#,
                start + 5_000_000
            )
        };
        format!("{},{}", span(1, ""), span(2, r#","parentSpanId":"0000000000000001""#))
    });
    let resource = r#"{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]}"#;
    let body = format!(
        r#"{{"resourceSpans":[{{"resource":{resource},"scopeSpans":[{{"spans":[{}]}}]}}]}}"#,
        spans.collect::<Vec<_>>().join(",")
    );
    let json = [("content-type", "application/json")];
    let reply = server.connect().send("POST", "/v1/traces", &json, body.as_bytes());
    assert_eq!(reply.status, 200, "{}", reply.text());
    now - 59_000_000_000
}

/// Calls a method whose answers stream; `tenant` goes into the metadata.
async fn call<Q, A>(
    server: &Server,
    method: &str,
    question: Q,
    tenant: &str,
) -> Result<Vec<A>, Status>
where
    Q: prost::Message + Send + Sync + 'static,
    A: prost::Message + Default + Send + Sync + 'static,
{
    let url = format!("http://{}", server.address);
    let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
    let mut client = Grpc::new(channel);
    client.ready().await.unwrap();
    let mut request = Request::new(question);
    if !tenant.is_empty() {
        request.metadata_mut().insert("x-scope-orgid", tenant.parse().unwrap());
    }
    let path = PathAndQuery::try_from(format!("/{method}")).unwrap();
    let codec = ProstCodec::<Q, A>::default();
    let mut answers = client.server_streaming(request, path, codec).await?.into_inner();
    let mut found = Vec::new();
    while let Some(answer) = answers.message().await? {
        found.push(answer);
    }
    Ok(found)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn tempo_answers_a_client_of_grpc() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    let first = send(&server);
    runtime().block_on(async {
        let search = |query: &str| tempo::SearchRequest {
            query: query.to_owned(),
            limit: 5,
            ..tempo::SearchRequest::default()
        };
        let method = "tempopb.StreamingQuerier/Search";
        let found: Vec<tempo::SearchResponse> =
            call(&server, method, search("{ kind = server }"), "").await.unwrap();
        let ids: Vec<&str> =
            found.iter().flat_map(|answer| &answer.traces).map(|trace| &*trace.trace_id).collect();
        assert_eq!(ids, ["a", "9", "8", "7", "6"]);
        let metrics = found.last().unwrap().metrics.as_ref().unwrap();
        assert_eq!((metrics.completed_jobs, metrics.total_jobs), (1, 1));
        let other: Vec<tempo::SearchResponse> =
            call(&server, method, search("{}"), "other").await.unwrap();
        assert!(other.iter().all(|answer| answer.traces.is_empty()));
        let wrong = call::<_, tempo::SearchResponse>(&server, method, search("{ kind"), "").await;
        let status = wrong.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains("parse error at line 1"), "{status}");
        let question = tempo::QueryRangeRequest {
            query: "{ } | count_over_time()".to_owned(),
            start: first - 1_000_000_000,
            end: first + 20_000_000_000,
            step: 1_000_000_000,
            exemplars: 3,
        };
        let method = "tempopb.StreamingQuerier/MetricsQueryRange";
        let found: Vec<tempo::QueryRangeResponse> =
            call(&server, method, question, "").await.unwrap();
        let samples = found.iter().flat_map(|answer| &answer.series).flat_map(|one| &one.samples);
        assert_eq!(samples.map(|sample| sample.value).sum::<f64>(), 20.0);
    });
}

#[test]
fn jaeger_answers_a_client_of_grpc() {
    let folder = Folder::new();
    let server = Server::start(folder.path());
    send(&server);
    runtime().block_on(async {
        let method = "jaeger.api_v3.QueryService/GetServices";
        let found: Vec<api_v3::GetServicesResponse> =
            call(&server, method, api_v3::GetServicesRequest {}, "").await.unwrap();
        assert_eq!(found[0].services, ["shop"]);
        let by_id = |trace_id: &str| api_v3::GetTraceRequest { trace_id: trace_id.to_owned() };
        let method = "jaeger.api_v3.QueryService/GetTrace";
        let found: Vec<TracesData> = call(&server, method, by_id("a"), "").await.unwrap();
        assert_eq!(found[0].resource_spans[0].scope_spans[0].spans.len(), 2);
        let none = call::<_, TracesData>(&server, method, by_id("ff"), "").await.unwrap_err();
        assert_eq!(none.code(), Code::NotFound);
        let query = storage::TraceQueryParameters {
            service_name: "shop".to_owned(),
            search_depth: 3,
            ..storage::TraceQueryParameters::default()
        };
        let question = storage::FindTracesRequest { query: Some(query) };
        let method = "jaeger.storage.v2.TraceReader/FindTraces";
        let found: Vec<TracesData> = call(&server, method, question, "").await.unwrap();
        assert_eq!(found.len(), 3, "a message for each trace");
        let method = "jaeger.storage.v2.TraceReader/Other";
        let unknown = call::<_, TracesData>(&server, method, by_id("a"), "").await.unwrap_err();
        assert_eq!(unknown.code(), Code::Unimplemented, "{unknown}");
    });
}

#[test]
fn the_servers_own_requests_are_in_its_store() {
    let folder = Folder::new();
    let server = Server::start_with(folder.path(), &["--set", "traces.store_own_requests=1"]);
    let id = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{id}-b7ad6b7169203331-01");
    let headers = [("traceparent", parent.as_str())];
    let reply = server.connect().send("GET", "/tempo/api/search?q=%7B%7D", &headers, b"");
    assert_eq!(reply.status, 200, "{}", reply.text());
    let trace = wait_for("the span of the request", || {
        let text = server.get(&format!("/tempo/api/v2/traces/{id}")).text().to_owned();
        text.contains("GET /tempo/api/search").then_some(text)
    });
    for expected in ["\"mirador\"", "evaluate", "http.route", "SPAN_KIND_SERVER"] {
        assert!(trace.contains(expected), "{expected}: {trace}");
    }
}
