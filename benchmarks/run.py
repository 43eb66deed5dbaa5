"""Compare this library with what else there is, on private servers; write docs/benchmarks.md and its charts.

python benchmarks/run.py                          all of it, in less than three minutes
python benchmarks/run.py --quick                  a rough look in half a minute; prints, leaves docs/ alone
python benchmarks/run.py --only hit --only drop   some parts; prints, leaves docs/ alone
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import sys
from typing import TYPE_CHECKING

from core import measure_core
from core_report import core_chart, core_text
from environments import UnavailableError
from report import machine, replace_section
from servers import ROOT, private_servers

if TYPE_CHECKING:
    from subjects import Subject
    from workload import Workload

PAGE = ROOT / "docs" / "benchmarks.md"
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
    parser.add_argument("--only", action="append", choices=sorted(CORE), metavar="PART", help=", ".join(CORE))
    options = parser.parse_args()
    parts = set(options.only or CORE)
    with private_servers() as workload:
        run_core(workload, parts & CORE, quick=options.quick)


def run_core(workload: Workload, parts: set[str], *, quick: bool) -> None:
    """Hit, miss, key and drop in one process, the peer in its own."""
    with contextlib.ExitStack() as closing:
        subjects = [subject for maker in MAKERS if (subject := make_subject(maker, workload))]
        for subject in subjects:
            closing.callback(subject.close)
        result = measure_core(workload, subjects, quick=quick, parts=parts)
    text = f"{machine()}.\n\n{core_text(result, subjects)}"
    print(text)
    if parts == CORE and not quick:
        replace_section(PAGE, "core", text)
        core_chart(PAGE.with_name("benchmarks.svg"), result)


def make_subject(maker: str, workload: Workload) -> Subject | None:
    """The subject, or None and a line on why it is left out."""
    module, function = maker.split(".")
    try:
        return getattr(importlib.import_module(f"subjects.{module}"), function)(workload)
    except UnavailableError as error:
        print(f"{module} is left out: {error}", file=sys.stderr)
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("dogpile"):
            raise
        print("dogpile is left out: it is not installed (pip install --group bench)", file=sys.stderr)
    return None


if __name__ == "__main__":
    main()
