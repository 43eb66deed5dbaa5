"""Changed rows: cut into cells by the layout of their table, the columns asked for made values.

The innermost loop of the wing is here. A row is a bitmap of its NULLs and the values of the others, one behind
the other, so that whoever wants the third has to know where the first two end. How to walk over them depends
on the table, on which columns the images have and on the NULLs, and is worked out once for each: neighbours of
fixed size are one step, and so is everything in a table without texts.

Source: ``Rows_event`` of https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Rows__event.html
and the comment above ``Partial_update_rows`` there.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from .columns import JSON, column_reader, shape_of
from .compressed import inflate
from .cursor import Cursor, Malformed
from .events import Event
from .spellings import Undecodable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import tzinfo

    from .columns import ReadColumn
    from .events import Header
    from .spellings import Value
    from .tables import Table

    Unpack = Callable[[bytes, int], tuple[Any, ...]]
    Step = tuple[Unpack | None, int, int, bool]

__all__ = ["ROWS_TYPES", "Kind", "Layout", "OpaqueRows", "Rows", "parse_rows"]

Kind: TypeAlias = Literal["insert", "update", "delete"]

ABSENT = Undecodable("the row image does not have the column (binlog_row_image is not FULL)")
PARTIAL = Undecodable("only what changed within the JSON is in the log (binlog_row_value_options)")

_BLOCK = 4096
"""How many rows an event hands out at once: a large one never lies in memory as values."""

_MOST_WALKS = 1024
_PARTIAL_JSON = 1
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


class Layout:
    """How the rows of one table are cut, and which columns of it are wanted.

    Args:
        table: the table.
        wanted: names of columns; ``None`` for all.
        zone: the time zone in which TIMESTAMP is told.
        is_mariadb: whether MariaDB wrote the log.

    Attributes:
        reason: why rows of the table cannot be told; ``None`` if they can.
        columns: the names of the wanted columns.
        places: where in the table those are.
    """

    def __init__(self, table: Table, wanted: Sequence[str] | None, zone: tzinfo, is_mariadb: bool) -> None:
        self.table = table
        self.reason = table.reason
        names = [column.name for column in table.columns]
        self.columns = tuple(names if wanted is None else wanted)
        self.places: list[int] = []
        self._images: dict[tuple[bytes, bool], _Image] = {}
        try:
            self.places = [self._place(name, names) for name in self.columns] if not self.reason else []
            self.shapes = [shape_of(column) for column in table.columns] if self.places else []
        except Malformed as error:
            self.reason = str(error)
        readers = [column_reader(table.columns[place], zone, is_mariadb) for place in self.places]
        self.readers: list[ReadColumn] = readers

    def _place(self, name: str, names: list[str]) -> int:
        if name in names:
            return names.index(name)
        if name[:1] == "@" and name[1:].isdecimal() and 0 < int(name[1:]) <= len(names):
            return int(name[1:]) - 1
        raise Malformed(f"the table has no column {name}")

    def image(self, present: bytes, is_partial: bool) -> _Image:
        """Return how images that have certain columns are cut."""
        found = self._images.get((present, is_partial))
        if found is None:
            if len(self._images) >= _MOST_WALKS:
                self._images.clear()
            found = self._images[present, is_partial] = _Image(self, present, is_partial)
        return found


class _Image:
    """How images that have certain columns are cut into cells."""

    def __init__(self, layout: Layout, present: bytes, is_partial: bool) -> None:
        count = len(layout.table.columns)
        self._layout = layout
        self.present = [place for place in range(count) if present[place >> 3] >> (place & 7) & 1]
        self.width = (len(self.present) + 7) // 8
        self.is_partial = is_partial
        self._json = [p for p, column in enumerate(layout.table.columns) if column.type == JSON]
        kept = [place for place in self.present if place in set(layout.places)]
        self.kept = {place: number for number, place in enumerate(kept)}
        self.walks: dict[bytes, list[Step]] = {}

    def options(self, data: bytes, position: int, end: int) -> tuple[int, bytes]:
        """Take what stands before a partial image: which JSON columns hold changes in place of a value."""
        body = Cursor(data, position, end)
        options = body.lenenc()
        if options & ~_PARTIAL_JSON:
            raise Malformed(f"options {options:#x} of a partial image are not known")
        size = (len(self._json) + 7) // 8
        return body.position + size * options, body.take(size) if options else bytes(size)

    def walk(self, key: bytes) -> list[Step]:
        """Work out the steps over an image with certain NULLs (and partial columns)."""
        partial = key[self.width :]
        if len(key) != self.width + (len(self._json) + 7) // 8 * self.is_partial:
            raise Malformed("a row that ends within its bitmap")
        if len(self.walks) >= _MOST_WALKS:
            self.walks.clear()
        differing = {p for n, p in enumerate(self._json) if partial and partial[n >> 3] >> (n & 7) & 1}
        nulls = {p for n, p in enumerate(self.present) if key[n >> 3] >> (n & 7) & 1}
        steps = self.walks[key] = list(self._steps(nulls, differing))
        return steps

    def _steps(self, nulls: set[int], differing: set[int]) -> Iterator[Step]:
        codes = ""
        for place in self.present:
            is_kept, (code, prefix) = place in self.kept, self._layout.shapes[place]
            if (place in nulls or place in differing) and is_kept:
                yield _fixed(codes)
                yield (_null if place in nulls else _partial), 0, 0, False
                codes, is_kept = "", False
            if place in nulls:
                continue
            if not prefix:
                codes += code if is_kept else f"{struct.calcsize('<' + code)}x"
                continue
            unpack, size, _, _ = _fixed(codes)
            yield unpack, size, prefix, is_kept
            codes = ""
        if codes:
            yield _fixed(codes)

    def values(self, cells: list[Any], count: int, before: tuple[list[Value], ...]) -> tuple[list[Value], ...]:
        """Make values of the cells of so many images; what they lack is as before, if there is a before."""
        width, layout = len(self.kept), self._layout
        found = []
        for number, (place, read) in enumerate(zip(layout.places, layout.readers, strict=True)):
            if place in self.kept:
                found.append(read(cells[self.kept[place] :: width]))
            else:
                found.append(before[number] if before else [ABSENT] * count)
        return tuple(found)


def _fixed(codes: str) -> Step:
    form = struct.Struct("<" + codes)
    return (None if set(codes) <= _SKIPPED else form.unpack_from), form.size, 0, False


_SKIPPED = frozenset("0123456789x")


def _null(_: bytes, __: int) -> tuple[None]:
    return (None,)


def _partial(_: bytes, __: int) -> tuple[Undecodable]:
    return (PARTIAL,)


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


def _images(body: Cursor, layout: Layout, form: _Form) -> list[_Image]:
    count = body.lenenc()
    if count != len(layout.table.columns):
        raise Malformed(f"rows of {count} columns in a table of {len(layout.table.columns)}")
    masks = [body.take((count + 7) // 8) for _ in range(2 if form.kind == "update" else 1)]
    return [layout.image(mask, form.is_partial and number == 1) for number, mask in enumerate(masks)]


def _sides(images: list[_Image], cells: list[list[Any]], count: int, kind: Kind) -> tuple[_Values, _Values]:
    first = images[0].values(cells[0], count, ())
    if kind == "update":
        return first, images[1].values(cells[1], count, first)
    return ((), first) if kind == "insert" else (first, ())


def _cut(
    data: bytes, position: int, end: int, images: list[_Image], cells: list[list[Any]]
) -> tuple[int, int]:
    """Cut a block of rows into cells; return where it ends and how many rows it has."""
    count = 0
    from_bytes = int.from_bytes
    ways = [(image, image.walks, image.width, into) for image, into in zip(images, cells, strict=True)]
    while position < end and count < _BLOCK:
        for image, walks, width, into in ways:
            key = b""
            if image.is_partial:
                position, key = image.options(data, position, end)
            key = data[position : position + width] + key
            position += width
            for unpack, size, prefix, is_kept in walks.get(key) or image.walk(key):
                if unpack is not None:
                    into += unpack(data, position)
                position += size
                if prefix:
                    start = position + prefix
                    position = start + (data[position] if prefix == 1 else from_bytes(data[position:start], "little"))
                    if is_kept:
                        into.append(data[start:position])
        count += 1
    if position > end:
        raise Malformed(f"the last row ends {position - end} bytes behind the end")
    return position, count
