"""Sends documents as fast as the official client can, and says how many were acknowledged:
bulk.py ADDRESS COUNT."""

import datetime
import sys
import time

from elasticsearch import Elasticsearch, helpers

address, count = sys.argv[1], int(sys.argv[2])
server = Elasticsearch(f"http://{address}/elasticsearch")


def documents():
    start = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=30)
    for number in range(count):
        at = start + datetime.timedelta(microseconds=number)
        yield {
            "_index": "logs-bulk",
            "_op_type": "create",
            "_source": {
                "@timestamp": at.isoformat(),
                "message": f"document {number} of a bulk",
                "service": {"name": "bulk"},
                "http": {"status": 200 + number % 5, "path": f"/items/{number % 1000}"},
            },
        }


began = time.monotonic()
done = helpers.parallel_bulk(server, documents(), thread_count=4, chunk_size=2000)
acknowledged = sum(1 for is_done, _ in done if is_done)
took = time.monotonic() - began
print(f"{acknowledged} acknowledged")
print(f"{acknowledged / took:.0f} documents a second", file=sys.stderr)
