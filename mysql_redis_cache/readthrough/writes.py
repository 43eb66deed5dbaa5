"""Entries written and deleted by the caller's word, past the steps of reads."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from mysql_redis_cache import keys, near
from mysql_redis_cache.errors import CacheUnavailable
from mysql_redis_cache.store import Entries
from mysql_redis_cache.values import codec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mysql_redis_cache.drops import Drops
    from mysql_redis_cache.observe import Watch
    from mysql_redis_cache.options import Options
    from mysql_redis_cache.store import Link, Name

    from .reads import Read, Write
    from .steps import Put

__all__ = ["Writes"]

# Bytes that Redis takes for one value, however much one would like to cache.
LARGEST_ENTRY = 1 << 29


class Writes:
    """Direct writes of one client.

    Args:
        patient_link: the way to Redis, since what is written or deleted here can be nowhere else.
        drops: deletes what is outdated.
        options: the client's.
        watch: counts.
    """

    def __init__(self, patient_link: Link, drops: Drops, options: Options, watch: Watch) -> None:
        self._patient_entries = Entries(patient_link, options.policy.lease_seconds)
        self._drops = drops
        self._options = options
        self._watch = watch

    def name(self, read: Read) -> Name | None:
        """Return what the entry of *read* is called, or ``None`` if a cluster cannot keep it."""
        if read.where is None:
            texts = keys.pair_texts(read.params, read.names, read.tags)
            longest = read.policy.longest(read.ttl)
            options = self._options
            read.where = self._patient_entries.name(
                read.key, texts, options.namespace.prefix, longest, indexed=options.index
            )
        return read.where

    def fits(self, read: Read, payload: bytes) -> bool:
        """Return whether so much is cached for *read*; count it if not."""
        limit = self._options.max_entry_bytes
        if len(payload) <= (LARGEST_ENTRY if limit is None else limit):
            return True
        self._watch.refused("oversized_entries", read.query, f"it has {len(payload):,} bytes")
        return False

    def put(self, read: Read, step: Put) -> None:
        """Perform Put: store a value and revoke the lease of a load in flight.

        Raises:
            CacheUnavailable: Redis did not take it.
            TypeError, ValueError: the value has no JSON form.
        """
        put = self._put(read, step.value)
        if put is not None:
            try:
                self._patient_entries.put(*put)
            finally:
                near.forget([read.raw])

    def put_many(self, writes: Sequence[Write]) -> Sequence[Exception | None]:
        """Do what ``put`` does for several values in one round trip; return what each would have raised."""
        failures: list[Exception | None] = [None] * len(writes)
        puts: dict[int, tuple[Name, bytes, int]] = {}
        for place, write in enumerate(writes):
            try:
                put = self._put(write.read, write.value)
            except Exception as error:  # noqa: BLE001 - the caller of this one raises it
                failures[place] = error
            else:
                puts.update({place: put} if put else {})
        for place, failure in zip(puts, self._put_many(list(puts.values())), strict=True):
            failures[place] = failure
        return failures

    def drop_key(self, key: str) -> bool:
        """Delete one entry and revoke its lease; return whether it was there.

        Raises:
            CacheUnavailable: Redis did not answer.
            DropTimeout: fewer replicas than ``wait_replicas`` had it in time.
        """
        return self._drops.drop_key(key.encode())

    def _put(self, read: Read, value: object) -> tuple[Name, bytes, int] | None:
        """Return how *value* is stored, or ``None`` if it cannot be: then nothing is left under its key."""
        payload = codec.encode(value, self._options.dates)
        is_kept = read.lives(value)
        where = self.name(read)
        if where is None:
            return None
        if not self.fits(read, payload) or not is_kept:
            self.drop_key(read.key)  # what is cached is outdated
            return None
        return where, payload, read.policy.lifetime(read.ttl, random.random)

    def _put_many(self, puts: Sequence[tuple[Name, bytes, int]]) -> Sequence[Exception | None]:
        if not puts:
            return []
        try:
            return self._patient_entries.put_many(puts)
        except CacheUnavailable as error:
            return [error] * len(puts)
        finally:
            near.forget([name.key for name, *_ in puts])
