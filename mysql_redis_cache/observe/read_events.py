"""Events of one read: how it ended, and what happened to it on its way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .events import Event

__all__ = [
    "Answer",
    "Bypass",
    "Corrupt",
    "Fill",
    "Hit",
    "Load",
    "Loading",
    "Miss",
    "NearHit",
    "ReadEvent",
    "Refresh",
    "RefusedFill",
    "Server",
    "Stale",
    "StaleFound",
    "Wait",
]


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
