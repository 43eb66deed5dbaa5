"""What a drop is for: pairs, all of them or any; and the names under which Redis keeps what it finds.

How a name is read back into pairs is in ``finding``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from .jstext import NUMBER
from .pairs import checked_names, plain_value, shown_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .jstext import Plain

__all__ = [
    "LEASE",
    "AnyValue",
    "Matcher",
    "Pair",
    "every_pattern",
    "lease_name",
    "scan_pattern",
    "slot_safe_lease_name",
    "whole_pattern",
]

LEASE = b":lease"
"""How the name of every lease ends."""

# How many values are checked between two looks at the time: some milliseconds.
LOOK_EVERY = 1000
_NUMBER = re.compile(NUMBER)
_JSON_SCALARS = frozenset({bool, int, str, type(None)})


class Pair(NamedTuple):
    """A name and the text of its value, as they stand in a key: ``name=text``."""

    name: str
    text: str


class Matcher:
    """What one drop is for: the main keys, and their leases, that carry all (or any) of some pairs.

    Args:
        names: the names of the pairs; one may stand there twice, with two values.
        values: one value for each name, of the types that params may have.
        require_all: whether a key must carry all the pairs or any of them.
        prefix: only names that start with it count, as ``check_namespace`` returns it.
        look: called now and then while many values are checked; what it raises ends that.

    Attributes:
        pairs: the pairs.
        require_all: as given.
        prefix: as given.

    Raises:
        TypeError: *names* or *values* is no list or tuple, a name no str, or a value has no text in a key.
        ValueError: the lists are empty or differ in length, a name is empty or contains ``=``, or a value
            is an empty list.
    """

    def __init__(
        self,
        names: Sequence[str],
        values: Sequence[object],
        require_all: bool = True,
        prefix: str = "",
        look: Callable[[], object] = lambda: None,
    ) -> None:
        self._names = checked_names(names)
        self._values = _plain_values(self._names, values, look)
        self.pairs = [Pair(*pair) for pair in zip(self._names, map(shown_text, self._values), strict=True)]
        self.require_all = require_all
        self.prefix = prefix

    is_listed = True
    """Whether an index can name what it is for."""

    @property
    def names(self) -> list[str]:
        """The names of the pairs, each once."""
        return list(dict.fromkeys(self._names))

    @property
    def texts(self) -> list[str]:
        """The pairs as ``"name=text"``, each once."""
        return list(dict.fromkeys([f"{name}={text}" for name, text in self.pairs]))

    @property
    def asked(self) -> tuple[list[str], list[object], bool]:
        """Names, values and ``require_all`` in types that JSON has; the drop is the same."""
        return list(self._names), [_as_json(value) for value in self._values], self.require_all


class AnyValue(Matcher):
    """What a drop is for that takes all entries which carry any of some names, whatever the value.

    Args:
        names: the names.
        prefix: as for ``Matcher``.

    Raises:
        TypeError, ValueError: as for ``Matcher``.
    """

    is_listed = False

    def __init__(self, names: Sequence[str], prefix: str = "") -> None:
        super().__init__(names, [""] * len(names), require_all=False, prefix=prefix)


def _plain_values(names: list[str], values: Sequence[object], look: Callable[[], object]) -> list[Plain]:
    if not isinstance(values, (list, tuple)):
        raise TypeError(f"values must be a list or tuple, got {type(values).__name__}")
    if len(names) != len(values):
        raise ValueError(f"{len(names)} names but {len(values)} values; give one value for each name")
    if not names:
        raise ValueError("no names and values: a drop needs at least one pair")
    plain_ones: list[Plain] = []
    for start in range(0, len(values), LOOK_EVERY):
        if start:
            look()
        for place, value in enumerate(values[start : start + LOOK_EVERY], start):
            if type(value) is int or type(value) is str:  # nearly always: many are checked at once
                plain_ones.append(value)
            else:
                plain_ones.append(plain_value(value, f"value {place + 1} ({names[place]})"))
    return plain_ones


def _as_json(value: Plain) -> object:
    items = value if isinstance(value, list) else [value]
    return value if _JSON_SCALARS.issuperset(map(type, items)) else shown_text(value)


def scan_pattern(matchers: Sequence[Matcher]) -> bytes:
    """Return a glob for ``SCAN … MATCH`` that every key and lease of some drops fits, and few others.

    Args:
        matchers: those of the drops, all of one prefix.
    """
    only, start = matchers[0], _start(matchers[0].prefix)
    if len(matchers) == 1 and only.is_listed and (only.require_all or len(only.pairs) == 1):
        return start + _pair_glob(*max(only.pairs, key=lambda pair: len(pair.text)))
    shared = set.intersection(*map(_telling_names, matchers))
    return start + (_escaped(max(shared, key=len)) if shared else b"") + b"=*"


def every_pattern(prefix: str) -> bytes:
    """Return a glob that every key with named params, and its lease, fits; *prefix*: the namespace's."""
    return _start(prefix) + b"=*"


def whole_pattern(prefix: str, head: str) -> bytes:
    """Return a glob that every key whose digest begins with *head* fits, and its lease."""
    return _start(prefix) + head.encode() + b"*"


def _start(prefix: str) -> bytes:
    # Redis tries what follows a "*" at every byte of every key, which is half the cost of a sweep. Hence the
    # set at the start, which ends it at the first byte of another namespace's key.
    return _first_byte(prefix) + b"*" + _escaped(prefix[1:]) + b"*" if prefix else b"*"


def _telling_names(matcher: Matcher) -> set[str]:
    """Return the names of which every key that *matcher* is for has each."""
    names = {pair.name for pair in matcher.pairs}
    return names if matcher.require_all or len(names) == 1 else set()


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
    return key + LEASE if _has_hash_tag(key) else b"{%b}%b" % (key, LEASE)


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
