"""A hundred callers in four processes on one cold key: how often is it loaded, and how long do they wait."""

from __future__ import annotations

import importlib.util
import statistics
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import redis
from aims import Aim, aims_table
from child import Child
from environments import pypi_python
from report import table
from servers import ROOT
from workload import Databases

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from workload import Workload

SCRIPT = Path(__file__).resolve().parent / "cold_callers.py"
PROCESSES, CALLERS = 4, 25
LOAD_SECONDS = 0.5
START_SECONDS = 0.1  # until every process has its question
OURS = ("MRCClient, threads", "AsyncMRCClient, tasks")
LIBRARIES = {
    OURS[0]: "ours",
    OURS[1]: "ours_async",
    "dogpile.cache, threads": "dogpile",
    "actvalue.mysql-redis-cache, tasks": "pypi",
}


@dataclass(frozen=True, slots=True)
class ColdResult:
    """What one library needed, by round."""

    library: str
    loads: Sequence[int]
    waits: Sequence[float]  # seconds until the last caller had its value, in load times

    @property
    def wait(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.waits)


def measure_cold(workload: Workload, *, quick: bool) -> list[ColdResult]:
    """Measure one library after the other; the times are mostly waiting, not computing."""
    rounds = 1 if quick else 3
    return [_measure(workload, name, python, rounds) for name, python in _here()]


def cold_text(results: Sequence[ColdResult]) -> str:
    """A table, and the aims."""
    rows = [[each.library, _span(each.loads), f"{each.wait:.2f}"] for each in results]
    header = ["", "loads", f"last caller answered, in loads of {LOAD_SECONDS:g} s"]
    return f"{table(header, rows)}\n\n{aims_table(list(_aims(results)))}"


def _aims(results: Sequence[ColdResult]) -> Iterator[Aim]:
    for each in results:
        if each.library in OURS:
            loads = _span(each.loads)
            yield Aim(f"loads for a hundred callers ({each.library})", "1", loads, loads == "1")
            yield Aim(f"wait ({each.library})", "at most 1.2 loads", f"{each.wait:.2f}", each.wait <= 1.2)


def _span(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"


def _here() -> Iterator[tuple[str, str]]:
    for name, library in LIBRARIES.items():
        if library == "dogpile" and importlib.util.find_spec("dogpile") is None:
            continue
        python = pypi_python() if library == "pypi" else sys.executable
        if python is not None:
            yield name, python


def _measure(workload: Workload, name: str, python: str, rounds: int) -> ColdResult:
    library = LIBRARIES[name]
    orders = {
        "library": library,
        "callers": CALLERS,
        "load_seconds": LOAD_SECONDS,
        "redis": (workload.patient_redis if name in OURS else workload.redis)(Databases.COLD),
        "mysql": workload.mysql_with_db,
        "paths": [str(ROOT)] if library.startswith("ours") else [],
    }
    counters = redis.Redis(**workload.redis(Databases.COLD))
    with ExitStack() as closing:
        children = [Child(python, SCRIPT, orders) for _ in range(PROCESSES)]
        for child in children:
            closing.callback(child.close)
        for child in children:
            _ = child.hello  # all start at once; wait for each
        _ask_all(children, f"{library}-warm-up")
        waits, loads = [], []
        for number in range(rounds):
            key = f"{library}-{number}"
            waits.append(_ask_all(children, key) / LOAD_SECONDS)
            loads.append(int(counters.get(f"loads:{key}") or 0))
    return ColdResult(name, loads, waits)


def _ask_all(children: Sequence[Child], key: str) -> float:
    at = time.time() + START_SECONDS
    for child in children:
        child.send(key=key, at=at)
    return max(float(child.answer()["seconds"]) for child in children)
