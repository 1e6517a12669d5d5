"""Records a few measurements with OpenTelemetry's own library and sends them once.

    otel.py PROTOCOL ADDRESS   (PROTOCOL: protobuf, json, grpc or remote_write)
"""

import sys

from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource


def exporter(protocol, address, temporality):
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

        return OTLPMetricExporter(
            endpoint=address, insecure=True, preferred_temporality=temporality, compression=None
        )
    url = f"http://{address}/v1/metrics"
    if protocol == "protobuf":
        from opentelemetry.exporter.otlp.proto.http import Compression
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

        return OTLPMetricExporter(
            endpoint=url, compression=Compression.Gzip, preferred_temporality=temporality
        )
    if protocol == "json":
        from opentelemetry.exporter.otlp.json.http.metric_exporter import OTLPMetricExporter

        return OTLPMetricExporter(endpoint=url, preferred_temporality=temporality)
    from opentelemetry.exporter.prometheus_remote_write import PrometheusRemoteWriteMetricsExporter

    return PrometheusRemoteWriteMetricsExporter(endpoint=f"http://{address}/api/v1/write")


def main():
    protocol, address = sys.argv[1:3]
    delta = protocol in ("protobuf", "grpc")
    wanted = AggregationTemporality.DELTA if delta else AggregationTemporality.CUMULATIVE
    temporality = {Counter: wanted, Histogram: AggregationTemporality.CUMULATIVE}
    reader = PeriodicExportingMetricReader(
        exporter(protocol, address, temporality), export_interval_millis=3_600_000
    )
    resource = Resource({"service.name": "shop", "service.instance.id": protocol})
    views = [View(instrument_name="weight", aggregation=ExponentialBucketHistogramAggregation())]
    if protocol == "remote_write":
        views = []
    provider = MeterProvider(metric_readers=[reader], resource=resource, views=views)
    meter = provider.get_meter("test")
    orders = meter.create_counter("orders", unit="1", description="Orders.")
    open_carts = meter.create_up_down_counter("open.carts")
    latency = meter.create_histogram("latency", unit="s")
    weight = meter.create_histogram("weight", unit="kg")
    # Twice, so that deltas have to be added up.
    for _ in range(2):
        for number in range(1, 101):
            orders.add(number, {"kind": "book" if number % 2 else "제주"})
            latency.record(number / 100)
            if protocol != "remote_write":
                weight.record(number / 4)
        open_carts.add(5)
        open_carts.add(-2)
        if not provider.force_flush():
            sys.exit("the export failed")
    provider.shutdown()
    print("sent")


main()
