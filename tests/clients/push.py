"""Pushes with Prometheus' own library for Python: sys.argv[1] is HOST:PORT/PREFIX."""

import sys

from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client import delete_from_gateway, push_to_gateway, pushadd_to_gateway

gateway = sys.argv[1]

registry = CollectorRegistry()
Gauge("job_last_success_unixtime", "When the job succeeded last.", registry=registry).set(1.7e9)
seconds = Histogram("job_seconds", "How long it took.", ["step"], buckets=[1, 5], registry=registry)
seconds.labels(step="copy").observe(0.5)
seconds.labels(step="copy").observe(7)
push_to_gateway(gateway, job="backup", grouping_key={"path": "/var/lib"}, registry=registry)

second = CollectorRegistry()
Gauge("job_bytes", "How much was copied.", registry=second).set(4096)
pushadd_to_gateway(gateway, job="backup", grouping_key={"path": "/var/lib"}, registry=second)

push_to_gateway(gateway, job="gone", registry=registry)
delete_from_gateway(gateway, job="gone")
