"""Those who listen to what happens: told at once, and harmless."""

from __future__ import annotations

import logging
from dataclasses import replace
from threading import RLock
from typing import TYPE_CHECKING, Any, NamedTuple

from mysql_redis_cache.runtime import process

from .events import Event
from .read_events import (
    Bypass,
    Fill,
    Hit,
    Miss,
    NearHit,
    Refresh,
    RefusedFill,
    Stale,
    Wait,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    Hook = Callable[[Any], object]

__all__ = ["Events"]

logger = logging.getLogger("mysql_redis_cache")

# What is only known of a read that is followed from its beginning to its end.
_FOLLOWED = (Hit, NearHit, Stale, Miss, Bypass, Fill, RefusedFill, Wait, Refresh)


class _Subscription(NamedTuple):
    hook: Hook
    kinds: tuple[type[Event], ...]
    keys: bool


class Events:
    """Those who listen to a client.

    Attributes:
        heard: they, none if nobody listens.
        follows_reads: whether any of them asks what becomes of reads, so that each has to be followed.
    """

    def __init__(self) -> None:
        self.heard: tuple[_Subscription, ...] = ()
        self.follows_reads = False
        self._failed: set[int] = set()
        self.after_fork_in_child()
        process.register(self)

    def after_fork_in_child(self) -> None:
        """Go on with those who listen; a thread that only the parent has may be subscribing."""
        # Re-entrant: a signal handler may subscribe, too, and strike where it is held.
        self._lock = RLock()

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
            raise TypeError(f"who listens to events must be a function of one, not {type(hook).__name__}")
        subscription = _Subscription(hook, _kinds(kinds), keys)
        with self._lock:
            self._hear((*self.heard, subscription))

        def unsubscribe() -> None:
            with self._lock:
                self._hear(tuple(each for each in self.heard if each is not subscription))
                self._failed.discard(id(subscription))

        return unsubscribe

    def _hear(self, subscriptions: tuple[_Subscription, ...]) -> None:
        self.heard = subscriptions
        self.follows_reads = any(map(self.hears, _FOLLOWED))

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
                self._complain(each)

    def _complain(self, subscription: _Subscription) -> None:
        if id(subscription) not in self._failed:
            self._failed.add(id(subscription))
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
