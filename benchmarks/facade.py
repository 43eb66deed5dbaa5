"""Hits per second of the asynchronous clients, for 1 to 1,000 tasks, each library in its own process."""

from __future__ import annotations

import importlib.util
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from child import Child
from environments import pypi_python
from measure import Figure, rotated
from servers import ROOT
from workload import Databases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workload import Workload

SCRIPT = Path(__file__).resolve().parent / "facade_load.py"
OURS, RAW, PYPI = "AsyncMRCClient", "redis.asyncio + orjson", "actvalue.mysql-redis-cache"
LIBRARIES = {OURS: "ours", RAW: "raw", PYPI: "pypi"}
DATABASES = {OURS: Databases.FACADE, RAW: Databases.FACADE + 1, PYPI: Databases.FACADE + 2}
TASKS = (1, 4, 16, 64, 256, 1000)
QUICK_TASKS = (1, 16, 64)
LOOPS = ("asyncio", "uvloop")
IDLE = "nothing"
WATCHED = ((IDLE, 0, False), ("64 tasks, 1 kB", 64, False), ("4 tasks, 1 MB", 4, True))


@dataclass(frozen=True, slots=True)
class Load:
    """One question: so many tasks on an event loop of this kind."""

    loop: str
    tasks: int


Answers = dict[str, list[dict[str, Any]]]
"""By library, what it answered in each round."""


@dataclass(slots=True)
class FacadeResult:
    """What was answered: under load, and, on asyncio, while single callbacks were watched."""

    titles: dict[str, str] = field(default_factory=dict)
    loads: dict[Load, Answers] = field(default_factory=dict)
    holds: dict[str, Answers] = field(default_factory=dict)  # by the titles of WATCHED

    def median(self, load: Load, library: str, figure: str) -> float:
        """The median of a *figure* (``rate``, ``p99``, …) over the rounds."""
        return statistics.median(float(answer[figure]) for answer in self.loads[load][library])

    def ratio(self, load: Load, reference: str, library: str, figure: str) -> Figure:
        """How many times the *reference*'s figure the *library*'s is, compared round by round."""
        pairs = zip(self.loads[load][library], self.loads[load][reference], strict=True)
        return Figure.of([ours[figure] / theirs[figure] for ours, theirs in pairs])

    def errors(self, load: Load, library: str) -> str:
        """The first error under this *load*, or nothing."""
        return next((answer["first_error"] for answer in self.loads[load][library] if answer["errors"]), "")


def measure_facade(workload: Workload, *, quick: bool) -> FacadeResult:
    """Ask every library in turn, for every number of tasks, on every event loop there is."""
    result = FacadeResult()
    rounds, seconds = (1, 0.25) if quick else (4, 0.3)
    for loop in LOOPS:
        if loop == "uvloop" and importlib.util.find_spec("uvloop") is None:
            print("uvloop is left out: it is not installed (pip install --group bench)", file=sys.stderr)
            continue
        children = dict(_children(workload, loop))
        try:
            result.titles = {name: _title(name, child) for name, child in children.items()}
            for tasks in QUICK_TASKS if quick else TASKS:
                question = {"tasks": tasks, "seconds": seconds, "large": False, "holds": False}
                result.loads[Load(loop, tasks)] = _ask_in_turns(children, question, rounds)
            if loop == "asyncio":
                result.holds = _holds(children, rounds, seconds)
        finally:
            for child in children.values():
                child.close()
    return result


def _holds(children: dict[str, Child], rounds: int, seconds: float) -> dict[str, Answers]:
    return {
        title: _ask_in_turns(
            children, {"tasks": tasks, "seconds": seconds, "large": large, "holds": True}, rounds
        )
        for title, tasks, large in WATCHED
    }


def _ask_in_turns(children: dict[str, Child], question: dict[str, Any], rounds: int) -> Answers:
    answers: Answers = {name: [] for name in children}
    for turn in range(rounds):
        for name in rotated(list(children), turn):
            answers[name].append(children[name].ask(**question))
    return answers


def _children(workload: Workload, loop: str) -> Iterator[tuple[str, Child]]:
    for name, library in LIBRARIES.items():
        python = pypi_python() if name == PYPI else sys.executable
        if python is None:
            continue
        orders = {
            "library": library,
            "loop": loop,
            "mysql": workload.mysql_with_db,
            "redis": (workload.patient_redis if name == OURS else workload.redis)(DATABASES[name]),
            "paths": [str(ROOT)] if name == OURS else [],
        }
        yield name, Child(python, SCRIPT, orders)


def _title(name: str, child: Child) -> str:
    details = [child.hello["version"], f"Python {child.hello['python']}"]
    return f"{name} ({', '.join(detail for detail in details if detail)})"
