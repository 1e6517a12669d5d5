"""Sends lines with a client that its makers publish: logs.py CLIENT ADDRESS [ADDRESS OF FLUENTD]."""

import logging
import sys

client, address = sys.argv[1], sys.argv[2]


def elasticsearch():
    from elasticsearch import Elasticsearch, helpers

    server = Elasticsearch(f"http://{address}/elasticsearch")
    assert server.cluster.health()["status"] == "green"
    document = {"message": "by elasticsearch", "service": {"name": "clients"}}
    created = [{"_index": "logs", "_op_type": "create", "_source": document}] * 3
    assert helpers.bulk(server, created) == (3, [])
    assert server.index(index="logs", document=document)["result"] == "created"
    done, errors = helpers.bulk(
        server, [{"_index": "logs", "_op_type": "delete", "_id": "1"}], raise_on_error=False
    )
    assert (done, errors[0]["delete"]["status"]) == (0, 400), errors


def elasticsearch_search():
    from elasticsearch import BadRequestError, Elasticsearch

    server = Elasticsearch(f"http://{address}/elasticsearch")
    newest = [{"@timestamp": {"order": "desc"}}, {"_doc": {"order": "desc"}}]
    found = server.search(index="logs", query={"match": {"message": "ELASTICSEARCH"}}, sort=newest)
    hits = found["hits"]["hits"]
    assert found["hits"]["total"] == {"value": 4, "relation": "eq"}, found
    assert [hit["_source"]["message"] for hit in hits] == ["by elasticsearch"] * 4
    after = server.search(index="logs", sort=newest, search_after=hits[1]["sort"], size=10)
    assert len(after["hits"]["hits"]) <= 3, after
    terms = {"apps": {"terms": {"field": "service.name.keyword"}}}
    counted = server.search(index="*", size=0, aggs=terms)["aggregations"]["apps"]["buckets"]
    assert {"key": "clients", "doc_count": 4} in counted, counted
    assert server.count(index="logs", q='service.name:"clients"')["count"] == 4
    many = server.msearch(searches=[{"index": "logs"}, {"size": 0}, {}, {"query": {"nope": {}}}])
    assert [one["status"] for one in many["responses"]] == [200, 400], many
    fields = server.field_caps(index="logs", fields="*")["fields"]
    assert "date" in fields["@timestamp"] and "keyword" in fields["service_name"], fields
    properties = server.indices.get_mapping(index="logs")["logs"]["mappings"]["properties"]
    assert properties["message"] == {"type": "text"}, properties
    assert "logs" in [row["index"] for row in server.cat.indices(format="json")]
    assert server.indices.resolve_index(name="lo*")["indices"][0]["name"] == "logs"
    try:
        server.search(query={"query_string": {"query": "(open"}})
        raise AssertionError("a query that can't be read is answered")
    except BadRequestError as error:
        assert "at character 1" in str(error), error


def loki():
    import logging_loki

    handler = logging_loki.LokiHandler(
        url=f"http://{address}/loki/api/v1/push", tags={"app": "clients"}
    )
    handler.handleError = lambda record: sys.exit(str(sys.exc_info()[1]))
    logger = logging.getLogger("loki")
    logger.addHandler(handler)
    logger.error("by loki", extra={"tags": {"sea": "바다"}})


def fluent():
    from fluent import sender

    host, port = sys.argv[3].split(":")
    for precise in (False, True):
        one = sender.FluentSender(
            "clients", host=host, port=int(port), nanosecond_precision=precise
        )
        assert one.emit("x", {"message": "by fluent", "app": "clients"}), one.last_error
        one.close()


def otlp(exporter):
    from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
    from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
    from opentelemetry.sdk.resources import Resource

    provider = LoggerProvider(resource=Resource.create({"service.name": "clients"}))
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    logger = logging.getLogger("otlp")
    logger.addHandler(LoggingHandler(logger_provider=provider))
    logger.warning(f"by {client}")
    provider.shutdown()


def otlp_http():
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter

    otlp(OTLPLogExporter(endpoint=f"http://{address}/v1/logs"))


def otlp_grpc():
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter

    otlp(OTLPLogExporter(endpoint=address, insecure=True))


globals()[client]()
print("sent")
