"""What is written where: data to standard output, talk to standard error, tables only for terminals."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = [
    "as_json",
    "escaped",
    "is_asking",
    "printable",
    "printable_lines",
    "progress",
    "say",
    "show_rows",
    "write",
]

LONGEST_TABLE = 1000
"""Rows up to which a terminal gets a table, which has to be held; more are lines, as in a pipe."""


def write(text: str) -> None:
    """Write a line of data."""
    click.echo(text)


def say(text: str) -> None:
    """Say something to whoever watches."""
    click.echo(text, err=True)


def as_json(value: object) -> str:
    """Return the one line of JSON that ``--json`` promises."""
    return escaped(json.dumps(value, ensure_ascii=False, separators=(", ", ": ")))


def escaped(text: str) -> str:
    """Return JSON with what is not printable written as JSON escapes it, but for the ends of its lines.

    A terminal obeys more characters than JSON has to escape, and a lone surrogate has no bytes.
    """
    if text.isprintable():
        return text
    return "".join([char if char == "\n" or char.isprintable() else json.dumps(char)[1:-1] for char in text])


def printable(text: str) -> str:
    """Return *text* with what is not printable escaped: a key may hold line breaks and worse."""
    return (
        text
        if text.isprintable()
        else "".join(
            [char if char.isprintable() else char.encode("unicode_escape").decode() for char in text]
        )
    )


def printable_lines(text: str) -> str:
    """Return *text* with what is not printable escaped, but for the ends of its lines."""
    return "\n".join(map(printable, text.split("\n")))


def is_asking() -> bool:
    """Tell whether there is somebody who could answer a question."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def show_rows(heads: Sequence[str], rows: Iterable[Sequence[str]], *, most: int) -> int:
    """Write rows: a table on a terminal, else a line each, with tabs.

    Args:
        heads: of the columns; all but the last hold numbers.
        rows: their texts.
        most: how many rows there can be, 0 for any number.

    Returns:
        how many rows there were.
    """
    if sys.stdout.isatty() and 0 < most <= LONGEST_TABLE:
        return _show_table(heads, list(rows))
    count = 0
    for row in rows:
        write("\t".join(row))
        count += 1
    return count


def _show_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head, justify="left" if head == heads[-1] else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    if rows:
        Console().print(table)
    return len(rows)


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], Any]]:
    """Show a bar on standard error, if that is a terminal; yield what is told how far it is."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=max(total, 1))
        yield lambda done: bar.update(task, completed=min(done, total))
