"""Every example of the documentation works, against real servers; ``pages.py`` says how they are written."""

from __future__ import annotations

import ast
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from tests.docs.pages import ROOT, Block, blocks_of, pages, run_page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# tests/interop/ runs the two sides of the one, test_quickstart.py does the other.
ELSEWHERE = {ROOT / "docs" / "how-to" / "share-with-node.md", ROOT / "docs" / "quickstart.md"}
PAGES = [page for page in pages() if page not in ELSEWHERE and blocks_of(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES])
def test_examples_of_the_page_work(page: Path, given: dict[str, Any]) -> None:
    """Each runs as it is written and gives what the page says."""
    run_page(page, given)


def test_the_readme_begins_with_the_known_example() -> None:
    """Users of the peers find the read they know first of all."""
    first = blocks_of((ROOT / "README.md").read_text(encoding="utf-8"))[0].code

    assert "query_with_cache('SELECT * FROM users WHERE id = ?', [123], ['UserId'], 3600)" in first


def test_every_fence_is_seen() -> None:
    """No example escapes by its indentation or the spelling of its language."""
    for page in pages():
        text = page.read_text(encoding="utf-8")
        shown = [block for block in blocks_of(text) if f"```python\n{block.code}" in text]
        assert (page, len(shown)) == (page, text.count("```py")), "write ```python, at the margin"


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("1 + 1  # 3", id="beside"),
        pytest.param("[1, 2]\n# [1, …, 3]", id="below"),
        pytest.param("with open('/dev/null'):\n    'a'  # 'b'", id="within"),
        pytest.param("redis_config = {'hots': 'localhost'}", id="config"),
    ],
)
def test_a_wrong_example_is_noticed(code: str, tmp_path: Path) -> None:
    """The comparison can fail: what a page says wrongly does."""
    page = tmp_path / "wrong.md"
    page.write_text(f"```python\n{code}\n```\n", encoding="utf-8")

    with pytest.raises((AssertionError, ValueError), match=r"the page says|unknown option"):
        run_page(page, {"redis_config": None})


def test_wrong_output_is_noticed(tmp_path: Path) -> None:
    """A text block below an example is what it must print."""
    page = tmp_path / "wrong.md"
    page.write_text("```python\nprint('a')\n```\n\n```text\nb\n```\n", encoding="utf-8")

    with pytest.raises(AssertionError, match="the page says"):
        run_page(page, {})


def docstrings() -> Iterator[tuple[str, str]]:
    """Every docstring of the package, with the name of what it describes."""
    for path in sorted((ROOT / "mysql_redis_cache").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                yield f"{module}.{getattr(node, 'name', '')}", ast.get_docstring(node) or ""


def indented_examples(docstring: str) -> Iterator[str]:
    """The indented blocks after ``::`` that are Python; drawings are not."""
    for part in docstring.split("::\n\n")[1:]:
        lines = []
        for line in part.splitlines():
            if line and not line.startswith("    "):
                break
            lines.append(line)
        code = textwrap.dedent("\n".join(lines))
        try:
            ast.parse(code)
        except SyntaxError:
            continue
        yield code


EXAMPLES = [
    pytest.param(code, id=name) for name, docstring in docstrings() for code in indented_examples(docstring)
]


@pytest.mark.parametrize("code", EXAMPLES)
def test_examples_of_docstrings_work(code: str, given: dict[str, Any], tmp_path: Path) -> None:
    """The same rules as for pages, with ``pool`` given as well."""
    page = tmp_path / "docstring.md"
    page.write_text(f"```python\n{code}\n```\n", encoding="utf-8")

    run_page(page, given | {"pool": given["client"].get_mysql_pool()})


def test_docstrings_have_no_other_examples() -> None:
    """``>>>`` is not used: one way to write examples, and that one is run."""
    assert [name for name, docstring in docstrings() if ">>>" in docstring] == []


def test_a_block_knows_its_place() -> None:
    """Lines of tracebacks are those of the page."""
    assert blocks_of("# A\n\n```python\nx = 1\n```\n") == [Block(3, "x = 1\n", None)]
