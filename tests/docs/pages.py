"""The examples of the documentation, and how they are run.

The ``python`` blocks of a page run in order and in one module, so later ones see what earlier ones made.
A block with ``await`` at its top runs on asyncio.

- Given are ``mysql_config`` and ``redis_config``, the tests' servers, and ``client``, a blocking client of
  both. The same URLs stand in the environment as ``MYSQL_URL`` and ``REDIS_URL``. MySQL has the tables
  ``users`` and ``orders`` of ``conftest.py``. ``private_redis(*options)`` starts a Redis of the page's own,
  ``private_mysql(*options)`` a MySQL.
- ``mysql_config = …`` and ``redis_config = …`` name the reader's servers: the value is checked by making a
  client with it, which connects to nothing, and then forgotten.
- A comment right of an expression, or below it, that is a Python value is what the expression must give;
  ``…`` in it stands for anything. Other comments are prose.
- A ``text`` block right below a ``python`` block is what that must print; ``…`` again.
- An HTML comment that begins with the line ``<!-- python`` runs like a block, and no reader sees it: for
  preparing, and for looking whether an example did what it says.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import re
import sys
import tokenize
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import anyio

from mysql_redis_cache import AsyncMRCClient, AsyncMRCServer, MRCClient, MRCServer

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ROOT", "Block", "blocks_of", "pages", "run_page"]

ROOT = Path(__file__).parents[2]
BLOCKS = re.compile(
    r"^```python\n(?P<shown>.*?)^```$(?:\n+```text\n(?P<prints>.*?)^```$)?"
    r"|^<!-- python\n(?P<hidden>.*?)^-->$",
    re.DOTALL | re.MULTILINE,
)
CONFIGS = {"mysql_config": MRCClient, "redis_config": MRCServer}
IS_VALUE = re.compile(r"""[\[{(]|[bf]?['"]|-?\d|(True|False|None|…)\b|[A-Z]\w+\(.*\)$""")


@dataclass(frozen=True)
class Block:
    """One piece of code of a page.

    Attributes:
        line: where in the page it begins, from 0.
        code: its text.
        prints: what it must print, if the page says so.
    """

    line: int
    code: str
    prints: str | None


def pages() -> list[Path]:
    """The pages with examples."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks_of(text: str) -> list[Block]:
    """The pieces of code of a page, in order."""
    found = []
    for match in BLOCKS.finditer(text):
        kind = "shown" if match["shown"] is not None else "hidden"
        found.append(Block(text.count("\n", 0, match.start(kind)), match[kind], match["prints"]))
    return found


def run_page(path: Path, given: Mapping[str, object]) -> int:
    """Run the examples of a page; return how many values and printouts were compared."""
    module = ModuleType(f"example_{path.stem.replace('-', '_')}")
    shows = _Shows(path)
    module.__dict__.update(given, __shows__=shows, __check_config__=_check_config)
    sys.modules[module.__name__] = module  # dataclasses and annotations look names up there
    try:
        for block in blocks_of(path.read_text(encoding="utf-8")):
            printed = _run(block, path, module.__dict__)
            if block.prints is not None:
                shows.compare(printed, block.prints, block.line)
    finally:
        del sys.modules[module.__name__]
        _close(module.__dict__)
    return shows.compared


class _Shows:
    """Compares what an expression gave with what the page says."""

    def __init__(self, path: Path) -> None:
        self.compared = 0
        self._path = path

    def __call__(self, value: object, expected: str, line: int) -> None:
        self.compare(repr(value), expected, line)

    def compare(self, actual: str, expected: str, line: int) -> None:
        self.compared += 1
        if not _pattern(expected).fullmatch(_plain(actual)):
            raise AssertionError(f"{self._path}:{line}: the page says\n{expected}\nand it is\n{actual}")


def _plain(text: str) -> str:
    return " ".join(text.split())


def _pattern(expected: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, _plain(expected).split("…"))))


def _run(block: Block, path: Path, names: dict[str, Any]) -> str:
    """Run a block; return what it printed."""
    tree = ast.parse("\n" * block.line + block.code, str(path))
    tree = ast.fix_missing_locations(_Rewrite(block).visit(tree))
    code = compile(tree, str(path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        result = eval(code, names)
        if inspect.iscoroutine(result):
            anyio.run(_awaited, result)
    return printed.getvalue()


async def _awaited(coroutine: Any) -> None:
    await coroutine


class _Rewrite(ast.NodeTransformer):
    """Has expressions compared with the comments behind them; keeps the tests' servers."""

    def __init__(self, block: Block) -> None:
        self._comments = _comments(block)

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        expected = self._said_about(node)
        if expected is None:
            return node
        arguments = [node.value, ast.Constant(expected), ast.Constant(node.lineno)]
        call = ast.Call(ast.Name("__shows__", ast.Load()), arguments, [])
        return ast.copy_location(ast.Expr(call), node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        target = node.targets[0]
        if not isinstance(target, ast.Name) or target.id not in CONFIGS:
            return node
        call = ast.Call(ast.Name("__check_config__", ast.Load()), [ast.Constant(target.id), node.value], [])
        return ast.copy_location(ast.Expr(call), node)

    def _said_about(self, node: ast.Expr) -> str | None:
        last = node.end_lineno or node.lineno
        here = self._comments.get(last)
        if here is not None and here[0] > (node.end_col_offset or 0):
            said = [here[1]]
        else:
            said = []
            while (below := self._comments.get(last + 1)) is not None and below[0] == node.col_offset:
                said.append(below[1])
                last += 1
        text = " ".join(said)
        return text if IS_VALUE.match(text) else None


def _check_config(name: str, value: object) -> None:
    CONFIGS[name](value).close()


def _comments(block: Block) -> dict[int, tuple[int, str]]:
    """The comments of a block by line of the page: column and text."""
    tokens = tokenize.generate_tokens(io.StringIO(block.code).readline)
    return {
        token.start[0] + block.line: (token.start[1], token.string.lstrip("# "))
        for token in tokens
        if token.type == tokenize.COMMENT
    }


def _close(names: Mapping[str, object]) -> None:
    for thing in list(names.values()):
        if isinstance(thing, (MRCClient, MRCServer)):
            thing.close()
        elif isinstance(thing, (AsyncMRCClient, AsyncMRCServer)):
            anyio.run(thing.aclose)
