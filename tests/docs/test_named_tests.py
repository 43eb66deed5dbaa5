"""Tests that the documentation names are there."""

from __future__ import annotations

import ast
import re

from tests.docs.pages import ROOT, pages

NAMED = re.compile(r"\b(tests/[\w/]+\.py)::(\w+)")
OUTAGES = ROOT / "docs" / "explanation" / "outages.md"


def defined_in(path: str) -> set[str]:
    """The names of the tests in a file."""
    file = ROOT / path
    if not file.is_file():
        return set()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}


def test_named_tests_exist() -> None:
    """Whoever renames a test finds the pages that send readers to it."""
    named = {found for page in pages() for found in NAMED.findall(page.read_text(encoding="utf-8"))}

    assert [f"{path}::{name}" for path, name in sorted(named) if name not in defined_in(path)] == []


def test_every_fault_names_its_test() -> None:
    """What happens at a fault is shown, not only said."""
    chapter = OUTAGES.read_text(encoding="utf-8").partition("\n## The faults\n")[2].partition("\n## ")[0]
    rows = [line for line in chapter.splitlines() if line.startswith("| ") and "---" not in line]
    faults = [row for row in rows if not row.startswith("| fault |")]

    assert len(faults) > 30
    assert [row for row in faults if len(NAMED.findall(row)) != 1] == []
