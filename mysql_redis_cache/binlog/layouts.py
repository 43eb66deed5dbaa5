"""How the rows of a table are cut into cells.

How to walk over a row depends on its table, on which columns the images have and on the NULLs, and is worked
out once for each: neighbours of fixed size are one step, and so is everything in a table without texts.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from .columns import shape_of
from .cursor import Cursor, Malformed
from .kinds import JSON
from .readers import column_reader
from .spellings import Undecodable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import tzinfo

    from .readers import ReadColumn
    from .spellings import Value
    from .tables import Table

    Unpack = Callable[[bytes, int], tuple[Any, ...]]
    Step = tuple[Unpack | None, int, int, bool]

__all__ = ["Image", "Layout"]

_ABSENT = Undecodable("the row image does not have the column (binlog_row_image is not FULL)")
_PARTIAL = Undecodable("only what changed within the JSON is in the log (binlog_row_value_options)")
_MOST_WALKS = 1024
_PARTIAL_JSON = 1


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
        self._images: dict[tuple[bytes, bool], Image] = {}
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

    def image(self, present: bytes, is_partial: bool) -> Image:
        """Return how images that have certain columns are cut."""
        found = self._images.get((present, is_partial))
        if found is None:
            if len(self._images) >= _MOST_WALKS:
                self._images.clear()
            found = self._images[present, is_partial] = Image(self, present, is_partial)
        return found


class Image:
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

    def values(
        self, cells: list[Any], count: int, before: tuple[list[Value], ...]
    ) -> tuple[list[Value], ...]:
        """Make values of the cells of so many images; what they lack is as before, if there is a before."""
        width, layout = len(self.kept), self._layout
        found = []
        for number, (place, read) in enumerate(zip(layout.places, layout.readers, strict=True)):
            if place in self.kept:
                found.append(read(cells[self.kept[place] :: width]))
            else:
                found.append(before[number] if before else [_ABSENT] * count)
        return tuple(found)


def _fixed(codes: str) -> Step:
    form = struct.Struct("<" + codes)
    return (None if set(codes) <= _SKIPPED else form.unpack_from), form.size, 0, False


_SKIPPED = frozenset("0123456789x")


def _null(_: bytes, __: int) -> tuple[None]:
    return (None,)


def _partial(_: bytes, __: int) -> tuple[Undecodable]:
    return (_PARTIAL,)
