"""Sends a trace of two spans with a client that its makers publish, and prints the trace's id.

    traces.py CLIENT ADDRESS [ADDRESS OF JAEGER'S DATAGRAMS]
"""

import sys
import time

client, address = sys.argv[1], sys.argv[2]


def opentelemetry(exporter):
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.trace import SpanKind, Status, StatusCode, format_trace_id

    provider = TracerProvider(resource=Resource({"service.name": "clients", "host.name": "제주"}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("lib", "1.0")
    with tracer.start_as_current_span(f"by {client}", kind=SpanKind.SERVER) as root:
        root.set_attribute("number", 7)
        with tracer.start_as_current_span("child", kind=SpanKind.CLIENT) as child:
            child.add_event("retry", {"attempt": 2})
            child.set_status(Status(StatusCode.ERROR, "refused"))
    if not provider.force_flush():
        sys.exit("the export failed")
    provider.shutdown()
    return format_trace_id(root.get_span_context().trace_id)


def otlp_http():
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return opentelemetry(
        OTLPSpanExporter(endpoint=f"http://{address}/v1/traces", compression=Compression.Gzip)
    )


def otlp_json():
    from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter

    return opentelemetry(OTLPSpanExporter(endpoint=f"http://{address}/v1/traces"))


def otlp_grpc():
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    return opentelemetry(OTLPSpanExporter(endpoint=address, insecure=True))


def otel_zipkin():
    from opentelemetry.exporter.zipkin.json import ZipkinExporter

    return opentelemetry(ZipkinExporter(endpoint=f"http://{address}/zipkin/api/v2/spans"))


def jaeger_client():
    from jaeger_client import Config

    host, port = sys.argv[3].split(":")
    agent = {"reporting_host": host, "reporting_port": int(port)}
    settings = {"sampler": {"type": "const", "param": 1}, "local_agent": agent}
    tracer = Config(config=settings, service_name="clients", validate=True).new_tracer()
    with tracer.start_span(f"by {client}", tags={"span.kind": "server", "number": 7}) as root:
        with tracer.start_span("child", child_of=root) as child:
            child.set_tag("span.kind", "client")
            child.set_tag("error", True)
            child.log_kv({"event": "retry", "attempt": 2})
    flushed = tracer.close()
    for _ in range(100):
        if flushed.done():
            break
        time.sleep(0.1)
    return f"{root.trace_id:032x}"


def jaeger_grpc():
    """No library that is still maintained speaks Jaeger's gRPC: its message by hand, sent by grpcio."""
    import os

    import grpc

    def varint(number):
        low, rest = number & 127, number >> 7
        return bytes([low | 128]) + varint(rest) if rest else bytes([low])

    def field(number, value):
        if isinstance(value, int):
            return varint(number << 3) + varint(value)
        return varint(number << 3 | 2) + varint(len(value)) + value

    def tag(key, **value):
        kinds = {"text": (3, 0), "boolean": (4, 1), "int": (5, 2)}
        [(kind, content)] = value.items()
        number, type_number = kinds[kind]
        content = content.encode() if isinstance(content, str) else content
        return field(1, key.encode()) + field(2, type_number) + field(number, content)

    def span(span_id, name, tags, more=b""):
        start = field(6, field(1, int(time.time())))
        all_tags = b"".join(field(8, one) for one in tags)
        return field(1, trace) + field(2, span_id) + field(3, name.encode()) + start + all_tags + more

    trace, root, child = os.urandom(16), os.urandom(8), os.urandom(8)
    log = field(9, field(2, tag("event", text="retry")))
    parent = field(4, field(1, trace) + field(2, root))
    spans = [
        span(root, f"by {client}", [tag("span.kind", text="server"), tag("number", int=7)]),
        span(child, "child", [tag("span.kind", text="client"), tag("error", boolean=1)], parent + log),
    ]
    batch = b"".join(field(1, one) for one in spans) + field(2, field(1, b"clients"))
    with grpc.insecure_channel(address) as channel:
        post = channel.unary_unary("/jaeger.api_v2.CollectorService/PostSpans")
        assert post(field(1, batch), timeout=10) == b""
    return trace.hex()


def py_zipkin(encoding, path):
    import urllib.request

    from py_zipkin import Kind
    from py_zipkin.transport import BaseTransportHandler
    from py_zipkin.util import generate_random_64bit_string, generate_random_128bit_string
    from py_zipkin.zipkin import ZipkinAttrs, zipkin_client_span, zipkin_span

    class Transport(BaseTransportHandler):
        def get_max_payload_bytes(self):
            return None

        def send(self, payload):
            data = payload if isinstance(payload, bytes) else payload.encode()
            media = "x-protobuf" if "PROTO" in encoding.name else "json"
            request = urllib.request.Request(
                f"http://{address}{path}", data, {"Content-Type": f"application/{media}"}
            )
            assert urllib.request.urlopen(request).status == 202

    trace_id = generate_random_128bit_string()
    attributes = ZipkinAttrs(trace_id, generate_random_64bit_string(), None, "0", True)
    with zipkin_span(
        service_name="clients",
        span_name=f"by {client}",
        kind=Kind.SERVER,
        zipkin_attrs=attributes,
        transport_handler=Transport(),
        encoding=encoding,
        binary_annotations={"number": "7"},
    ):
        with zipkin_client_span(service_name="clients", span_name="child") as child:
            child.add_annotation("retry")
            child.update_binary_annotations({"error": "refused"})
    return trace_id


def zipkin_json():
    from py_zipkin import Encoding

    return py_zipkin(Encoding.V2_JSON, "/zipkin/api/v2/spans")


def zipkin_protobuf():
    from py_zipkin import Encoding

    return py_zipkin(Encoding.V2_PROTO3, "/zipkin/api/v2/spans")


def zipkin_version1():
    from py_zipkin import Encoding

    return py_zipkin(Encoding.V1_JSON, "/zipkin/api/v1/spans")


print(globals()[client]())
