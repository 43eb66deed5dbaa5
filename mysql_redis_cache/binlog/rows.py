"""Changed rows: cut into cells by the layout of their table, the columns asked for made values.

The innermost loop of the wing is here. A row is a bitmap of its NULLs and the values of the others, one
behind the other, so that whoever wants the third has to know where the first two end; ``layouts`` knows.

Source: ``Rows_event`` of https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Rows__event.html
and the comment above ``Partial_update_rows`` there.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from .compressed import inflate
from .cursor import Cursor, Malformed
from .events import Event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .events import Header
    from .layouts import Image, Layout
    from .spellings import Value
    from .tables import Table

__all__ = ["ROWS_TYPES", "Kind", "OpaqueRows", "Rows", "parse_rows"]

Kind: TypeAlias = Literal["insert", "update", "delete"]


_BLOCK = 4096
"""How many rows an event hands out at once: a large one never lies in memory as values."""

_ENDS_STATEMENT = 1
_PARTITION = 1


class _Form(NamedTuple):
    kind: Kind
    has_extra: bool
    is_compressed: bool = False
    is_partial: bool = False


_KINDS: tuple[Kind, ...] = ("insert", "update", "delete")
ROWS_TYPES = {
    **{23 + place: _Form(kind, has_extra=False) for place, kind in enumerate(_KINDS)},
    **{30 + place: _Form(kind, has_extra=True) for place, kind in enumerate(_KINDS)},
    39: _Form("update", has_extra=True, is_partial=True),
    **{166 + place: _Form(kind, has_extra=False, is_compressed=True) for place, kind in enumerate(_KINDS)},
    **{169 + place: _Form(kind, has_extra=True, is_compressed=True) for place, kind in enumerate(_KINDS)},
}
"""The rows events by number: version 1 and 2, with partial JSON, and MariaDB's compressed ones."""


@dataclass(frozen=True, slots=True)
class Rows(Event):
    """Rows of a table were changed. A large event is handed out in several of these, one after the other.

    Attributes:
        table: the table.
        kind: what was done.
        columns: the names of the columns that were asked for.
        before: for each of them its values before the change, row by row; nothing for an insert.
        after: the same after it; nothing for a delete.
        partitions: the number of the partition that the rows are in; two of an update.
        ends_statement: whether the statement ends with this event.
    """

    table: Table
    kind: Kind
    columns: tuple[str, ...]
    before: tuple[list[Value], ...]
    after: tuple[list[Value], ...]
    partitions: tuple[int, ...] = ()
    ends_statement: bool = False


@dataclass(frozen=True, slots=True)
class OpaqueRows(Event):
    """Rows of a table were changed, and it cannot be told which, or from what to what.

    Attributes:
        table: the table; its schema and name are sure, the rest may not be.
        kind: what was done.
        reason: why its rows cannot be told, for people.
    """

    table: Table
    kind: Kind
    reason: str


def parse_rows(header: Header, body: Cursor, layout: Layout, form: _Form, flags: int) -> Iterator[Event]:
    """Parse a rows event behind its table's number and flags.

    Args:
        header: the event's.
        body: what follows the flags.
        layout: of its table.
        form: which of the rows events it is.
        flags: its flags.

    Yields:
        Its rows, a block at a time; at a place where they cannot be told, one event that says so, the last.
    """
    table = layout.table
    ends = bool(flags & _ENDS_STATEMENT)
    try:
        partitions = _partitions(body, form.kind) if form.has_extra else ()
        if layout.reason is not None:
            raise Malformed(layout.reason)
        if not layout.places:
            yield Rows(header, table, form.kind, (), (), (), partitions, ends)
            return
        for before, after in _blocks(body, layout, form):
            yield Rows(header, table, form.kind, layout.columns, before, after, partitions, ends)
    except (ValueError, LookupError, struct.error) as error:
        yield OpaqueRows(header, table, form.kind, str(error))


def _partitions(body: Cursor, kind: Kind) -> tuple[int, ...]:
    size = body.uint(2)
    extra = Cursor(body.take(size - 2)) if size > 2 else None
    if extra is None or extra.uint(1) != _PARTITION:  # 0 is NDB's
        return ()
    return tuple([extra.uint(2) for _ in range(2 if kind == "update" else 1)])


_Values: TypeAlias = "tuple[list[Value], ...]"


def _blocks(body: Cursor, layout: Layout, form: _Form) -> Iterator[tuple[_Values, _Values]]:
    images = _images(body, layout, form)
    data, position, end = body.data, body.position, body.end
    if form.is_compressed:
        data = inflate(body.rest())
        position, end = 0, len(data)
    if position < end and not sum([image.width for image in images]):
        raise Malformed("rows of which no column is in the log")
    while position < end:
        cells: list[list[Any]] = [[] for _ in images]
        position, count = _cut(data, position, end, images, cells)
        yield _sides(images, cells, count, form.kind)


def _images(body: Cursor, layout: Layout, form: _Form) -> list[Image]:
    count = body.lenenc()
    if count != len(layout.table.columns):
        raise Malformed(f"rows of {count} columns in a table of {len(layout.table.columns)}")
    masks = [body.take((count + 7) // 8) for _ in range(2 if form.kind == "update" else 1)]
    return [layout.image(mask, form.is_partial and number == 1) for number, mask in enumerate(masks)]


def _sides(images: list[Image], cells: list[list[Any]], count: int, kind: Kind) -> tuple[_Values, _Values]:
    first = images[0].values(cells[0], count, ())
    if kind == "update":
        return first, images[1].values(cells[1], count, first)
    return ((), first) if kind == "insert" else (first, ())


def _cut(
    data: bytes, position: int, end: int, images: list[Image], cells: list[list[Any]]
) -> tuple[int, int]:
    """Cut a block of rows into cells; return where it ends and how many rows it has."""
    count = 0
    from_bytes = int.from_bytes
    ways = [(image, image.walks, image.width, into) for image, into in zip(images, cells, strict=True)]
    while position < end and count < _BLOCK:
        for image, walks, width, kept in ways:
            key = b""
            if image.is_partial:
                position, key = image.options(data, position, end)
            key = data[position : position + width] + key
            position += width
            for unpack, size, prefix, is_kept in walks.get(key) or image.walk(key):
                if unpack is not None:
                    kept.extend(unpack(data, position))
                position += size
                if prefix:
                    start = position + prefix
                    position = start + (
                        data[position] if prefix == 1 else from_bytes(data[position:start], "little")
                    )
                    if is_kept:
                        kept.append(data[start:position])
        count += 1
    if position > end:
        raise Malformed(f"the last row ends {position - end} bytes behind the end")
    return position, count
