"""How long the loads of a query take of late, for the early refresh."""

from __future__ import annotations

__all__ = ["KEPT", "LoadTimes"]

KEPT = 1024
"""How many queries are remembered."""

_WEIGHT = 0.3


class LoadTimes:
    """Moving averages by query.

    They are kept by its hash, since its text may be of any size; at worst two queries share an average.
    """

    def __init__(self) -> None:
        self._times: dict[int, float] = {}

    def of(self, query: str) -> float:
        """Return the seconds that a load of *query* takes; 0 if that is not known."""
        return self._times.get(hash(query), 0.0)

    def blend(self, query: str, took: float) -> None:
        """Note that a load of *query* took so many seconds."""
        times, key = self._times, hash(query)
        if len(times) >= KEPT and key not in times:
            times.clear()
        before = times.get(key, took)
        times[key] = before + _WEIGHT * (took - before)
