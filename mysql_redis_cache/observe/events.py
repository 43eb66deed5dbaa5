"""Events: what happens to reads, drops and servers, told to whoever listens; nothing is built if nobody does.

Values of params are in none of them, and keys, which have them in front, only where they are asked for.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    Hook = Callable[[Any], object]

__all__ = [
    "Answer",
    "Bypass",
    "Corrupt",
    "Drop",
    "Event",
    "Events",
    "Fill",
    "Hit",
    "Load",
    "Miss",
    "NearHit",
    "PoolTimeout",
    "PoolWait",
    "ReadEvent",
    "RedisDown",
    "RedisUp",
    "Refresh",
    "RefusedFill",
    "Stale",
    "StaleFound",
    "Wait",
    "Write",
]

logger = logging.getLogger("mysql_redis_cache")


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
    """

    is_shared: bool = False
    is_unavailable: bool = False


@dataclass(slots=True, kw_only=True)
class Bypass(Answer):
    """A read went past the cache."""


# What happened to a read on its way.


@dataclass(slots=True, kw_only=True)
class Load(ReadEvent):
    """MySQL was asked, or the function called.

    Attributes:
        seconds: how long that took.
        bytes: the JSON of what came.
        error: the class of what it raised, if it did.
    """

    seconds: float
    bytes: int = 0
    error: str | None = None


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
    """``verify`` has found an entry that is not what MySQL has: no drop came after a change."""


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


class _Subscription(NamedTuple):
    hook: Hook
    kinds: tuple[type[Event], ...]
    keys: bool


class Events:
    """Those who listen to a client.

    Attributes:
        heard: they, none if nobody listens.
    """

    def __init__(self) -> None:
        self.heard: tuple[_Subscription, ...] = ()
        self._failed: set[int] = set()

    def subscribe(
        self, hook: Hook, kinds: Collection[type[Event]] | None = None, *, keys: bool = False
    ) -> Callable[[], None]:
        """Have *hook* called with each event, at once and in the thread or task where it happened.

        What it raises is logged once, and harms nobody. It should be quick, and must not wait in an event
        loop.

        Args:
            hook: a function of one event.
            kinds: the classes of events it is for; ``None`` for all.
            keys: whether it gets whole keys, in which values of params are.

        Returns:
            a function that ends the subscription.

        Raises:
            TypeError: *hook* cannot be called, or *kinds* has something that is no class of events.
        """
        if not callable(hook):
            raise TypeError(f"hook must be a function of one event, not {type(hook).__name__}")
        subscription = _Subscription(hook, _kinds(kinds), keys)
        self.heard = (*self.heard, subscription)

        def unsubscribe() -> None:
            self.heard = tuple(each for each in self.heard if each is not subscription)

        return unsubscribe

    def hears(self, kind: type[Event]) -> bool:
        """Whether anybody listens to events of this class."""
        return any(issubclass(kind, each.kinds) for each in self.heard)

    def publish(self, event: Event, key: str | None = None) -> None:
        """Tell those who listen to its kind; the *key* to those who asked for it."""
        for each in self.heard:
            if not isinstance(event, each.kinds):
                continue
            told = replace(event, key=key) if each.keys and key is not None else event  # type: ignore[call-arg]
            try:
                each.hook(told)
            except Exception:  # noqa: BLE001 - it is logged, with its traceback, where that is not done yet
                self._complain(each.hook)

    def _complain(self, hook: Hook) -> None:
        if id(hook) not in self._failed:
            self._failed.add(id(hook))
            logger.exception("a hook that listens to events raised; this is logged once")


def _kinds(kinds: Collection[type[Event]] | None) -> tuple[type[Event], ...]:
    if kinds is None:
        return (Event,)
    if isinstance(kinds, type):
        raise TypeError(f"kinds must be a list of classes of events: [{kinds.__name__}]")
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, Event)):
            raise TypeError(f"kinds must have classes of events, not {kind!r}")
    return tuple(kinds)
