"""Compare this library with what else there is, on private servers; write docs/benchmarks.md and its charts.

python benchmarks/run.py                          all of it, in less than three minutes
python benchmarks/run.py --quick                  a rough look in half a minute; prints, leaves docs/ alone
python benchmarks/run.py --only hit --only cold   some parts; writes the sections that are whole
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import sys
from typing import TYPE_CHECKING

from bulk import bulk_text
from cold import cold_text, measure_cold
from core import measure_core
from core_report import core_chart, core_text
from facade import measure_facade
from facade_report import facade_chart, facade_text
from follow import follow_text
from index_memory import index_text
from near import near_text
from report import machine, replace_section
from servers import ROOT, private_servers
from threads import measure_threads, threads_chart, threads_text
from typed_rows import typed_text

if TYPE_CHECKING:
    from subjects import Subject
    from workload import Workload

PAGE = ROOT / "docs" / "benchmarks.md"
CORE = {"hit", "miss", "key", "drop"}
PARTS = (*sorted(CORE), "bulk", "typed", "index", "cold", "facade", "threads", "near", "follow")
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
    parser.add_argument("--only", action="append", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    options = parser.parse_args()
    parts = set(options.only or PARTS)
    with private_servers() as workload:
        if parts & CORE:
            run_core(workload, parts & CORE, quick=options.quick)
        if "bulk" in parts:
            publish("bulk", bulk_text(workload, quick=options.quick), whole=not options.quick)
        if "typed" in parts:
            publish("typed", typed_text(workload, quick=options.quick), whole=not options.quick)
        if "index" in parts:
            publish("index", index_text(workload, quick=options.quick), whole=not options.quick)
        if "cold" in parts:
            run_cold(workload, quick=options.quick)
        if "facade" in parts:
            run_facade(workload, quick=options.quick)
        if "threads" in parts:
            run_threads(workload, quick=options.quick)
        if "near" in parts:
            publish("near", near_text(workload, quick=options.quick), whole=not options.quick)
        if "follow" in parts:
            publish("follow", follow_text(quick=options.quick), whole=not options.quick)


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


def publish(section: str, text: str, *, whole: bool) -> None:
    """Print *text* and, if it is a *whole* measurement, put it into the page."""
    text = f"{machine()}.\n\n{text}"
    print(f"\n{text}", flush=True)
    if whole:
        replace_section(PAGE, section, text)


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


if __name__ == "__main__":
    main()
