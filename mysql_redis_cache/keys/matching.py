"""Which names in Redis carry a (name, value) pair.

A drop sees nothing but names, so a name is read back into pairs: it counts if the whole pair stands at a
place where a pair can stand and the rest has the shape of a key. Where a value makes a name readable in two
ways, both count: dropping an entry too many costs a read, dropping one too few serves stale rows.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .jstext import NUMBER
from .pairs import checked_names, plain_value, shown_text

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Matcher", "lease_name", "slot_safe_lease_name"]

_NUMBER = re.compile(NUMBER)
_LISTED = re.compile(f"{NUMBER}(?:,{NUMBER})++(?=_)".encode())
_DIGEST = re.compile(rb"_[0-9a-f]{40}\Z")
_DIGEST_LENGTH = 41
_REST = re.compile(rb"[^=]*+=|[0-9a-f]{40}\Z")
"""What follows a whole pair: another pair, or the digest at once; ``Name=a_b`` does not hold ``Name=a``."""
_LEASE = b":lease"


class Matcher:
    """Recognise the main keys, and the leases, that carry all (or any) of some pairs.

    Args:
        names: the names of the pairs; one may stand there twice, with two values.
        values: one value for each name, of the types that params may have.
        require_all: whether a key must carry all the pairs or any of them.
        prefix: only names that start with it count, as ``check_namespace`` returns it.

    Attributes:
        texts: the pairs as ``"name=text"``.
        require_all: as given.
        pattern: glob for ``SCAN … MATCH`` that every matching key and lease fits, and few others.

    Raises:
        TypeError: *names* or *values* is no list or tuple, a name no str, or a value has no text in a key.
        ValueError: the lists are empty or differ in length, a name is empty or contains ``=``, or a value
            is an empty list.
    """

    def __init__(
        self, names: Sequence[str], values: Sequence[object], require_all: bool = True, prefix: str = ""
    ) -> None:
        pairs = _checked_pairs(names, values)
        self.texts = tuple([f"{name}={shown}" for name, shown in pairs])
        self.require_all = require_all
        self.pattern = _glob(pairs, require_all, prefix)
        self._prefix = prefix.encode()
        self._pairs = [_Pair(name, shown) for name, shown in pairs]

    def entry(self, name: bytes) -> bool:
        """Tell whether *name* is a main key that carries the pairs."""
        # Most names hold none of the literals, so those are looked for before anything else.
        for pair in self._pairs:
            found = (pair.first in name or pair.later in name) and self._carries(name, pair)
            if found != self.require_all:
                return found
        return self.require_all

    def lease(self, name: bytes) -> bool:
        """Tell whether *name* is the lease of a main key that carries the pairs."""
        if not name.endswith(_LEASE):
            return False
        tagged = name[: -len(_LEASE)]
        key = tagged[1:-1] if tagged[:1] == b"{" and tagged[-1:] == b"}" else tagged
        return lease_name(key) == name and self.entry(key)

    def _carries(self, name: bytes, pair: _Pair) -> bool:
        if not name.startswith(self._prefix) or not _DIGEST.match(name, len(name) - _DIGEST_LENGTH):
            return False
        start = len(self._prefix)
        first_equals = name.find(b"=", start)
        place = name.find(pair.label, start)
        while place >= 0:
            # A pair stands first, or after "_" with a pair before: Id=1 is not in the name Shop_Id=1.
            behind = first_equals < place and name[place - 1 : place] == b"_"
            if (place == start or behind) and pair.stands_at(name, place):
                return True
            place = name.find(pair.label, place + 1)
        return False


class _Pair:
    """One pair in bytes, and where in a key it stands."""

    def __init__(self, name: str, shown: str) -> None:
        text = shown.encode()
        self.label = f"{name}=".encode()
        self._number = text if _NUMBER.fullmatch(shown) else None
        self._whole = self.label + text + b"_"
        # One of these is in every key that carries the pair; a number may be a later element of a list.
        self.first = self.label + text
        self.later = self.first if self._number is None else b"," + text

    def stands_at(self, name: bytes, place: int) -> bool:
        """Tell whether the pair, or a list of numbers that holds it, is at *place* and ends there."""
        if name.startswith(self._whole, place):
            return _REST.match(name, place + len(self._whole)) is not None
        if self._number is None:
            return False
        listed = _LISTED.match(name, place + len(self.label))
        return (
            listed is not None
            and self._number in listed[0].split(b",")
            and _REST.match(name, listed.end() + 1) is not None
        )


def _checked_pairs(names: Sequence[str], values: Sequence[object]) -> list[tuple[str, str]]:
    texts = checked_names(names)
    if not isinstance(values, (list, tuple)):
        raise TypeError(f"values must be a list or tuple, got {type(values).__name__}")
    if len(names) != len(values):
        raise ValueError(f"{len(names)} names but {len(values)} values; give one value for each name")
    if not names:
        raise ValueError("no names and values: a drop needs at least one pair")
    return [
        (name, shown_text(plain_value(value, f"value {position} ({name})")))
        for position, (name, value) in enumerate(zip(texts, values, strict=True), 1)
    ]


def _glob(pairs: list[tuple[str, str]], require_all: bool, prefix: str) -> bytes:
    # Redis tries what follows a "*" at every byte of every key, which is half the cost of a sweep. Hence the
    # set at the start, which ends it at the first byte of another namespace's key.
    start = _first_byte(prefix) + b"*" + _escaped(prefix[1:]) + b"*" if prefix else b"*"
    if require_all or len(pairs) == 1:
        name, shown = max(pairs, key=lambda pair: len(pair[1]))
        return start + _pair_glob(name, shown)
    names = {name for name, _ in pairs}
    return start + (_escaped(names.pop()) if len(names) == 1 else b"") + b"=*"


def _first_byte(prefix: str) -> bytes:
    return b"[{\\%b]" % prefix[0].encode()[:1]  # "{" for the leases


def _pair_glob(name: str, shown: str) -> bytes:
    if _NUMBER.fullmatch(shown):
        # Alone or in a list. "[=,]" before the number would keep 112 out of a drop of 12, at a price: the
        # number's first digit rules a byte out faster than a set does (a sweep of 300,000 keys: 0.15 s for
        # 0.23 s on top of the 0.23 s that it takes anyway).
        return b"%b=*%b[,_]*" % (_escaped(name), _escaped(shown))
    return b"%b=%b_*" % (_escaped(name), _escaped(shown))


def _escaped(literal: str) -> bytes:
    return re.sub(rb"([\\*?\[\]])", rb"\\\1", literal.encode())


def lease_name(key: bytes) -> bytes:
    """Name the lease of a main key.

    Args:
        key: the main key.

    Returns:
        ``{key}:lease`` with literal braces, so that Redis Cluster keeps both in one slot; ``key:lease`` if
        the key has a hash tag of its own. Both contain the key, so npm's drop by substring revokes it too.

    Source: Redis Cluster specification, "Hash tags".
    """
    return b"%b:lease" % key if _has_hash_tag(key) else b"{%b}:lease" % key


def slot_safe_lease_name(key: bytes) -> bytes | None:
    """Name the lease of a main key for Redis Cluster.

    Args:
        key: the main key.

    Returns:
        What ``lease_name`` returns if that lies in the key's slot. ``None`` if the key holds a ``}`` but no
        hash tag: the added braces would close early, so such a key cannot be cached in a cluster.
    """
    return None if b"}" in key and not _has_hash_tag(key) else lease_name(key)


def _has_hash_tag(key: bytes) -> bool:
    # The rule looks at the first "{" and the first "}" after it, and nowhere else.
    start = key.find(b"{")
    return start >= 0 and key.find(b"}", start) > start + 1
