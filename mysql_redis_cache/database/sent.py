"""What other people's cursors fetch, with each cell as the server sent it.

PyMySQL and mysqlclient make of cells what their owner's settings say. For a moment they are asked for the
bytes, so that these become here what they become in ``wire``, whoever's connection they came over. One thing
neither of them tells: which of MariaDB's text columns are JSON; those are text then.

Source: PyMySQL's ``MySQLResult._get_descriptions``, and mysqlclient's ``_mysql_ResultObject_Initialize``.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

from mysql_redis_cache.values.rows import Column, row_builder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mysql_redis_cache.values import Dates, Row

__all__ = ["as_sent", "fetched_rows"]

_BINARY = 63
_UTF8 = 45
_BINARY_FLAG = 128
_STRINGS = (15, *range(247, 255))  # VARCHAR; ENUM, SET, the BLOBs and TEXTs, VAR_STRING, STRING
# mysqlclient does not tell the character sets of columns, but picks by them: what is not text is marked.
_MARKED = dict.fromkeys(_STRINGS, ((_BINARY_FLAG, bytearray), (None, bytes)))


@contextmanager
def as_sent(cursor: Any) -> Iterator[None]:
    """Have the cursors of a connection fetch bytes, for the block; in what they fetched that stays so.

    Args:
        cursor: one of them.

    Raises:
        TypeError: it is neither PyMySQL's nor mysqlclient's.
        ValueError: what it would fetch is not UTF-8.
    """
    driver = cursor.connection
    _check(driver)
    own = {"decoders": {}, "use_unicode": False} if hasattr(driver, "decoders") else {"converter": _MARKED}
    before = {name: getattr(driver, name) for name in own}
    for name, value in own.items():
        setattr(driver, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(driver, name, value)


def _check(driver: Any) -> None:
    if not (hasattr(driver, "decoders") or hasattr(driver, "converter")):
        kind = f"{type(driver).__module__}.{type(driver).__qualname__}"
        raise TypeError(f"the connection must be one of PyMySQL or mysqlclient, not {kind}")
    charset = driver.character_set_name()
    if not charset.startswith("utf8"):
        raise ValueError(f"the connection's character set is {charset}; set it to utf8mb4")


def fetched_rows(cursor: Any, dates: Dates) -> list[Row]:
    """Fetch all rows of a cursor that executed its statement ``as_sent``.

    Args:
        cursor: the cursor.
        dates: ``"iso"`` or ``"npm"``, see ``codec.encode``.

    Returns:
        The rows, as ``wire`` gives them.
    """
    rows: Sequence[Sequence[Any]] = cursor.fetchall()
    driver = cursor.connection
    if hasattr(driver, "decoders"):
        columns = tuple(
            Column(field.name, field.type_code, field.charsetnr, field.flags, field.scale)
            for field in driver._result.fields  # noqa: SLF001 - the cursor's description leaves most of it out
        )
        return row_builder(columns, dates).build(list(chain.from_iterable(rows)))
    columns = _described(cursor, rows)
    cells = [bytes(cell) if type(cell) is bytearray else cell for cell in chain.from_iterable(rows)]
    return row_builder(columns, dates).build(cells)


def _described(cursor: Any, rows: Sequence[Sequence[Any]]) -> tuple[Column, ...]:
    """Return the columns as mysqlclient describes them."""
    columns = []
    for place, (about, flags) in enumerate(zip(cursor.description, cursor.description_flags, strict=True)):
        cell = next((row[place] for row in rows if row[place] is not None), None)
        is_text = about[1] in _STRINGS and type(cell) is not bytearray
        columns.append(Column(about[0], about[1], _UTF8 if is_text else _BINARY, flags, about[5]))
    return tuple(columns)
