"""The errors this library raises of its own accord.

::

    MRCError (Exception)
    ├── ClosedError          + RuntimeError     used after close()
    ├── CacheUnavailable     + ConnectionError  Redis could not be reached, and the call needs it
    ├── DropTimeout          + TimeoutError     a drop ran out of its time; repeating it is safe
    ├── InvalidationFailed                      committed, but the drop that must follow failed
    ├── DatabaseUnavailable  + ConnectionError  MySQL could not be reached or the connection was lost
    ├── PoolTimeout          + TimeoutError     no connection became free in time
    ├── QueryTimeout         + TimeoutError     a statement ran longer than query_timeout
    └── LoadFailed                              another caller's load of the same key failed

Bad input raises ``TypeError`` or ``ValueError``; what the server answers to a statement (a syntax error,
a missing table) is PyMySQL's own error, unchanged; what a user's function raises passes through.
Messages never hold parameter values or passwords.

All but ``InvalidationFailed`` can be copied and pickled: those who wait for somebody else's load raise a copy
of its failure, and task queues carry errors between processes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "CacheUnavailable",
    "ClosedError",
    "DatabaseUnavailable",
    "DropTimeout",
    "InvalidationFailed",
    "LoadFailed",
    "MRCError",
    "PoolTimeout",
    "QueryTimeout",
]


class MRCError(Exception):
    """Base of the errors this library raises of its own accord."""


class ClosedError(MRCError, RuntimeError):
    """A client or server was used after ``close()``; closing is final, so make a new one."""


class CacheUnavailable(MRCError, ConnectionError):
    """Redis did not answer, and the call (a drop, a direct write) means nothing without it."""


class DatabaseUnavailable(MRCError, ConnectionError):
    """MySQL did not answer or the connection was lost; the driver's error is the ``__cause__``."""


class PoolTimeout(MRCError, TimeoutError):
    """No MySQL connection became free in time.

    Attributes:
        seconds: how long the call waited.
        size: how many connections the pool may have.
    """

    def __init__(self, seconds: float, size: int) -> None:
        super().__init__(
            f"no MySQL connection became free within {seconds:g} s (all {size} are in use); "
            "raise maxsize or pool_timeout, or look for slow queries"
        )
        self.seconds = seconds
        self.size = size

    def __reduce__(self) -> tuple[type[PoolTimeout], tuple[float, int]]:
        return type(self), (self.seconds, self.size)


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


class InvalidationFailed(MRCError):
    """The transaction was (or may have been) committed, but its drops failed: do not repeat the write.

    Attributes:
        committed: ``True`` if COMMIT was acknowledged, ``None`` if its outcome is unknown.
        pairs: for each drop that has not happened ``(key_names, key_values, require_all_match)``, which are
            the arguments of ``drop_outdated_cache``, in types that JSON has.
        namespace: that of the client, whose entries they are for.
        timeout: seconds that all of them together may take.
    """

    def __init__(
        self,
        committed: bool | None,
        pairs: list[tuple[list[str], list[object], bool]],
        retry: Callable[[], int],
        *,
        namespace: str | None = None,
        timeout: float = 60.0,
    ) -> None:
        outcome = "was committed" if committed else "may have been committed"
        names = ", ".join(dict.fromkeys("+".join(dict.fromkeys(names)) for names, *_ in pairs))
        super().__init__(
            f"the transaction {outcome}, but dropping {names} failed; call retry(), do not repeat the write"
        )
        self.committed = committed
        self.pairs = pairs
        self.namespace = namespace
        self.timeout = timeout
        self._retry = retry

    def retry(self) -> int:
        """Try the missing drops again.

        Returns:
            How many entries were deleted.

        Raises:
            InvalidationFailed: they failed again.
        """
        return self._retry()


class LoadFailed(MRCError):
    """Another caller was loading the same key and failed; its error is the ``__cause__``."""
