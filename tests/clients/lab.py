"""Three services that call each other, and a database, with OpenTelemetry's own libraries: what operators
meet in training. caller calls callee, callee calls callee-with-db, which asks the database.

    lab.py ADDRESS

Reads lines from standard input, does what they say, and answers each with the id of the trace:

    health   caller asks callee
    log      caller, callee, callee-with-db and an INSERT; each writes a line of log with the trace's id
    slow     the same way to `SELECT pg_sleep($)`, which takes the seconds that follow; answered at once
    cpu      caller, callee, which computes
    wait     until what was answered at once has ended and was sent
"""

import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry import context, propagate, trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import SpanKind, format_trace_id

address = sys.argv[1]


class PendingSpans(SimpleSpanProcessor):
    """Tells of each span when it starts, as Logfire's library does: by a span of its own below it, which
    names the real parent."""

    def on_start(self, span, parent_context=None):
        real = span.get_span_context()
        parent = trace.format_span_id(span.parent.span_id) if span.parent else "0" * 16
        marks = {"logfire.span_type": "pending_span", "logfire.pending_parent_id": parent}
        own_id = RandomIdGenerator().generate_span_id()
        pending = ReadableSpan(
            name=span.name,
            context=trace.SpanContext(real.trace_id, own_id, False, real.trace_flags),
            parent=real,
            resource=span.resource,
            attributes={**span.attributes, **marks},
            kind=span.kind,
            start_time=span.start_time,
            end_time=span.start_time,
            instrumentation_scope=span.instrumentation_scope,
        )
        super().on_end(pending)

    def on_end(self, span):
        pass


class Service:
    def __init__(self, name, below=None):
        resource = Resource(
            {"service.name": name, "service.namespace": "java", "k8s.pod.name": f"{name}-0"}
        )
        traces = TracerProvider(resource=resource)
        exporter = OTLPSpanExporter(endpoint=f"http://{address}/v1/traces")
        traces.add_span_processor(PendingSpans(exporter))
        traces.add_span_processor(SimpleSpanProcessor(exporter))
        self.tracer = traces.get_tracer("lab")
        logs = LoggerProvider(resource=resource)
        exporter = OTLPLogExporter(endpoint=f"http://{address}/v1/logs")
        logs.add_log_record_processor(SimpleLogRecordProcessor(exporter))
        self.logger = logs.get_logger("lab")
        self.name, self.below = name, below
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def handler(service):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                headers = {name.lower(): value for name, value in self.headers.items()}
                parent = propagate.extract(headers)
                action, _, rest = self.path.strip("/").partition("/")
                trace_id = service.serve(action, rest, parent)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(trace_id.encode())

            def log_message(self, *_):
                pass

        return Handler

    def serve(self, action, rest, parent):
        path = f"/{action}" if self.name == "caller" else f"/{self.name}/{action}"
        attributes = {"http.request.method": "GET", "http.route": path}
        with self.tracer.start_as_current_span(
            f"GET {path}", context=parent, kind=SpanKind.SERVER, attributes=attributes
        ) as span:
            if action in ("log", "slow"):
                self.log(f"{self.name} was called for {action}")
            deepest = {"health": "callee", "cpu": "callee"}.get(action, "callee-with-db")
            if self.name != deepest:
                self.call(action, rest)
            elif action == "cpu":
                sum(n * n for n in range(200_000))
            elif action == "log":
                self.query("INSERT INTO logs (line) VALUES ($)", 0)
            elif action == "slow":
                self.query("SELECT pg_sleep($)", float(rest))
            span.set_attribute("http.response.status_code", 200)
            return format_trace_id(span.get_span_context().trace_id)

    def call(self, action, rest):
        url = f"http://127.0.0.1:{self.below.server.server_port}/{action}/{rest}"
        attributes = {"http.request.method": "GET", "server.address": self.below.name}
        with self.tracer.start_as_current_span("GET", kind=SpanKind.CLIENT, attributes=attributes):
            headers = {}
            propagate.inject(headers)
            urllib.request.urlopen(urllib.request.Request(url, headers=headers)).read()

    def query(self, text, seconds):
        attributes = {
            "db.system.name": "postgresql",
            "db.namespace": "demo",
            "db.query.text": text,
            "server.address": "database",
        }
        with self.tracer.start_as_current_span(
            text.split()[0], kind=SpanKind.CLIENT, attributes=attributes
        ):
            time.sleep(seconds)

    def log(self, body):
        self.logger.emit(
            body=body, severity_number=SeverityNumber.INFO, severity_text="INFO",
            context=context.get_current(), timestamp=time.time_ns(),
        )


caller = Service("caller", Service("callee", Service("callee-with-db")))


def ask(action, rest=""):
    url = f"http://127.0.0.1:{caller.server.server_port}/{action}/{rest}"
    return urllib.request.urlopen(url).read().decode()


running = []
for line in sys.stdin:
    action, *rest = line.split()
    if action == "slow":
        running.append(threading.Thread(target=ask, args=(action, *rest)))
        running[-1].start()
        print("started", flush=True)
    elif action == "wait":
        for thread in running:
            thread.join()
        print("ended", flush=True)
    else:
        print(ask(action, *rest), flush=True)
