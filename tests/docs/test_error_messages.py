"""The messages that the page of errors explains are those of the code."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import mysql_redis_cache
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
MESSAGES = re.findall(r"^\| `(.+?)` \|", PAGE, re.MULTILINE)


@cache
def texts() -> str:
    """Every text of the package, one a line, with ``…`` for what is filled in."""
    found = []
    for source in Path(mysql_redis_cache.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append(
                    "".join(
                        str(each.value) if isinstance(each, ast.Constant) else "…" for each in node.values
                    )
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join([*found, *mysql_redis_cache.__all__])


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_the_code_s(message: str) -> None:
    """Each is raised as the page quotes it; at its end ``…`` stands for anything."""
    assert message.removesuffix("…").strip() in texts()


def test_the_page_has_messages() -> None:
    """They are found, as the tables are written."""
    assert len(MESSAGES) > 20
