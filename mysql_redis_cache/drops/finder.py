"""Which of many drops a name in Redis belongs to, at a cost that does not grow with their number."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mysql_redis_cache.keys import Matcher

__all__ = ["Finder"]

_LEASE = b":lease"


class Finder:
    """Tells which drop owns a name: the first whose matcher says so.

    A name is cut where the name of a pair stands in it, and what follows is looked up among the values that
    the drops give for it. Only drops found that way are asked, so most names cost a search and a lookup.

    Args:
        matchers: those of the drops.
    """

    def __init__(self, matchers: Sequence[Matcher]) -> None:
        self._matchers = matchers
        # Per pair name, as it stands in a key ("UserId="): the drops by value, and the lengths of the values.
        self._places: dict[bytes, dict[bytes, list[int]]] = {}
        for place, matcher in enumerate(matchers):
            # Of pairs that must all be there any one will do: the longest is likely the rarest.
            texts = [max(matcher.texts, key=len)] if matcher.require_all else matcher.texts
            for text in texts:
                name, _, value = text.partition("=")
                values = self._places.setdefault(f"{name}=".encode(), {})
                values.setdefault(value.encode(), []).append(place)
        self._lengths = {name: sorted({*map(len, values)}) for name, values in self._places.items()}
        self._only = matchers[0] if len(matchers) == 1 else None

    def entry(self, name: bytes) -> int | None:
        """Return the place of the drop that deletes the entry *name*."""
        if self._only is not None:
            return 0 if self._only.entry(name) else None
        owners = (place for place in self._candidates(name) if self._matchers[place].entry(name))
        return min(owners, default=None)

    def lease(self, name: bytes) -> int | None:
        """Return the place of the drop that revokes the lease *name*."""
        if not name.endswith(_LEASE):
            return None
        if self._only is not None:
            return 0 if self._only.lease(name) else None
        owners = (place for place in self._candidates(name) if self._matchers[place].lease(name))
        return min(owners, default=None)

    def _candidates(self, name: bytes) -> Iterator[int]:
        """Find the drops that name a pair which seems to stand in *name*."""
        for start, places in self._places.items():
            at = name.find(start)
            while at >= 0:
                at += len(start)
                for length in self._lengths[start]:
                    if name[at + length : at + length + 1] == b"_":
                        yield from places.get(name[at : at + length], ())
                listed = name[at : name.find(b"_", at)]
                if b"," in listed:
                    for element in listed.split(b","):
                        yield from places.get(element, ())
                at = name.find(start, at)
