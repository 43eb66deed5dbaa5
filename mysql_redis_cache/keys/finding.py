"""Which names in Redis carry the pairs that drops are for.

A drop sees nothing but names, so a name is read back into pairs: it counts if the whole pair stands at a
place where a pair can stand and the rest has the shape of a key. Where a value makes a name readable in two
ways, both count: dropping an entry too many costs a read, dropping one too few serves stale rows.

Pairs are looked up by what a name says, never tried one by one: a name costs the same for ten thousand.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .jstext import NUMBER
from .matching import LEASE, Matcher, lease_name, scan_pattern, whole_pattern
from .wanted import Sought, Whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Finder", "first_pairs", "is_entry"]

_NUMBER = re.compile(NUMBER.encode())
_LISTED = re.compile(f"{NUMBER}(?:,{NUMBER})++(?=_)".encode())
_DIGEST = re.compile(rb"_[0-9a-f]{40}\Z")
_DIGEST_LENGTH = 41
_BARE = re.compile(rb"[0-9a-f]{40}\Z")
_HEAD = slice(-40, -24)
_REST = re.compile(rb"[^=]*+=|[0-9a-f]{40}\Z")
"""What follows a whole pair: another pair, or the digest at once; ``Name=a_b`` does not hold ``Name=a``."""

_ANY = b"\xff"
"""Stands for every value: it is in no text."""

Carried = dict[bytes, set[bytes]]
"""The values that a name carries, by the label (``Name=``) they stand behind."""


def is_entry(name: bytes, prefix: str) -> bool:
    """Tell whether *name* has the shape of an entry with named params, in the namespace of *prefix*."""
    start = prefix.encode()
    return name.startswith(start) and b"=" in name[len(start) :] and _has_digest(name)


def first_pairs(name: bytes, start: int) -> list[bytes]:
    """Return what may be the first pair of an entry, from its beginning on: a value may look like a pair.

    Args:
        name: the entry.
        start: where its namespace ends.
    """
    end = name.find(b"=", start)
    found = []
    while (end := name.find(b"_", end + 1)) >= 0:
        if _REST.match(name, end + 1):
            found.append(name[:end])
    return found


def _is_any_entry(name: bytes, prefix: str) -> bool:
    """Tell whether *name* has the shape of any entry in the namespace of *prefix*, which it begins with."""
    return _BARE.fullmatch(name, len(prefix.encode())) is not None or is_entry(name, prefix)


def _has_digest(name: bytes) -> bool:
    return _DIGEST.match(name, len(name) - _DIGEST_LENGTH) is not None


def _pattern(matchers: Sequence[Sought]) -> bytes:
    wholes = [matcher for matcher in matchers if isinstance(matcher, Whole)]
    if not wholes:
        return scan_pattern([matcher for matcher in matchers if isinstance(matcher, Matcher)])
    only = len(matchers) == 1
    return whole_pattern(wholes[0].prefix, wholes[0].head if only else "")


class Finder:
    """Tells which of some drops own a name: the first of those that are for it.

    Args:
        drops: what each of them is for, all within one namespace.

    Attributes:
        pattern: glob for ``SCAN … MATCH`` that every key and lease in question fits.
    """

    def __init__(self, drops: Sequence[Sequence[Sought]]) -> None:
        matchers = [matcher for drop in drops for matcher in drop]
        self.pattern = _pattern(matchers)
        self._namespace = matchers[0].prefix
        self._prefix = self._namespace.encode()
        self._tree = _Tree()
        self._values: dict[bytes, _Values] = {}
        self._cores: set[bytes] = set()
        self._wholes: dict[bytes, int] = {}  # the drop of all entries whose digest begins so
        for place, drop in enumerate(drops):
            for matcher in drop:
                if isinstance(matcher, Whole):
                    self._wholes.setdefault(matcher.head.encode(), place)
                else:
                    self._add(matcher, place)
        self._lengths = sorted({*map(len, self._values)})
        self._has_numbers = any(values.numbers for values in self._values.values())
        self._has_any = any(_ANY in values.owners for values in self._values.values())

    def entries(self, names: Iterable[bytes]) -> list[tuple[bytes, int]]:
        """Return those of *names* that are keys to be deleted, each with the place of its drop."""
        return [(name, place) for name in self._likely(names) if (place := self.entry(name)) is not None]

    def leases(self, names: Iterable[bytes]) -> list[tuple[bytes, int]]:
        """Return those of *names* that are leases to be revoked, each with the place of its drop."""
        return [(name, place) for name in names if (place := self.lease(name)) is not None]

    def entry(self, name: bytes) -> int | None:
        """Return the place of the drop that deletes the entry *name*."""
        if not name.startswith(self._prefix):
            return None
        owners = list(self._owners(self._carried(name))) if _has_digest(name) else []
        if self._wholes and _is_any_entry(name, self._namespace):
            owners += [self._wholes[head] for head in (b"", name[_HEAD]) if head in self._wholes]
        return min(owners, default=None)

    def lease(self, name: bytes) -> int | None:
        """Return the place of the drop that revokes the lease *name*."""
        if not name.endswith(LEASE):
            return None
        tagged = name[: -len(LEASE)]
        key = tagged[1:-1] if tagged[:1] == b"{" and tagged[-1:] == b"}" else tagged
        return self.entry(key) if lease_name(key) == name else None

    def _add(self, matcher: Matcher, place: int) -> None:
        """Note what *matcher* is for: single pairs by themselves, combinations in the tree."""
        pairs = dict.fromkeys(matcher.pairs)
        if not matcher.is_listed:
            for name, _ in pairs:
                self._values.setdefault(f"{name}=".encode(), _Values()).add_any(place)
            return
        owner = place if len(pairs) == 1 or not matcher.require_all else None
        wanted = [(f"{name}=".encode(), text.encode()) for name, text in pairs]
        for label, value in wanted:
            self._values.setdefault(label, _Values()).add(value, owner)
            self._cores.add(label.rpartition(b"_")[2] + value.partition(b"_")[0])
        if owner is None:
            self._tree.add(sorted(wanted), place)

    def _owners(self, carried: Carried) -> Iterator[int]:
        """Yield the drops that are for a name which carries these pairs."""
        for label, values in carried.items():
            owners = self._values[label].owners
            yield from [owner for value in values if (owner := owners[value]) is not None]
        yield from self._tree.owners(carried)

    def _likely(self, names: Iterable[bytes]) -> Iterable[bytes]:
        """Leave out most names that carry nothing: this is asked of every key in Redis.

        Between two underscores of a name that carries a pair stands the end of the pair's name with the
        beginning of its value, unless the value is in a list.
        """
        start, carries_none = len(self._prefix), self._cores.isdisjoint
        if self._has_any:
            return names
        if self._wholes:
            is_some = not self._values and b"" not in self._wholes
            return [name for name in names if name[_HEAD] in self._wholes] if is_some else names
        if self._has_numbers:
            return [name for name in names if b"," in name or not carries_none(name[start:].split(b"_"))]
        return [name for name in names if not carries_none(name[start:].split(b"_"))]

    def _carried(self, name: bytes) -> Carried:
        """Find the wanted pairs that stand in *name*: first, or behind ``_`` with a pair before.

        So ``Id=1`` is not in ``Shop_Id=1``.
        """
        carried: Carried = {}
        start = len(self._prefix)
        first = equals = name.find(b"=", start)
        while equals >= 0:
            for length in self._lengths:
                place = equals + 1 - length
                if place == start or (first < place and name[place - 1 : place] == b"_"):
                    label = name[place : equals + 1]
                    found = self._values[label].at(name, equals + 1) if label in self._values else None
                    if found:
                        carried.setdefault(label, set()).update(found)
            equals = name.find(b"=", equals + 1)
        return carried


class _Values:
    """The wanted values of one name, and the first drop that each is enough for.

    Attributes:
        owners: by value; ``None`` if it is wanted only together with others.
        numbers: those that may stand in a list of numbers.
    """

    def __init__(self) -> None:
        self.owners: dict[bytes, int | None] = {}
        self.numbers: set[bytes] = set()
        self._longest = self._underscores = 0

    def add(self, value: bytes, owner: int | None) -> None:
        if self.owners.get(value) is None:
            self.owners[value] = owner
        self._longest = max(self._longest, len(value))
        self._underscores = max(self._underscores, value.count(b"_"))
        if _NUMBER.fullmatch(value):
            self.numbers.add(value)

    def add_any(self, owner: int) -> None:
        """Have every value be enough for a drop."""
        self.owners.setdefault(_ANY, owner)

    def at(self, name: bytes, start: int) -> list[bytes]:
        """Return the wanted values that stand at *start* and end there, alone or in a list of numbers."""
        end = name.find(b"_", start)
        found = list(self._listed(name, start, end)) if self.numbers else []
        if _ANY in self.owners:
            found.append(_ANY)
        for _ in range(self._underscores + 1):
            if not 0 <= end - start <= self._longest:
                break
            if name[start:end] in self.owners and _REST.match(name, end + 1):
                found.append(name[start:end])
            end = name.find(b"_", end + 1)
        return found

    def _listed(self, name: bytes, start: int, end: int) -> set[bytes]:
        """Return the wanted elements of the list of numbers between *start* and *end*."""
        if name.find(b",", start, end) < 0:
            return set()
        found = self.numbers.intersection(name[start:end].split(b","))
        whole = _LISTED.match(name, start) if found else None
        return found if whole is not None and _REST.match(name, whole.end() + 1) else set()


class _Tree:
    """Combinations of pairs, sorted by label: each branch is one more pair that a name must carry."""

    def __init__(self) -> None:
        self.owner: int | None = None
        self.branches: dict[bytes, dict[bytes, _Tree]] = {}

    def add(self, wanted: Iterable[tuple[bytes, bytes]], place: int) -> None:
        node = self
        for label, value in wanted:
            node = node.branches.setdefault(label, {}).setdefault(value, _Tree())
        if node.owner is None:
            node.owner = place

    def owners(self, carried: Carried) -> Iterator[int]:
        """Yield the drops all of whose pairs are in *carried*."""
        if self.owner is not None:
            yield self.owner
        for label in self.branches.keys() & carried.keys():
            branches = self.branches[label]
            for value in branches.keys() & carried[label]:  # looks at whichever are fewer
                yield from branches[value].owners(carried)
