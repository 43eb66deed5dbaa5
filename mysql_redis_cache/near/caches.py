"""The near caches of this process, one for each Redis and bounds, shared by all clients that name both."""

from __future__ import annotations

import atexit
import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakSet, WeakValueDictionary, ref

from mysql_redis_cache.errors import CacheUnavailable
from mysql_redis_cache.runtime import process
from mysql_redis_cache.store import link

from .listener import Listener, Shared
from .shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from mysql_redis_cache.options import Near
    from mysql_redis_cache.store import Link, Server


__all__ = ["NearCache", "forget", "join", "settle"]

LEARN_AGAIN = 1.0
"""Seconds between two questions of where a cluster's keys have moved."""


class NearCache:
    """The entries of one Redis that are kept in this process.

    Args:
        way: to Redis.
        options: the bounds.

    Raises:
        ValueError: *options* are strict, and *way* leads to a cluster.

    Attributes:
        users: the clients; when the last one leaves, or is forgotten, the threads end.
    """

    def __init__(self, way: Link, options: Near) -> None:
        if options.strict and way.clustered:
            raise ValueError(
                "near=Near(strict=True) is for one server or Sentinel; on a cluster leave it out"
            )
        self.users: WeakSet[Any] = WeakSet()
        self._way = way
        self._options = options
        self._listeners: dict[Server, Listener] = {}
        self.after_fork_in_child()
        process.register(self)
        _all[id(self)] = ref(self, partial(_forgotten, id(self)))

    def after_fork_in_child(self) -> None:
        """Begin empty: the parent's threads do not exist here, and its connections are the parent's."""
        for listener in self._listeners.values():
            listener.abandon()
        self._lock = threading.RLock()  # a signal handler may drop, too, and strike where it is held
        self._shelf = Shelf(self._options)
        self._listeners = {}
        self._learn_again_at = 0.0
        self.get = self._shelf.get  # a hit goes straight there

    def want(self, key: bytes, size: int) -> None:
        """Note that an entry of *size* bytes was read from Redis; if it is read often it is fetched."""
        if self._shelf.admits(key, size):
            with suppress(CacheUnavailable):  # no node of a cluster answers
                self._listener(self._way.part_of(key).server).want(key)

    def forget(self, key: bytes) -> None:
        """Serve nothing of *key* that Redis had before now."""
        with self._lock:
            self._shelf.discard(key)
            for listener in self._listeners.values():
                if listener.feed is not None:
                    listener.feed.forget(key)

    def settle(self) -> None:
        """Return when nothing is served any more that changed in Redis before now.

        The servers are asked for a beat, before whose reply all pushes stand. What does not answer within
        the timeout of a read is served no more.
        """
        waits = [listener.ask() for listener in list(self._listeners.values())]
        for wait in waits:
            if wait is not None:
                wait()

    def leave(self, user: object) -> None:
        """Work for *user* no more."""
        self.users.discard(user)
        if not self.users:
            self.drain()

    def drain(self) -> None:
        """Close the connections and forget everything; what is wanted later opens new ones."""
        with self._lock:
            listeners, self._listeners = self._listeners, {}
            for listener in listeners.values():
                listener.stop()
        for listener in listeners.values():
            listener.await_leave()

    def figures(self) -> dict[str, int]:
        """Return what there is to count, by name."""
        shelf = self._shelf
        return {
            "near_entries": len(shelf),
            "near_bytes": shelf.size,
            "near_fills": shelf.fills,
            "near_evictions": shelf.evictions,
            "near_invalidations": shelf.invalidations,
            "near_losses": shelf.losses,
        }

    def _listener(self, server: Server) -> Listener:
        listener = self._listeners.get(server)
        if listener is None:
            shared = Shared(self._shelf, self._lock, self._options, self._is_used, self._relearn)
            listener = self._listeners.setdefault(server, Listener(server, shared))
        return listener

    def _is_used(self) -> bool:
        return bool(self.users)

    def _relearn(self) -> None:
        now = time.monotonic()
        if now >= self._learn_again_at:
            self._learn_again_at = now + LEARN_AGAIN
            with suppress(CacheUnavailable):
                self._way.relearn()


# Those that clients may still join; at worst two are made at one moment, and not shared.
_caches: WeakValueDictionary[Hashable, NearCache] = WeakValueDictionary()
# All there are. A plain dictionary: a weak one cannot be walked through while another thread adds to it.
_all: dict[int, ref[NearCache]] = {}


def _forgotten(number: int, _: object) -> None:
    _all.pop(number, None)


def _here() -> list[NearCache]:
    return [cache for known in list(_all.values()) if (cache := known()) is not None]


def join(redis_config: object, options: Near, user: object) -> NearCache:
    """Return the near cache of the Redis that *redis_config* names, for *user* to leave in the end."""
    way = link(redis_config)
    made = NearCache(way, options)
    cache = _caches.setdefault((way.target, options), made)
    cache.users.add(user)
    return cache


def _leave() -> None:
    """Have no drop wait for a process that ends without closing its clients."""
    for cache in _here():
        cache.drain()


atexit.register(_leave)


def forget(keys: Iterable[bytes]) -> None:
    """Have no near cache of this process serve what Redis had of *keys* before now."""
    for cache in _here() if _all else ():
        for key in keys:
            cache.forget(key)


def settle() -> None:
    """Have no near cache of this process serve what changed in its Redis before now."""
    for cache in _here() if _all else ():
        cache.settle()
