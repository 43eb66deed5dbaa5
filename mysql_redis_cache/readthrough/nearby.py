"""The Redis half of a read where entries are kept in this process too: those are looked at first."""

from __future__ import annotations

import math
from time import monotonic
from typing import TYPE_CHECKING, Any

from mysql_redis_cache.store import Found
from mysql_redis_cache.values import codec

from .cache import Cache
from .steps import GET, Entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mysql_redis_cache.near import Kept, NearCache
    from mysql_redis_cache.values import Between

    from .reads import Read
    from .steps import Claim, Get

__all__ = ["AWAY", "NearbyCache"]

AWAY: Any = object()
"""That nothing is at hand; an answer may be ``None``."""

SHORT = 64 * 1024
"""Bytes of JSON that are decoded at once, even in an event loop: half a millisecond's worth."""


class NearbyCache(Cache):
    """A ``Cache`` beside a near cache.

    Args:
        near: the near cache of this Redis.
        *ways: as for ``Cache``.
        **parts: as for ``Cache``.

    Attributes:
        near: the near cache.
    """

    def __init__(self, near: NearCache, *ways: Any, **parts: Any) -> None:
        self.near = near
        super().__init__(*ways, **parts)

    def kept(self, read: Read) -> Kept | None:
        """Return what is kept here and may answer *read*: nothing that is in its grace."""
        if not read.policy.near:
            return None
        now = monotonic()
        kept = self.near.get(read.raw, now)
        return kept if kept is not None and kept.ends - now > read.policy.grace else None

    def at_hand(self, read: Read) -> Any:
        """Return the answer to *read* if it is kept here and decoded so soon that an event loop can wait.

        *read* needs no age. ``AWAY``: Get has to look.
        """
        kept = self.near.get(read.raw, monotonic()) if read.policy.near else None
        if kept is None or len(kept.payload) > SHORT:
            return AWAY
        try:
            value = _decoded(read, kept)
        except ValueError:  # Get meets it again
            return AWAY
        read.size = len(kept.payload)
        self._note_near(read)
        return value

    def served(self, read: Read, kept: Kept, between: Between = None) -> Entry | None:
        """Return what is kept as Get gives it; *between* as for ``codec.decode``."""
        left = kept.ends - monotonic() if read.policy.needs_age else math.inf
        try:
            entry = Entry(_decoded(read, kept, between), left)
        except ValueError:
            self._note_corrupt(read)
            return None
        read.is_near, read.size = True, len(kept.payload)
        self._note_near(read)
        return entry

    def _note_near(self, read: Read) -> None:
        self._watch.near_hit(read.query)
        if self.verifier is not None:
            self.verifier.sample(read)

    def get(self, read: Read, step: Get = GET) -> Entry | Claim | None:
        """Perform Get."""
        kept = self.kept(read)
        return super().get(read, step) if kept is None else self.served(read, kept)

    def get_many(self, reads: Sequence[Read]) -> Sequence[Entry | Claim | None]:
        """Perform Get for several reads: for what is not here, in one round trip."""
        kept = {id(read): kept for read in reads if (kept := self.kept(read)) is not None}
        asked = [read for read in reads if id(read) not in kept]
        found = iter(super().get_many(asked) if asked else ())
        return [self.served(read, kept[id(read)]) if id(read) in kept else next(found) for read in reads]

    def _decoded(self, read: Read, found: bytes | Found | None, between: Between = None) -> Entry | None:
        entry = super()._decoded(read, found, between)
        if entry is not None and read.policy.near:
            payload = found.payload if isinstance(found, Found) else found
            self.near.want(read.raw, len(payload))  # type: ignore[arg-type]  # there is one: it was decoded
        return entry


def _decoded(read: Read, kept: Kept, between: Between = None) -> object:
    if kept.is_plain and read.decode is codec.decode:
        return codec.decode_plain(kept.payload)
    return read.decode(kept.payload, between, read.is_query)
