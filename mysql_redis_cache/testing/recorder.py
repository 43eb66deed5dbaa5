"""What a test sees of the cache: reads, drops and writes, and assertions about them."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from mysql_redis_cache.keys import AnyValue, Matcher, Whole, as_json
from mysql_redis_cache.sql import written_tables

from .watching import watching

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from mysql_redis_cache.keys import Wanted

    from .faces import Face

__all__ = ["Recorder", "Seen", "recording"]


class Seen(NamedTuple):
    """A cached read.

    Attributes:
        query: its query, or signature.
        how: ``"hit"``, ``"load"``, ``"shared"`` (somebody else's load) or ``"uncached"`` (past the cache).
    """

    query: str
    how: str


class _Write(NamedTuple):
    text: str
    tables: list[str]


@contextmanager
def recording(
    *faces: Face, tag: str = "Table", names: Mapping[str, str | Collection[str]] | None = None
) -> Iterator[Recorder]:
    """Record what clients and servers of this process do, for the block.

    Args:
        *faces: clients and servers, of either kind.
        tag: the name of the tags, or params, whose values are tables: a drop of ``Table=orders`` covers
            writes to ``orders``.
        names: of some tables the name, or names, by which drops cover writes to them as well, whatever the
            value: ``{"users": "UserId"}``.
    """
    recorder = Recorder(tag, names or {})
    with ExitStack() as stack:
        for face in faces:
            stack.enter_context(watching(face, recorder))
        yield recorder


class Recorder:
    """What was recorded. Made by ``recording``.

    Attributes:
        reads: the cached reads, in order.
    """

    def __init__(self, tag: str, names: Mapping[str, str | Collection[str]]) -> None:
        self.reads: list[Seen] = []
        self._tag = tag
        self._names = {table: {each} if isinstance(each, str) else {*each} for table, each in names.items()}
        self._acts: list[_Write | Wanted] = []  # writes and drops, in order

    @property
    def hits(self) -> list[str]:
        """The queries that were answered from the cache."""
        return self._queries("hit")

    @property
    def loads(self) -> list[str]:
        """The queries that were loaded, to be cached."""
        return self._queries("load")

    @property
    def uncached(self) -> list[str]:
        """The queries that went past the cache: it was off, or there is none, or in a transaction."""
        return self._queries("uncached")

    @property
    def writes(self) -> list[str]:
        """The statements that wrote, and were not rolled back."""
        return [act.text for act in self._acts if isinstance(act, _Write)]

    @property
    def drops(self) -> list[dict[str, Any]]:
        """What was dropped, each in the form of ``InvalidationFailed.pairs``."""
        return [as_json(act) for act in self._wanted(self._acts)]

    @property
    def forgotten(self) -> list[str]:
        """The tables that were written to, and that no drop after that covered."""
        return list(
            dict.fromkeys(
                table
                for place, act in enumerate(self._acts)
                if isinstance(act, _Write)
                for table in act.tables
                if not any(self._covers(drop, table) for drop in self._wanted(self._acts[place:]))
            )
        )

    def clear(self) -> None:
        """Forget what was recorded so far."""
        self.reads.clear()
        self._acts.clear()

    def assert_reads(self, *, hits: int | None = None, loads: int | None = None) -> None:
        """Check how many reads were hits, and how many were loaded.

        Raises:
            AssertionError: there were more or fewer; the message lists the reads.
        """
        for how, expected, queries in (("hits", hits, self.hits), ("loads", loads, self.loads)):
            if expected is not None and len(queries) != expected:
                listed = "".join(f"\n  {seen.how:9} {seen.query}" for seen in self.reads) or " nothing"
                raise AssertionError(f"expected {expected} {how}, not {len(queries)}; read was:{listed}")

    def assert_dropped(self, **pairs: object) -> None:
        """Check that entries with all of the *pairs* were dropped: ``assert_dropped(UserId=123)``.

        Raises:
            AssertionError: no drop was for them; the message lists the names of those that were.
        """
        texts = set(Matcher(list(pairs), list(pairs.values())).texts)
        if any(_drops(drop, texts) for drop in self._wanted(self._acts)):
            return
        listed = "".join(f"\n  {_shown(drop)}" for drop in self._wanted(self._acts)) or " nothing"
        raise AssertionError(f"no drop was for {' and '.join(pairs)} with these values; dropped was:{listed}")

    def assert_nothing_forgotten(self) -> None:
        """Check that a drop followed each write.

        Raises:
            AssertionError: one did not; the message lists tables and statements.
        """
        forgotten = self.forgotten
        if not forgotten:
            return
        texts = [act.text for act in self._acts if isinstance(act, _Write) and {*act.tables} & {*forgotten}]
        listed = "".join(f"\n  {text}" for text in texts)
        raise AssertionError(f"written to, and no drop covered it: {', '.join(forgotten)}; by{listed}")

    # What is told by ``watching``

    def read(self, query: str, how: str) -> None:
        """Note a cached read."""
        self.reads.append(Seen(query, how))

    def dropped(self, wanted: Sequence[Wanted]) -> None:
        """Note a drop."""
        self._acts += wanted

    def wrote(self, text: str) -> None:
        """Note a statement, if it writes."""
        tables = written_tables(text)
        if tables:
            self._acts.append(_Write(text, sorted(tables, key=text.find)))

    def _queries(self, how: str) -> list[str]:
        return [seen.query for seen in self.reads if seen.how == how]

    @staticmethod
    def _wanted(acts: Sequence[_Write | Wanted]) -> list[Wanted]:
        return [act for act in acts if not isinstance(act, _Write)]

    def _covers(self, drop: Wanted, table: str) -> bool:
        names = self._names.get(table, set())
        if isinstance(drop, AnyValue):
            return any(pair.name == self._tag or pair.name in names for pair in drop.pairs)
        if isinstance(drop, Matcher) and any(pair.name in names for pair in drop.pairs):
            return True
        return _drops(drop, {f"{self._tag}={table}"})


def _drops(drop: Wanted, texts: set[str]) -> bool:
    """Tell whether *drop* is for every entry that carries all of the pairs."""
    if isinstance(drop, Whole):
        return not drop.head
    if isinstance(drop, AnyValue):
        return any(text.startswith(f"{pair.name}=") for pair in drop.pairs for text in texts)
    if not isinstance(drop, Matcher):
        return False
    return texts.issuperset(drop.texts) if drop.require_all else not texts.isdisjoint(drop.texts)


def _shown(drop: Wanted) -> str:
    if isinstance(drop, Matcher):
        return (" and " if drop.require_all else " or ").join(dict.fromkeys(pair.name for pair in drop.pairs))
    return (
        "a query" if getattr(drop, "head", "") else "everything" if isinstance(drop, Whole) else "one entry"
    )
