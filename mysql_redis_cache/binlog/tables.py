"""Layouts of tables, as a TABLE_MAP_EVENT tells them before rows.

Source: https://dev.mysql.com/doc/dev/mysql-server/latest/classmysql_1_1binlog_1_1event_1_1Table__map__event.html;
MariaDB has the same since 10.5 (https://mariadb.com/kb/en/table_map_event/).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from .charsets import charset_of, decoder
from .columns import Column, metadata_width
from .cursor import Cursor, Malformed
from .declared import Declared, complete
from .events import Event
from .kinds import CHARACTERS, ENUM, GEOMETRY, NUMBERS, SET, STRING, VECTOR

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    Facts = dict[str, Any]
    T = TypeVar("T")

__all__ = ["Table", "TableMap", "Wanted", "parse_table"]

# Optional metadata; 7 is the kind of each GEOMETRY and 13 the size of each VECTOR, which tell nothing here.
_SIGNEDNESS, _CHARSET, _CHARSETS, _NAMES, _SET_MEMBERS, _ENUM_MEMBERS = 1, 2, 3, 4, 5, 6
_KEY, _KEY_PREFIXES, _LABEL_CHARSET, _LABEL_CHARSETS, _VISIBILITY = 8, 9, 10, 11, 12


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a table.

    Attributes:
        columns: the names of the columns whose values are told, or ``@3`` for the third; none is a way to
            learn only that rows were changed.
        declared: all columns as ``information_schema`` has them, for what the log leaves open. They count
            only if they fit what the log does say.
    """

    columns: tuple[str, ...]
    declared: tuple[Declared, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table as the log describes it.

    Attributes:
        schema: the schema.
        name: the table.
        columns: all of them; none if the description could not be read to its end.
        primary_key: places in *columns*.
        reason: why its rows cannot be told; ``None`` if they can.
    """

    schema: str
    name: str
    columns: tuple[Column, ...] = field(default=(), repr=False)
    primary_key: tuple[int, ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class TableMap(Event):
    """The layout of a table whose rows follow under a number."""

    table_id: int
    table: Table


def parse_table(body: Cursor, is_mariadb: bool, declared: Callable[[str, str], Sequence[Declared]]) -> Table:
    """Parse a TABLE_MAP_EVENT behind its number and flags.

    Args:
        body: what follows them.
        is_mariadb: whether MariaDB wrote it.
        declared: returns what is declared of a schema and table.

    Returns:
        The table. If only its names could be read, it has a reason and no columns.

    Raises:
        ValueError: not even those.
    """
    schema, name = _name(body), _name(body)
    try:
        columns, key = _columns(body, is_mariadb)
        return Table(schema, name, complete(columns, declared(schema, name)), key)
    except (ValueError, LookupError) as error:
        return Table(schema, name, reason=f"its description cannot be read: {error}")


def _name(body: Cursor) -> str:
    name = body.counted().decode()
    if body.uint(1) or not name:
        raise Malformed("a table or schema without a name")
    return name


def _columns(body: Cursor, is_mariadb: bool) -> tuple[list[Column], tuple[int, ...]]:
    types = body.take(body.lenenc())
    metadata = Cursor(body.counted())
    nullable = body.take((len(types) + 7) // 8)
    facts: list[Facts] = []
    for place, kind in enumerate(types):
        real, detail = _type(kind, metadata)
        is_nullable = bool(nullable[place >> 3] >> (place & 7) & 1)
        facts.append({"name": f"@{place + 1}", "type": real, "metadata": detail, "is_nullable": is_nullable})
    metadata.finish()
    extras = {}
    while body.left:
        kind = body.uint(1)
        extras[kind] = Cursor(body.counted())
    _describe(facts, extras, is_mariadb)
    return [Column(**fact) for fact in facts], _key(extras, len(facts))


def _type(kind: int, metadata: Cursor) -> tuple[int, int]:
    """Take a column's metadata; tell ENUM and SET, and lengths above 255, out of a STRING's."""
    value = metadata.uint(metadata_width(kind))
    if kind != STRING:
        return kind, value
    real, length = value & 0xFF, value >> 8
    if real in {ENUM, SET}:
        return real, length
    if real | 0x30 != STRING:
        raise Malformed(f"a string of type {real}")
    return STRING, length | ((real & 0x30) ^ 0x30) << 4


def _describe(facts: list[Facts], extras: dict[int, Cursor], is_mariadb: bool) -> None:
    """Add what the optional metadata say of the columns."""
    if _SIGNEDNESS in extras:
        _spread(facts, _of(facts, NUMBERS), "is_unsigned", _bits(extras[_SIGNEDNESS]))
    if _NAMES in extras:
        _spread(facts, facts, "name", [name.decode() for name in _all(extras[_NAMES], Cursor.counted)])
    if _VISIBILITY in extras:
        _spread(facts, facts, "is_visible", _bits(extras[_VISIBILITY]))
    texts = _of(facts, CHARACTERS | {GEOMETRY if is_mariadb else VECTOR})
    _add_charsets(texts, extras.get(_CHARSET), extras.get(_CHARSETS), is_mariadb)
    labelled = _of(facts, {ENUM, SET})
    _add_charsets(labelled, extras.get(_LABEL_CHARSET), extras.get(_LABEL_CHARSETS), is_mariadb)
    for kind, extra in ((ENUM, _ENUM_MEMBERS), (SET, _SET_MEMBERS)):
        if extra in extras:
            _add_members(_of(facts, {kind}), extras[extra])


def _of(facts: list[Facts], types: Collection[int]) -> list[Facts]:
    return [fact for fact in facts if fact["type"] in types]


def _spread(facts: list[Facts], places: list[Facts], name: str, values: Sequence[object]) -> None:
    if len(values) < len(places):
        raise Malformed(f"{len(values)} times {name} for {len(places)} of {len(facts)} columns")
    for fact, value in zip(places, values, strict=False):
        fact[name] = value


def _bits(body: Cursor) -> list[bool]:
    return [bool(byte & bit) for byte in body.rest() for bit in (128, 64, 32, 16, 8, 4, 2, 1)]


def _all(body: Cursor, take: Callable[[Cursor], T]) -> list[T]:
    taken = []
    while body.left:
        taken.append(take(body))
    return taken


def _add_charsets(facts: list[Facts], default: Cursor | None, each: Cursor | None, is_mariadb: bool) -> None:
    """Add a character set to each: one for all and pairs of place and exception, or a list of them."""
    if default is not None:
        collations = [default.lenenc()] * len(facts)
        for place, collation in _all(default, lambda body: (body.lenenc(), body.lenenc())):
            collations[place] = collation
    elif each is not None:
        collations = _all(each, Cursor.lenenc)
    else:
        return
    _spread(facts, facts, "charset", [charset_of(collation, is_mariadb) for collation in collations])


def _add_members(facts: list[Facts], body: Cursor) -> None:
    lists = _all(body, lambda body: [body.counted() for _ in range(body.lenenc())])
    _spread(facts, facts, "members", [None] * len(lists))
    for fact, members in zip(facts, lists, strict=False):
        decode = decoder(fact.get("charset") or "")
        if fact.get("charset") == "binary":
            decode = _BINARY_LABELS
        with suppress(ValueError):
            fact["members"] = None if decode is None else tuple(map(decode, members))


_BINARY_LABELS = bytes.decode
"""Members of ENUM and SET in the character set binary are told if they are UTF-8."""


def _key(extras: dict[int, Cursor], count: int) -> tuple[int, ...]:
    places: list[int] = []
    if _KEY in extras:
        places = _all(extras[_KEY], Cursor.lenenc)
    elif _KEY_PREFIXES in extras:
        places = _all(extras[_KEY_PREFIXES], Cursor.lenenc)[::2]
    if any(place >= count for place in places):
        raise Malformed("a primary key of columns that are not there")
    return tuple(places)
