"""Compare this library with what else there is, on private servers; write docs/benchmarks.md and its charts.

python benchmarks/run.py                          all of it, in about five minutes
python benchmarks/run.py --quick                  a rough look in half a minute; prints, leaves docs/ alone
python benchmarks/run.py --only hit --only cold   some parts; writes the sections that are whole
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import sys
from typing import TYPE_CHECKING

from anatomy import anatomy_text
from bulk import bulk_text
from cold import cold_text, measure_cold
from core import measure_core
from core_report import core_chart, core_text
from facade import measure_facade
from facade_report import facade_chart, facade_text
from follow import follow_text
from index_memory import index_text
from near import measure_near
from near_report import near_chart, near_text
from report import machine, replace_section
from servers import ROOT, private_servers
from threads import measure_threads, threads_chart, threads_text
from typed_rows import typed_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from subjects import Subject
    from workload import Workload

PAGE = ROOT / "docs" / "benchmarks.md"
PERFORMANCE = ROOT / "docs" / "explanation" / "performance.md"
CORE = {"hit", "miss", "key", "drop"}
MAKERS = (
    "ours.make_subject",
    "ours.make_index_subject",
    "raw.make_subject",
    "dogpile.make_subject",
    "pypi.make_subject",
)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer repetitions, 30,000 keys instead of 300,000"
    )
    known = (*sorted(CORE), *RUNS)
    parser.add_argument("--only", action="append", choices=known, metavar="PART", help=", ".join(known))
    options = parser.parse_args()
    parts = set(options.only or known)
    with private_servers() as workload:
        if parts & CORE:
            run_core(workload, parts & CORE, quick=options.quick)
        for part, run in RUNS.items():
            if part in parts:
                run(workload, quick=options.quick)


def run_core(workload: Workload, parts: set[str], *, quick: bool) -> None:
    """Hit, miss, key and drop in one process, the peer in its own."""
    with contextlib.ExitStack() as closing:
        subjects = [subject for maker in MAKERS if (subject := make_subject(maker, workload))]
        for subject in subjects:
            closing.callback(subject.close)
        result = measure_core(workload, subjects, quick=quick, parts=parts)
    whole = parts == CORE and not quick
    publish("core", core_text(result, subjects), whole=whole)
    if whole:
        core_chart(PAGE.with_name("benchmarks.svg"), result)


def run_cold(workload: Workload, *, quick: bool) -> None:
    """Callers on a cold key, in several processes."""
    publish("cold", cold_text(measure_cold(workload, quick=quick)), whole=not quick)


def run_facade(workload: Workload, *, quick: bool) -> None:
    """The asynchronous clients, each in its own process."""
    result = measure_facade(workload, quick=quick)
    publish("facade", facade_text(result), whole=not quick)
    if not quick:
        facade_chart(PAGE.with_name("benchmarks-async.svg"), result)


def run_threads(workload: Workload, *, quick: bool) -> None:
    """Threads of the blocking client, in one process."""
    result = measure_threads(workload, quick=quick)
    publish("threads", threads_text(result), whole=not quick)
    if not quick:
        threads_chart(PAGE.with_name("benchmarks-threads.svg"), result)


def run_near(workload: Workload, *, quick: bool) -> None:
    """Hits of the near cache, in one process."""
    result = measure_near(workload, quick=quick)
    publish("near", near_text(result), whole=not quick)
    if not quick:
        near_chart(PAGE.with_name("benchmarks-near.svg"), result)


def run_follow(workload: Workload, *, quick: bool) -> None:  # noqa: ARG001 - it has servers of its own
    """A follower of the binary log."""
    publish("follow", follow_text(quick=quick), whole=not quick)


def run_anatomy(workload: Workload, *, quick: bool) -> None:
    """What a hit is made of."""
    publish("anatomy", anatomy_text(workload, quick=quick), whole=not quick, page=PERFORMANCE)


def publishing(section: str, measured: Callable[..., str]) -> Callable[..., None]:
    """What publishes a section whose text *measured* gives."""

    def run(workload: Workload, *, quick: bool) -> None:
        publish(section, measured(workload, quick=quick), whole=not quick)

    return run


def publish(section: str, text: str, *, whole: bool, page: Path = PAGE) -> None:
    """Print *text* and, if it is a *whole* measurement, put it into the page."""
    text = f"{machine()}.\n\n{text}"
    print(f"\n{text}", flush=True)
    if whole:
        replace_section(page, section, text)


def make_subject(maker: str, workload: Workload) -> Subject | None:
    """The subject, or None and a line on why it is left out."""
    module, function = maker.split(".")
    try:
        subject: Subject | None = getattr(importlib.import_module(f"subjects.{module}"), function)(workload)
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("dogpile"):
            raise
        print("dogpile.cache is left out: it is not installed (pip install --group bench)", file=sys.stderr)
        return None
    return subject


RUNS: dict[str, Callable[..., None]] = {
    "bulk": publishing("bulk", bulk_text),
    "typed": publishing("typed", typed_text),
    "index": publishing("index", index_text),
    "cold": run_cold,
    "facade": run_facade,
    "threads": run_threads,
    "anatomy": run_anatomy,
    "near": run_near,
    "follow": run_follow,
}


if __name__ == "__main__":
    main()
