"""What tests/chaos/test_prometheus_workers.py serves: a page that reads, one with all metrics.

It is gunicorn's configuration too: a worker that has ended is taken out of the gauges.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, generate_latest, multiprocess

from mysql_redis_cache import MRCClient
from mysql_redis_cache.contrib.prometheus import export

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["app", "child_exit"]

client = MRCClient(os.environ["SERVED_MYSQL"], os.environ["SERVED_REDIS"], name="shop")
export(client)


def child_exit(server: Any, worker: Any) -> None:
    """Take the gauges of a worker out; gunicorn calls it."""
    multiprocess.mark_process_dead(worker.pid)


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Read and tell by which process, or show what all processes counted."""
    if environ["PATH_INFO"] == "/metrics":
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
        body = json.dumps({"page": generate_latest(registry).decode()})
    else:
        client.query_with_cache("SELECT ? AS number", [os.getpid()], ["Pid"], 60)
        body = json.dumps({"pid": os.getpid()})
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body.encode()]
