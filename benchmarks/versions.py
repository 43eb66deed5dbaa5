"""Compare this checkout with another one of the same library, side by side on the same private servers.

python benchmarks/versions.py ../other-checkout            hit, miss, uncached query, key, facade
python benchmarks/versions.py ../other-checkout --rounds 40

Every round asks both, in turns; a ratio is taken within each round. Below 1 this checkout is faster.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from child import Child
from facade import SCRIPT as FACADE_SCRIPT
from measure import Figure, rotated
from servers import ROOT, private_servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from workload import Workload

SCRIPT = Path(__file__).resolve().parent / "version_load.py"
THIS, OTHER = "this", "other"
CALLS = {"hit": 400, "miss": 100, "uncached": 200, "key": 5000}
FACADE_TASKS = (1, 64)
FACADE_SECONDS = 0.3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other", type=Path, help="the other checkout")
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    checkouts = {THIS: ROOT, OTHER: options.other.resolve()}
    with private_servers() as workload:
        with children(workload, checkouts, SCRIPT, {}) as both:
            for operation, calls in CALLS.items():
                question = {"operation": operation, "calls": calls}
                compare(operation, both, question, options.rounds, ("wall", "cpu"))
        with children(workload, checkouts, FACADE_SCRIPT, {"library": "ours", "loop": "asyncio"}) as both:
            for tasks in FACADE_TASKS:
                question = {"tasks": tasks, "seconds": FACADE_SECONDS, "large": False, "holds": False}
                compare(f"facade, {tasks} tasks", both, question, options.rounds, ("rate", "p99", "cpu"))


@contextlib.contextmanager
def children(
    workload: Workload, checkouts: dict[str, Path], script: Path, more: dict[str, Any]
) -> Iterator[dict[str, Child]]:
    """One child for each checkout, with a Redis database of its own."""
    with contextlib.ExitStack() as closing:
        both = {}
        for number, (name, path) in enumerate(checkouts.items()):
            servers = {"mysql": workload.mysql_with_db, "redis": workload.patient_redis(number + 1)}
            both[name] = Child(sys.executable, script, {**servers, "paths": [str(path)], **more})
            closing.callback(both[name].close)
        for child in both.values():
            _ = child.hello
        yield both


def compare(
    title: str, both: dict[str, Child], question: dict[str, Any], rounds: int, figures: tuple[str, ...]
) -> None:
    """Ask both in turns, and print the ratios of what they answered."""
    answers: dict[str, list[dict[str, Any]]] = {THIS: [], OTHER: []}
    for turn in range(rounds + 1):
        for name in rotated(list(both), turn):
            answers[name].append(both[name].ask(**question))
    for figure in figures:
        pairs = list(zip(answers[THIS][1:], answers[OTHER][1:], strict=True))
        ratio = Figure.of([slowness(ours, figure) / slowness(theirs, figure) for ours, theirs in pairs])
        here, there = (Figure.of([pair[side][figure] for pair in pairs]).median for side in (0, 1))
        unit: Callable[[float], str] = "{:,.0f}/s".format if figure == "rate" else microseconds
        print(
            f"{title:18} {figure:5} {ratio.median:5.3f} × ({ratio.low:.3f} to {ratio.high:.3f}); "
            f"this {unit(here)}, other {unit(there)}",
            flush=True,
        )


def slowness(answer: dict[str, Any], figure: str) -> float:
    """The figure as something of which less is better."""
    return 1 / float(answer[figure]) if figure == "rate" else float(answer[figure])


def microseconds(seconds: float) -> str:
    """As a person reads it."""
    return f"{seconds * 1e6:,.1f} µs"


if __name__ == "__main__":
    main()
