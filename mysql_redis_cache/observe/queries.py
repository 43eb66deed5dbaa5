"""The figures of each query text, bounded in number and in bytes."""

from __future__ import annotations

from hashlib import sha1
from itertools import count
from threading import RLock

from .counters import advance, value_of
from .stats import QueryStats

__all__ = ["Queries", "check_label"]

KEPT = 1000
"""How many texts are kept; when there is one more, the less used half makes room."""

SHOWN = 1000
"""Characters of a text that are kept."""

LONGEST_LABEL = 100


def check_label(what: str, label: object) -> str:
    """Return a label, by which people and their dashboards tell things apart.

    Raises:
        TypeError: it is no str; the message calls it *what*.
        ValueError: it is empty, or longer than 100 characters.
    """
    if not isinstance(label, str):
        raise TypeError(f"{what} must be a str, not {type(label).__name__}")
    if not 0 < len(label) <= LONGEST_LABEL:
        raise ValueError(f"{what} must have 1 to {LONGEST_LABEL} characters, not {len(label)}")
    return label


class _Figures:
    """Those of one text. Hits and misses are counted without a lock, what is slow anyway under one."""

    __slots__ = (
        "bytes",
        "failures",
        "hits",
        "label",
        "loads",
        "misses",
        "refusal",
        "seconds",
        "text",
        "worst",
    )

    def __init__(self, text: str) -> None:
        self.text = text[:SHOWN], sha1(text.encode("utf-8", "surrogatepass")).hexdigest()
        self.label: str | None = None
        self.refusal: str | None = None
        self.hits, self.misses = count(), count()
        self.loads = self.failures = self.bytes = 0
        self.seconds = self.worst = 0.0

    @property
    def reads(self) -> int:
        return value_of(self.hits) + value_of(self.misses)

    def snapshot(self) -> QueryStats:
        text, digest = self.text
        hits, misses = value_of(self.hits), value_of(self.misses)
        loads = (self.loads, self.failures, self.seconds, self.worst)
        return QueryStats(digest, text, self.label, hits, misses, *loads, self.bytes, self.refusal)


class Queries:
    """Figures by query text. Texts are told apart by their hash, since they may be of any size."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Count from nought."""
        # Re-entrant: a signal handler may read, too, and strike where it is held.
        self._lock = RLock()
        self._figures: dict[int, _Figures] = {}

    def hit(self, query: str, by: int = 1) -> None:
        """Count a hit, or so many."""
        advance((self._figures.get(hash(query)) or self._new(query)).hits, by)

    def miss(self, query: str) -> None:
        """Count a miss."""
        next((self._figures.get(hash(query)) or self._new(query)).misses)

    def loaded(self, query: str, seconds: float, size: int | None) -> None:
        """Note a load of so many *seconds*, and the bytes of its JSON, or ``None`` if it failed."""
        figures = self._of(query)
        with self._lock:
            figures.loads += 1
            figures.seconds += seconds
            figures.worst = max(figures.worst, seconds)
            if size is None:
                figures.failures += 1
            else:
                figures.bytes = size

    def refused(self, query: str, why: str) -> None:
        """Note why an answer was not cached."""
        self._of(query).refusal = why

    def label(self, query: str, label: str) -> None:
        """Note what its reads are labelled with."""
        self._of(query).label = label

    def snapshot(self) -> tuple[QueryStats, ...]:
        """Return all of them, the most used first."""
        figures = [each.snapshot() for each in self._figures.copy().values()]
        return tuple(sorted(figures, key=lambda each: each.hits + each.misses, reverse=True))

    def _of(self, query: str) -> _Figures:
        return self._figures.get(hash(query)) or self._new(query)

    def _new(self, query: str) -> _Figures:
        with self._lock:
            if len(self._figures) >= KEPT:
                least = sorted(self._figures.items(), key=lambda item: item[1].reads)
                for key, _ in least[: KEPT // 2]:
                    del self._figures[key]
            return self._figures.setdefault(hash(query), _Figures(query))
