"""Entries' bytes by key, within bounds of count and of bytes. Pure: no clock, no lock, no thread.

A hit is one look into a dictionary and one bit set, without a lock, whatever is put or taken out meanwhile.
What is put and taken out comes from one thread at a time, which is for the caller to see to. What has to go
for something new is found by CLOCK: a second chance for what was hit since the hand last passed.
Source: F. J. Corbató, "A Paging Experiment with the Multics System", 1968.

Why our own: cachetools wants a lock around each hit, theine starts a thread when it is imported. cachebox
(Rust) is faster by a tenth of a microsecond of the fourteen that a hit takes with its key and its decoding,
but locks inside, has one bound, a sum of sizes, not one of count besides, and would be one more compiled
dependency of everybody for what few turn on.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING

from mysql_redis_cache.values import codec

if TYPE_CHECKING:
    from mysql_redis_cache.options import Near

__all__ = ["Kept", "Shelf", "Voucher"]

OVERHEAD = 400
"""Bytes that an entry takes beside its key and its payload: objects, floats and the dictionary's share."""

LARGEST = 8
"""An entry of more than this part of all the room is not kept: it would push out too many others."""

SEEN = 1 << 14
"""How many keys are remembered that were asked for once."""


class Voucher:
    """Until when (monotonic seconds) what came over one connection may be served; never, from its end on."""

    __slots__ = ("until",)

    def __init__(self) -> None:
        self.until = -math.inf


class Kept:
    """An entry on the shelf.

    Attributes:
        payload: its JSON.
        is_plain: whether ``codec.decode_plain`` decodes it.
        until: when (monotonic seconds) it is over here.
        ends: when Redis deletes it; infinite if it does not.
        voucher: that of the connection it came over.
        was_hit: whether it was served since the hand last passed it.
    """

    __slots__ = ("ends", "is_plain", "payload", "until", "voucher", "was_hit")

    def __init__(self, payload: bytes, until: float, ends: float, voucher: Voucher) -> None:
        self.payload = payload
        self.is_plain = codec.is_plain(payload)
        self.until = until
        self.ends = ends
        self.voucher = voucher
        self.was_hit = False


class Shelf:
    """Entries by key.

    Args:
        options: with the bounds.

    Attributes:
        size: bytes that the entries take.
        fills: how many entries were put.
        evictions: how many of them had to go for others.
        invalidations: how many keys the server has said to have changed.
        losses: how many times the connection to a server was lost.
    """

    def __init__(self, options: Near) -> None:
        self.size = 0
        self.fills = self.evictions = self.invalidations = self.losses = 0
        self._max_bytes = options.max_bytes
        self._max_entries = options.max_entries
        self._largest = options.max_bytes // LARGEST
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()
        self._seen: set[int] = set()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: bytes, now: float) -> Kept | None:
        """Return what may be served of *key* at the moment *now*."""
        kept = self._kept.get(key)
        if kept is None or kept.until <= now or kept.voucher.until <= now:
            return None
        kept.was_hit = True
        return kept

    def admits(self, key: bytes, size: int) -> bool:
        """Return whether a payload of *size* bytes is worth fetching: not the first time its key is seen."""
        if size + len(key) + OVERHEAD > self._largest:
            return False
        if key in self._kept or hash(key) in self._seen:
            return True
        self._remember(key)
        return False

    def put(self, key: bytes, kept: Kept) -> None:
        """Keep an entry, if it is not too large; others go for it."""
        size = _size(key, kept)
        self.take_out(key)
        if size > self._largest:
            return
        while self.size + size > self._max_bytes or len(self._kept) >= self._max_entries:
            self._evict()
        self._kept[key] = kept
        self.size += size
        self.fills += 1

    def discard(self, key: bytes) -> None:
        """Take an entry out that is outdated; if it is asked for again it comes back at once."""
        if self.take_out(key):
            self._remember(key)

    def take_out(self, key: bytes) -> bool:
        """Take an entry out; return whether it was there."""
        kept = self._kept.pop(key, None)
        if kept is None:
            return False
        self.size -= _size(key, kept)
        return True

    def take_out_all_of(self, voucher: Voucher) -> None:
        """Take out what came over one connection."""
        for key in [key for key, kept in self._kept.items() if kept.voucher is voucher]:
            self.take_out(key)

    def clear(self) -> None:
        """Take everything out."""
        self._kept.clear()
        self.size = 0

    def _evict(self) -> None:
        """Take out the first entry that was not hit since the hand passed it."""
        for _ in range(len(self._kept)):  # once around; they may be hit meanwhile
            key, kept = next(iter(self._kept.items()))
            if not kept.was_hit:
                break
            kept.was_hit = False
            self._kept.move_to_end(key)
        self.take_out(next(iter(self._kept)))
        self.evictions += 1

    def _remember(self, key: bytes) -> None:
        if len(self._seen) >= SEEN:
            self._seen.clear()
        self._seen.add(hash(key))


def _size(key: bytes, kept: Kept) -> int:
    return len(key) + len(kept.payload) + OVERHEAD
