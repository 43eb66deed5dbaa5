"""The errors this library raises of its own accord.

::

    MRCError (Exception)
    ├── ClosedError          + RuntimeError     used after close()
    ├── CacheUnavailable     + ConnectionError  Redis could not be reached, and the call needs it
    ├── DropTimeout          + TimeoutError     a drop ran out of its time; repeating it is safe
    ├── FollowTimeout        + TimeoutError     no follower has dropped in time what a write outdated
    ├── InvalidationFailed                      committed, but the drop that must follow failed
    ├── DatabaseUnavailable  + ConnectionError  MySQL could not be reached or the connection was lost
    ├── PoolTimeout          + TimeoutError     no connection (or thread) became free in time
    ├── QueryTimeout         + TimeoutError     a statement ran longer than query_timeout
    ├── TransactionEnded     + RuntimeError     the server ended a transaction before its block ended
    ├── RowMismatch          + ValueError       a row does not fit the class or type of into=
    ├── TooManyRows          + ValueError       one=True, and there are more
    └── LoadFailed                              another caller's load of the same key failed

Bad input raises ``TypeError`` or ``ValueError``; what the server answers to a statement (a syntax error,
a missing table) is PyMySQL's own error, unchanged; what a user's function raises passes through.
Messages never hold parameter values or passwords.

All but ``InvalidationFailed`` can be copied and pickled: those who wait for somebody else's load raise a copy
of its failure, and task queues carry errors between processes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "CacheUnavailable",
    "ClosedError",
    "DatabaseUnavailable",
    "DropTimeout",
    "FollowTimeout",
    "InvalidationFailed",
    "LoadFailed",
    "MRCError",
    "PoolTimeout",
    "QueryTimeout",
    "RowMismatch",
    "TooManyRows",
    "TransactionEnded",
]

_PACKAGE = __name__.partition(".")[0]


class MRCError(Exception):
    """Base of the errors this library raises of its own accord."""

    _shown_as: ClassVar[type[MRCError] | None] = None

    def __init_subclass__(cls, *, shown_as: type[MRCError] | None = None) -> None:
        """Have an inner kind of error show itself as the public one that it is.

        Inside, what went wrong is told apart by class; what users catch, read and search for is the class
        they know.
        """
        if shown_as is not None:
            cls._shown_as, name = shown_as, shown_as.__name__
            cls.__module__, cls.__name__, cls.__qualname__ = _PACKAGE, name, name

    def __reduce__(self) -> str | tuple[Any, ...]:
        return super().__reduce__() if self._shown_as is None else (self._shown_as, self.args)


class ClosedError(MRCError, RuntimeError):
    """A client or server was used after ``close()``; closing is final, so make a new one."""


class CacheUnavailable(MRCError, ConnectionError):
    """Redis did not answer, and the call (a drop, a direct write) means nothing without it."""


class DatabaseUnavailable(MRCError, ConnectionError):
    """MySQL did not answer or the connection was lost; the driver's error is the ``__cause__``."""


class PoolTimeout(MRCError, TimeoutError):
    """No MySQL connection became free in time, or, for a plain function given to the facade, no thread.

    Attributes:
        seconds: how long the call waited.
        size: how many there may be.
        what: ``"MySQL connection"`` or ``"thread"``.
    """

    def __init__(
        self, seconds: float, size: int, what: Literal["MySQL connection", "thread"] = "MySQL connection"
    ) -> None:
        super().__init__(
            f"no {what} became free within {seconds:g} s (all {size} are in use); {_POOL_ADVICE[what]}"
        )
        self.seconds = seconds
        self.size = size
        self.what = what

    def __reduce__(self) -> tuple[type[PoolTimeout], tuple[Any, ...]]:
        return type(self), (self.seconds, self.size, self.what)


_POOL_ADVICE = {
    "MySQL connection": "raise maxsize or pool_timeout, or look for slow queries",
    "thread": "look for slow functions, or give coroutine functions",
}


class QueryTimeout(MRCError, TimeoutError):
    """A statement ran longer than ``query_timeout`` and was stopped.

    Attributes:
        seconds: the limit that passed.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the statement ran longer than query_timeout={seconds:g} s and was stopped")
        self.seconds = seconds

    def __reduce__(self) -> tuple[type[QueryTimeout], tuple[float]]:
        return type(self), (self.seconds,)


class DropTimeout(MRCError, TimeoutError):
    """A drop ran out of its time before it had looked everywhere. Repeating it is safe.

    Attributes:
        seconds: the limit that passed.
        stage: what it was doing, such as ``"pass 1 of 2"``.
        dropped: how many entries it had deleted by then.
    """

    def __init__(self, seconds: float, stage: str, dropped: int) -> None:
        super().__init__(
            f"the drop did not finish within {seconds:g} s ({stage}, {dropped} entries deleted so far); "
            "outdated entries may remain: repeat it, which is safe"
        )
        self.seconds = seconds
        self.stage = stage
        self.dropped = dropped

    def __reduce__(self) -> tuple[type[DropTimeout], tuple[float, str, int]]:
        return type(self), (self.seconds, self.stage, self.dropped)


class FollowTimeout(MRCError, TimeoutError):
    """No follower has dropped in time what a write has made outdated; it will, if one runs.

    Attributes:
        seconds: how long the call waited.
        name: the follower's.
        is_known: whether one of that name has ever followed anything, by this Redis and namespace.
    """

    def __init__(self, seconds: float, name: str, is_known: bool) -> None:
        late = "has not dropped what the write made outdated; look whether it runs, and at its lag"
        unknown = "is not known to this Redis and namespace; run it, or give the name of the one that runs"
        super().__init__(f"after {seconds:g} s the follower {name!r} {late if is_known else unknown}")
        self.seconds = seconds
        self.name = name
        self.is_known = is_known

    def __reduce__(self) -> tuple[type[FollowTimeout], tuple[float, str, bool]]:
        return type(self), (self.seconds, self.name, self.is_known)


def _said(drop: dict[str, Any]) -> str:
    """Say what a drop is for, without values."""
    if "key_names" in drop:
        return "+".join(dict.fromkeys(drop["key_names"]))
    return "all entries" if "all" in drop else "the entries of a query" if "query" in drop else "one entry"


class InvalidationFailed(MRCError):
    """The transaction was (or may have been) committed, but its drops failed: do not repeat the write.

    Attributes:
        committed: ``True`` if COMMIT was acknowledged, ``None`` if its outcome is unknown.
        drops: the drops that have not happened, in types that JSON has.
        pairs: ``(key_names, key_values, require_all_match)`` of those that are for pairs, which are the
            arguments of ``drop_outdated_cache``.
        namespace: that of the client, whose entries they are for.
        timeout: seconds that all of them together may take.
    """

    def __init__(
        self,
        committed: bool | None,
        drops: list[dict[str, Any]],
        retry: Callable[[], int],
        *,
        namespace: str | None = None,
        timeout: float = 60.0,
    ) -> None:
        outcome = "was committed" if committed else "may have been committed"
        names = ", ".join(dict.fromkeys(map(_said, drops)))
        super().__init__(
            f"the transaction {outcome}, but dropping {names} failed; call retry(), do not repeat the write"
        )
        self.committed = committed
        self.drops = drops
        self.namespace = namespace
        self.timeout = timeout
        self._retry = retry

    @property
    def pairs(self) -> list[tuple[list[str], list[Any], bool]]:
        """The drops that are for pairs."""
        fields = ("key_names", "key_values", "require_all_match")
        found = [drop for drop in self.drops if "key_names" in drop]
        return [(drop[fields[0]], drop[fields[1]], drop[fields[2]]) for drop in found]

    def to_json(self) -> str:
        """Return all that ``MRCServer.drop_again`` needs to do it in another process: a text for a queue."""
        return json.dumps({"namespace": self.namespace, "timeout": self.timeout, "drops": self.drops})

    def retry(self) -> int:
        """Try the missing drops again.

        Returns:
            How many entries were deleted.

        Raises:
            InvalidationFailed: they failed again.
        """
        return self._retry()


class TransactionEnded(MRCError, RuntimeError):
    """The server ended a transaction before its block did, or a statement left one open.

    Attributes:
        committed: whether what the block had done by then is committed: ``True``, ``False`` (rolled back: the
            block may be repeated), ``None`` if that is unknown.
    """

    def __init__(self, text: str, committed: bool | None) -> None:
        outcome = {
            True: "is committed",
            False: "is rolled back",
            None: "is committed or not: look, then decide",
        }
        super().__init__(f"{text}; what was done before {outcome[committed]}")
        self.text = text
        self.committed = committed

    def __reduce__(self) -> tuple[type[TransactionEnded], tuple[str, bool | None]]:
        return type(self), (self.text, self.committed)


class RowMismatch(MRCError, ValueError):
    """A row, or what a function gave, does not fit ``into=``. What is cached is left as it is.

    Attributes:
        into: the name of the class or type.
        path: where the misfit is, such as ``"$[3].total"``.
        column: the column that does not fit; empty if it is the row, or all of it.
        expected: what it must be, a type's name.
        found: what it is, a type's name, or ``"missing"``.
    """

    def __init__(self, into: str, path: str, column: str, expected: str, found: str) -> None:
        what = f"column {column} ({path})" if column else path
        is_what = "is missing" if found == "missing" else f"is {found}"
        super().__init__(f"{what} {is_what}, and {into} wants {expected}")
        self.into = into
        self.path = path
        self.column = column
        self.expected = expected
        self.found = found

    def __reduce__(self) -> tuple[type[RowMismatch], tuple[str, ...]]:
        return type(self), (self.into, self.path, self.column, self.expected, self.found)


class TooManyRows(MRCError, ValueError):
    """``one=True`` was asked of a query that gives more than one row.

    Attributes:
        count: how many there are.
    """

    def __init__(self, count: int) -> None:
        super().__init__(
            f"one=True, and the query gives {count} rows; select one, by a unique column or with LIMIT 1"
        )
        self.count = count

    def __reduce__(self) -> tuple[type[TooManyRows], tuple[int]]:
        return type(self), (self.count,)


class LoadFailed(MRCError):
    """Another caller was loading the same key and failed; its error is the ``__cause__``."""
