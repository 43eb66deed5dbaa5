"""What changes have made outdated, each pair once, in bounded memory."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from mysql_redis_cache.binlog import Undecodable, spellings
from mysql_redis_cache.binlog.spellings import all_spellings
from mysql_redis_cache.keys import AnyValue, Matcher

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from typing import Self

    from mysql_redis_cache.binlog.spellings import Value

__all__ = ["MOST", "Outdated"]

MOST = 250_000
"""Values up to which they are told one by one; beyond, the names with most of them are dropped whole."""

_MOST_SPELLINGS = 256


class Outdated:
    """A set of pairs, combinations of pairs, and whole names.

    Attributes:
        names: those of which every entry is outdated, each with the reason.
    """

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self._values: dict[str, set[str]] = {}
        self._combined: dict[tuple[str, ...], set[tuple[str, ...]]] = {}

    def __bool__(self) -> bool:
        return bool(self.names or self._values or self._combined)

    def __len__(self) -> int:
        """Count the pairs and combinations."""
        return sum(map(len, self._values.values())) + sum(map(len, self._combined.values()))

    def add(self, names: tuple[str, ...], *images: Sequence[Collection[Value]]) -> None:
        """Add the values of some rows.

        Args:
            names: of a combination.
            images: of the rows, as they were, as they are: for each name the values, row by row.
        """
        if not self.names.keys().isdisjoint(names):
            return
        if len(names) == 1:
            self._add_values(names[0], set().union(*[columns[0] for columns in images]))
        else:
            self._combine(names, set().union(*[zip(*columns, strict=True) for columns in images]))
        self._bound()

    def _add_values(self, name: str, values: set[Value]) -> None:
        undecodable = [value for value in values if type(value) is Undecodable]
        if undecodable:
            self.widen([name], undecodable[0].reason)
        else:
            self.add_texts(name, all_spellings(values))

    def _combine(self, names: tuple[str, ...], rows: set[tuple[Value, ...]]) -> None:
        found: set[tuple[str, ...]] = set()
        for row in rows:
            undecodable = [value for value in row if type(value) is Undecodable]
            if undecodable:
                self.widen(names, undecodable[0].reason)
                return
            combinations = list(product(*map(spellings, row)))
            if len(combinations) > _MOST_SPELLINGS:
                self.widen(names, "values that may be written in too many ways")
                return
            found.update(combinations)
        self._combined.setdefault(names, set()).update(found)

    def add_texts(self, name: str, texts: Collection[str]) -> None:
        """Add values of one name, as they stand in keys."""
        if texts and name not in self.names:
            self._values.setdefault(name, set()).update(texts)

    def widen(self, names: Iterable[str], reason: str) -> None:
        """Have every entry that carries one of *names* be outdated; without a reason, if a rule says so."""
        for name in names:
            self.names[name] = self.names.get(name) or reason
            self._values.pop(name, None)
        for combined in [each for each in self._combined if not self.names.keys().isdisjoint(each)]:
            del self._combined[combined]

    def widen_all(self, reason: str) -> None:
        """Have every entry be outdated that carries any of the names."""
        self.widen({*self._values, *[name for names in self._combined for name in names]}, reason)

    def merge(self, other: Outdated) -> None:
        """Add all of another."""
        for name, reason in other.names.items():
            self.widen([name], reason)
        for name, texts in other._values.items():
            self.add_texts(name, texts)
        for names, rows in other._combined.items():
            if self.names.keys().isdisjoint(names):
                self._combined.setdefault(names, set()).update(rows)
        self._bound()

    def _bound(self) -> None:
        while len(self) > MOST:
            sizes: dict[tuple[str, ...], int] = {(name,): len(texts) for name, texts in self._values.items()}
            sizes |= {names: len(rows) for names, rows in self._combined.items()}
            largest = max(sizes, key=lambda names: sizes[names])
            self.widen(largest, f"more than {MOST:,} values at once")

    def matchers(self, prefix: str) -> list[Matcher]:
        """Return what a drop of all that is for."""
        matchers: list[Matcher] = []
        if self.names:
            matchers.append(AnyValue(sorted(self.names), prefix))
        if self._values:
            names = [name for name, texts in self._values.items() for _ in texts]
            values = [text for texts in self._values.values() for text in texts]
            matchers.append(Matcher(names, values, require_all=False, prefix=prefix))
        for combined, rows in self._combined.items():
            matchers += [Matcher(combined, row, require_all=True, prefix=prefix) for row in rows]
        return matchers

    # Beyond a process: what prepared transactions have made outdated once they are committed

    def as_json(self) -> dict[str, Any]:
        """Return it in types that JSON has."""
        return {
            "names": self.names,
            "values": {name: sorted(texts) for name, texts in self._values.items()},
            "combined": [[list(names), sorted(map(list, rows))] for names, rows in self._combined.items()],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Make it of what ``as_json`` returned."""
        outdated = cls()
        outdated.names = dict(data["names"])
        outdated._values = {name: set(texts) for name, texts in data["values"].items()}
        outdated._combined = {tuple(names): set(map(tuple, rows)) for names, rows in data["combined"]}
        return outdated
