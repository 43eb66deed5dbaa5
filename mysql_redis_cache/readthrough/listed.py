"""The rows of a list, an entry for each id: what ``get_many`` asks for, and whose each row is.

The entry of an id is that of the read of this id alone, and holds what that would load. One query loads many
of them where its rows tell for certain whose each is; otherwise each is loaded alone.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from mysql_redis_cache import sql
from mysql_redis_cache.keys.jstext import plain, text
from mysql_redis_cache.policy import ttl_seconds
from mysql_redis_cache.values import encode_rows, rows_at

from .many import Job, read_rows
from .reads import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from mysql_redis_cache.keys import Tagged
    from mysql_redis_cache.sql import Params
    from mysql_redis_cache.values import Row

    from .many import Tasks
    from .reads import Read, Reads
    from .steps import Steps

    Ask = Callable[[str, Params], list[Row]]

__all__ = ["Listed", "listed"]

_AS_TEXT = frozenset([int, float, Decimal, str])


@dataclass(slots=True)
class Listed(Batch):
    """The reads of one ``get_many``.

    Attributes:
        query: that for the list.
        name: of its placeholder, if that has one.
        column: which tells whose a row is.
        ids: those asked for, in order.
    """

    query: str = ""
    name: str | None = None
    column: str = ""
    ids: list[Hashable] = field(default_factory=list)

    def steps(self) -> Tasks:
        """Answer all of them."""
        yield from read_rows(list(self.jobs.values()))
        answers = zip(self.ids, self._values(), strict=True)
        return {each: answer for each, answer in answers if answer is not None}

    def payloads(self, reads: Sequence[Read], ask: Ask) -> list[bytes]:
        """Load what the entries of *reads* hold; *ask* sends a query."""
        found = self._by_id(reads, ask)
        if found is None:
            return [encode_rows(ask(read.query, read.params)) for read in reads]
        return [encode_rows(rows) for rows in found]

    def _by_id(self, reads: Sequence[Read], ask: Ask) -> list[list[Row]] | None:
        """Return the rows of each read, by one query; ``None`` if that does not tell.

        Where MySQL takes one text for another, as most collations do with upper and lower case, a row's
        text is not that of the id it is for. Numbers are what they are.
        """
        rows = ask(self.query, self._params(reads))
        places: dict[object, list[int]] = {_identity(_id(read)): [] for read in reads}
        for place, row in enumerate(rows):
            mine = places.get(_identity(self._cell(row)))
            if mine is None:
                return None
            mine.append(place)
        absent = [read for read in reads if not places[_identity(_id(read))]]
        is_certain = len(absent) == len(reads) or all(type(_id(read)) is int for read in reads)
        if not is_certain and _may_be_alike([_id(read) for read in reads if places[_identity(_id(read))]]):
            return None
        if not is_certain and absent and ask(self.query, self._params(absent)):
            return None
        return [rows_at(rows, places[_identity(_id(read))]) for read in reads]

    def _params(self, reads: Sequence[Read]) -> Params:
        ids = list(map(_id, reads))
        return [ids] if self.name is None else {self.name: ids}

    def _cell(self, row: Row) -> object:
        try:
            return row[self.column]
        except KeyError:
            columns = ", ".join(row)
            raise ValueError(
                f"the rows have no column {self.column!r}, by which key= tells whose each is: {columns}"
            ) from None


def listed(
    reads: Reads,
    steps: Callable[[Read], Steps],
    query: str,
    ids: Iterable[Hashable],
    *,
    key: str,
    name: str,
    ttl: object,
    empty_ttl: object,
    into: Any,
    tags: Tagged,
    windows: Mapping[str, Any],
) -> Listed:
    """Return the reads of a ``get_many``, those of equal ids once, all of them checked."""
    if not isinstance(key, str):
        raise TypeError(f"key must be a str, the name of a column, not {type(key).__name__}")
    single, given = sql.single_of(query), _listed_ids(ids)
    usual = ttl_seconds(ttl)
    lifetime = usual if empty_ttl is None else partial(_lifetime, usual, ttl_seconds(empty_ttl, "empty_ttl"))
    decode = reads.shape(into, one=True).decode
    batch = Listed(query=query, name=single.name, column=key, ids=given)
    for each in given:
        params: Params = [each] if single.name is None else {single.name: each}
        read = reads.of_query(single.text, params, [name], lifetime, windows, tags=tags)
        read.decode = decode
        batch.order.append((read.key, decode))
        if batch.order[-1] not in batch.jobs:
            batch.jobs[batch.order[-1]] = Job(read, steps(read))
    return batch


def _listed_ids(ids: Iterable[Hashable]) -> list[Hashable]:
    if isinstance(ids, (str, bytes, Mapping)) or not isinstance(ids, Iterable):
        raise TypeError(f"ids must be a list of values, not {type(ids).__name__}")
    given = list(ids)
    for place, each in enumerate(given):
        if sql.is_list(each) or isinstance(each, (dict, set, bytearray)):
            raise TypeError(f"ids[{place}] is a {type(each).__name__}, and an id is one value")
    return given


def _lifetime(ttl: float, empty_ttl: float, row: object) -> float:
    return empty_ttl if row is None else ttl


def _id(read: Read) -> object:
    return read.params[0]


def _identity(value: object) -> object:
    """Return what two values have in common that are one for a key: a number, and the text of its digits."""
    own = plain(value)
    return text(own) if type(own) in _AS_TEXT else (type(own), repr(own))


def _may_be_alike(ids: Sequence[object]) -> bool:
    """Whether MySQL may take two of these for one, each having rows: then either alone has those of both.

    Collations pass over case, accents and spaces at the end, and a number is equal to a text that begins
    with it.
    """
    values = [plain(each) for each in ids]
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) < len(values):
        return not all(value.isdecimal() and str(int(value)) == value for value in texts)
    return len({_folded(value) for value in texts}) < len(texts)


def _folded(value: str) -> str:
    letters = unicodedata.normalize("NFKD", value.casefold())
    return "".join(each for each in letters if not unicodedata.combining(each)).rstrip(" ")
