"""Events: what happens to reads, drops and servers, told to whoever listens; nothing is built if nobody does.

Values of params are in none of them, and keys, which have them in front, only where they are asked for. Those
of a read are in ``read_events``.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "Drop",
    "Event",
    "LateInvalidation",
    "PoolTimeout",
    "PoolWait",
    "RedisDown",
    "RedisUp",
    "Write",
]


@dataclass(slots=True, kw_only=True)
class Event:
    """Something that happened.

    Attributes:
        client: the name of the client or server.
    """

    client: str = "default"


@dataclass(slots=True, kw_only=True)
class Drop(Event):
    """A drop was performed, or failed.

    Attributes:
        names: the names of the pairs it was for; none for one by query, or of all.
        entries: how many entries were deleted.
        seconds: how long that took.
        error: the class of what it raised, if it did.
    """

    names: tuple[str, ...]
    entries: int
    seconds: float
    error: str | None = None


@dataclass(slots=True, kw_only=True)
class LateInvalidation(Event):
    """A follower of the binary log has fallen behind: what changed meanwhile may be served outdated.

    Its ``client`` is the follower's name. It is told once, until the follower has caught up.

    Attributes:
        lag: by how many seconds.
        problem: what it waits for; empty if it only has much to do.
    """

    lag: float
    problem: str


@dataclass(slots=True, kw_only=True)
class Write(Event):
    """A statement that writes was run by ``execute``, of the client or of a transaction.

    Attributes:
        query: the statement, with its placeholders.
        rows: how many rows it changed.
    """

    query: str
    rows: int


@dataclass(slots=True, kw_only=True)
class RedisDown(Event):
    """Redis fails, or takes no writes.

    Attributes:
        error: what it said, or did not.
    """

    error: str


@dataclass(slots=True, kw_only=True)
class RedisUp(Event):
    """Redis is back, or takes writes again."""


@dataclass(slots=True, kw_only=True)
class PoolWait(Event):
    """A statement waited for a connection to MySQL.

    Attributes:
        seconds: how long.
    """

    seconds: float


@dataclass(slots=True, kw_only=True)
class PoolTimeout(Event):
    """A statement waited for a connection to MySQL in vain.

    Attributes:
        seconds: how long.
    """

    seconds: float
