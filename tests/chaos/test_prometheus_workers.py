"""Prometheus under gunicorn: one page, whichever worker gives it, has what all of them did."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.processes import ROOT, ServingProcess, eventually, is_alive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WORKERS = 2
GUNICORN = [
    *("-m", "gunicorn", "--bind", "127.0.0.1:PORT", "--workers", str(WORKERS), "--threads", "3"),
    *("--graceful-timeout", "20", "--no-control-socket", "--config", "python:tests.support.measured"),
]


@pytest.fixture(params=[[], ["--preload"]], ids=["each worker loads", "preload"])
def server(
    request: pytest.FixtureRequest,
    mysql_url: str,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[ServingProcess]:
    """Gunicorn with two workers, whose metrics are in files."""
    files = tmp_path / "metrics"
    files.mkdir()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(files))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("SERVED_MYSQL", mysql_url)
    monkeypatch.setenv("SERVED_REDIS", redis_url)
    with ServingProcess(tmp_path, [*GUNICORN, *request.param, "tests.support.measured:app"]) as server:
        server.await_answer()
        yield server


def page(server: ServingProcess) -> dict[tuple[str, ...], float]:
    """Return the page: values by name and all labels but ``cache``, in the order of their names."""
    shown: dict[tuple[str, ...], float] = {}
    for family in text_string_to_metric_families(server.ask("metrics")["page"]):
        for sample in family.samples:
            labels = sorted(sample.labels.items())
            shown[sample.name, *[value for name, value in labels if name != "cache"]] = sample.value
    return shown


def read_by_all(server: ServingProcess, pids: set[int]) -> int:
    """Read until so many workers have; return how often that was."""
    for reads in range(1, 2000):
        pids.add(server.ask("read")["pid"])
        if len(pids) >= WORKERS and reads >= 10:
            return reads
    raise AssertionError(f"only {pids} answered")


def test_two_workers_are_one_page(server: ServingProcess) -> None:
    """Counts are of both, durations too; a worker that ends takes its gauges along and leaves its counts."""
    pids: set[int] = set()
    reads = 1 + read_by_all(server, pids)  # one was to see whether it serves

    def counted() -> bool:
        shown = page(server)
        return sum(shown.get(("mrc_requests_total", result), 0) for result in ("hit", "miss")) == reads

    eventually(counted, "all reads are on the page")
    shown = page(server)
    assert shown["mrc_requests_total", "miss"] == len(pids)
    assert shown["mrc_load_duration_seconds_count", "ok"] == len(pids)
    assert shown["mrc_load_duration_seconds_bucket", "+Inf", "ok"] == len(pids)
    assert shown["mrc_pool_max_connections",] == 10 * WORKERS
    assert shown["mrc_redis_available",] == 1
    assert shown["mrc_drops_total", "ok"] == 0

    ending = min(pids)
    os.kill(ending, signal.SIGTERM)
    eventually(lambda: not is_alive(ending), "the worker is gone")
    eventually(lambda: page(server)["mrc_pool_max_connections",] == 10, "its gauges are, too")
    assert counted()

    read_by_all(server, now := {pids.difference({ending}).pop()})
    assert ending not in now
    eventually(lambda: page(server)["mrc_pool_max_connections",] == 10 * WORKERS, "its successor's are there")
    eventually(lambda: page(server)["mrc_requests_total", "miss"] == len(pids | now), "and its counts")
