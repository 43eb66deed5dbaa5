"""Events: what happens to reads, drops and servers, told to whoever listens; nothing is built if nobody does.

Values of params are in none of them, and keys, which have them in front, only where they are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

__all__ = [
    "Answer",
    "Bypass",
    "Corrupt",
    "Drop",
    "Event",
    "Fill",
    "Hit",
    "LateInvalidation",
    "Load",
    "Loading",
    "Miss",
    "NearHit",
    "PoolTimeout",
    "PoolWait",
    "ReadEvent",
    "RedisDown",
    "RedisUp",
    "Refresh",
    "RefusedFill",
    "Server",
    "Stale",
    "StaleFound",
    "Wait",
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
class ReadEvent(Event):
    """Something that happened to one read.

    Attributes:
        read: tells the events of one read from those of others in this process.
        query: the query, or the signature of ``with_cache``.
        digest: the end of the key, 40 hexadecimal digits.
        names: the names of its pairs.
        label: what the read is labelled with, if with anything.
        key: the whole key, for those who subscribe with ``keys=True``.
    """

    read: int
    query: str
    digest: str
    names: tuple[str, ...]
    label: str | None = None
    key: str | None = None


# How a read ended: one of these for each.


@dataclass(slots=True, kw_only=True)
class Answer(ReadEvent):
    """A read has ended.

    Attributes:
        seconds: how long all of it took.
        redis_seconds: of these, in Redis.
        mysql_seconds: of these, in the load.
        wait_seconds: of these, waiting for somebody else's load.
        bytes: the JSON of the answer; 0 if that is not known.
        reason: why, of those that are no hits.
        error: the class of what it raised, if it did.
    """

    seconds: float = 0.0
    redis_seconds: float = 0.0
    mysql_seconds: float = 0.0
    wait_seconds: float = 0.0
    bytes: int = 0
    reason: str = ""
    error: str | None = None


@dataclass(slots=True, kw_only=True)
class Hit(Answer):
    """A read was answered from Redis."""


@dataclass(slots=True, kw_only=True)
class NearHit(Answer):
    """A read was answered from this process."""


@dataclass(slots=True, kw_only=True)
class Stale(Answer):
    """A read was answered with an entry past its ttl, while it is refreshed or because the load failed."""


@dataclass(slots=True, kw_only=True)
class Miss(Answer):
    """A read was not answered by the cache.

    Attributes:
        is_shared: whether somebody else's load answered it.
        is_unavailable: whether Redis was away.
        led_by: the number of the read in this process whose load it waited for, if that was followed too.
    """

    is_shared: bool = False
    is_unavailable: bool = False
    led_by: int | None = None


@dataclass(slots=True, kw_only=True)
class Bypass(Answer):
    """A read went past the cache."""


# What happened to a read on its way.


class Server(NamedTuple):
    """A MySQL server.

    Attributes:
        system: ``"mysql"``, or ``"mariadb"`` once that is known.
        address: its host, or the path of its socket; ``None`` if only a framework knows.
        port: its port; ``None`` of a socket.
        database: the schema.
    """

    system: str
    address: str | None = None
    port: int | None = None
    database: str | None = None


@dataclass(slots=True, kw_only=True)
class Loading(ReadEvent):
    """MySQL is about to be asked, or the function called; in the thread or task that does so.

    Attributes:
        server: the server that is asked; ``None`` of a function.
        is_behind: whether nobody waits for it, so that no read ends with it.
        since: seconds since the read began; 0 of a read that is not followed.
    """

    server: Server | None
    is_behind: bool
    since: float


@dataclass(slots=True, kw_only=True)
class Load(ReadEvent):
    """MySQL was asked, or the function called; told where ``Loading`` was.

    Attributes:
        seconds: how long that took.
        server: as of ``Loading``.
        bytes: the JSON of what came.
        error: the class of what it raised, if it did.
        code: the number of MySQL's error, if it is one.
    """

    seconds: float
    server: Server | None = None
    bytes: int = 0
    error: str | None = None
    code: int | None = None


@dataclass(slots=True, kw_only=True)
class Fill(ReadEvent):
    """An answer was stored in Redis.

    Attributes:
        seconds: how long that took.
        bytes: its JSON.
    """

    seconds: float
    bytes: int


@dataclass(slots=True, kw_only=True)
class RefusedFill(ReadEvent):
    """An answer was not stored: a drop came while it was loaded, the lease was lost, or Redis was away.

    Attributes:
        seconds: how long asking took.
        bytes: its JSON.
    """

    seconds: float
    bytes: int


@dataclass(slots=True, kw_only=True)
class Wait(ReadEvent):
    """A read waited for somebody else's load.

    Attributes:
        seconds: how long.
        is_shared: whether that answered it.
    """

    seconds: float
    is_shared: bool


@dataclass(slots=True, kw_only=True)
class Refresh(ReadEvent):
    """An entry is refreshed behind the reader's back.

    Attributes:
        left: seconds until Redis deletes it.
    """

    left: float


@dataclass(slots=True, kw_only=True)
class Corrupt(ReadEvent):
    """An entry was no JSON; it is overwritten."""


@dataclass(slots=True, kw_only=True)
class StaleFound(ReadEvent):
    """``verify`` has found an entry that is not what MySQL has: no drop came after a change.

    Attributes:
        left: seconds until it ends by itself; infinite if it does not.
        age: about how many seconds old it is, to a tenth of its ttl; ``None`` if its ttl is not known.
    """

    left: float
    age: float | None


# What happened otherwise.


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
