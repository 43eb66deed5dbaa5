"""The notices of all processes put together: sums, rates and queries. Pure."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from .followers import Follower

__all__ = ["ORDERS", "RATES", "Gathered", "Line", "Process", "gathered", "rates"]

ORDERS = ("reads", "ratio", "loads", "mean", "worst")
"""What queries may be sorted by."""

RATES = (
    *("hits", "near_hits", "misses", "unavailable", "loads", "drops", "cache_failures", "refused_fills"),
    "follow_events",
)
"""What is told as so much a second."""


@dataclass
class Line:
    """One query, over all processes.

    Attributes:
        query: its text, or what it is labelled with.
        hits: reads that were hits.
        misses: reads that were not.
        loads: how often it was loaded.
        seconds: how long that took, all together.
        worst: how long the longest took.
    """

    query: str
    hits: int = 0
    misses: int = 0
    loads: int = 0
    seconds: float = 0.0
    worst: float = 0.0

    @property
    def reads(self) -> int:
        """How often it was read."""
        return self.hits + self.misses

    @property
    def ratio(self) -> float:
        """Hits of all reads; 1.0 if there were none."""
        return self.hits / self.reads if self.reads else 1.0

    @property
    def mean(self) -> float:
        """Seconds that a load took on average."""
        return self.seconds / self.loads if self.loads else 0.0

    def add(self, told: dict[str, Any]) -> None:
        """Add what one process tells of it."""
        self.hits += told["hits"]
        self.misses += told["misses"]
        self.loads += told["loads"]
        self.seconds += told["load_seconds"]
        self.worst = max(self.worst, told["worst_load_seconds"])


@dataclass
class Process:
    """One client of one process, as it was when it told.

    Attributes:
        client: its name.
        host: its machine.
        pid: its process there.
        reads: how many reads asked the cache.
        hit_ratio: hits of all of them; 1.0 if there were none.
        redis_down: whether its breaker is open, so that reads go past Redis.
        pool_in_use: connections to MySQL that are in use.
        pool_idle: those that are open, and not in use.
        pool_size: how many there may be; 0 if they are a framework's.
        near_bytes: the size of its near cache.
    """

    client: str
    host: str
    pid: int
    reads: int
    hit_ratio: float
    redis_down: bool
    pool_in_use: int
    pool_idle: int
    pool_size: int
    near_bytes: int

    @property
    def place(self) -> str:
        """Which process it is."""
        return f"{self.host}:{self.pid}"


@dataclass
class Gathered:
    """What all processes have told.

    Attributes:
        clients: how many they are, one or more in each process.
        counts: the sums of their counts.
        at: when the latest of them told, seconds since 1970.
        queries: their queries, by SHA-1.
        processes: each of them, the most read first.
        memory: bytes that Redis uses; ``None`` if it did not say.
        max_memory: bytes that it may use; 0 if it has no limit.
        followers: the states of those who follow the binary log, by name the one that leads first.
    """

    clients: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    at: float = 0.0
    queries: dict[str, Line] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)
    memory: int | None = None
    max_memory: int = 0
    followers: list[Follower] = field(default_factory=list)

    @property
    def hit_ratio(self) -> float:
        """Reads answered by the cache, of all that asked it; 1.0 if there were none."""
        return _ratio(self.counts)

    @property
    def reads(self) -> int:
        """How many reads asked the cache."""
        return _reads(self.counts)

    def lines(self, order: str, words: str = "") -> list[Line]:
        """Return the queries that have *words* in them, the largest of *order* first."""
        found = [line for line in self.queries.values() if words.lower() in line.query.lower()]
        return sorted(found, key=lambda line: float(getattr(line, order)), reverse=order != "ratio")

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "clients": self.clients,
            "hit_ratio": self.hit_ratio,
            "counts": dict(self.counts),
            "queries": {sha1: vars(line) for sha1, line in self.queries.items()},
            "processes": [vars(each) for each in self.processes],
            "redis": {"memory": self.memory, "max_memory": self.max_memory},
            "followers": [each.as_dict() for each in self.followers],
        }


def gathered(notices: list[bytes]) -> Gathered:
    """Put the notices of all processes together; what is no notice is passed over."""
    found = Gathered()
    for text in notices:
        try:
            _add(found, json.loads(text))
        except (AttributeError, KeyError, TypeError, ValueError):  # of another version, or somebody else's
            continue
    found.processes.sort(key=lambda each: each.reads, reverse=True)
    found.followers.sort(key=lambda each: (each.name, not each.leads))
    return found


def _add(found: Gathered, notice: dict[str, Any]) -> None:
    if "follower" in notice:
        _add_follower(found, notice)
        return
    counts = {name: number for name, number in notice["counts"].items() if isinstance(number, (int, float))}
    process = _process(notice, Counter(counts))
    found.at = max(found.at, float(notice["at"]))
    found.clients += 1
    found.processes.append(process)
    found.counts.update(counts)
    for told in notice["queries"]:
        line = found.queries.setdefault(
            told["sha1"], Line(str(told["label"] or " ".join(told["query"].split())))
        )
        line.add(told)


def _process(notice: dict[str, Any], counts: Counter[str]) -> Process:
    return Process(
        client=str(notice["client"]),
        host=str(notice["host"]),
        pid=int(notice["pid"]),
        reads=_reads(counts),
        hit_ratio=_ratio(counts),
        redis_down=bool(counts["redis_down"]),
        pool_in_use=counts["pool_in_use"],
        pool_idle=counts["pool_idle"],
        pool_size=counts["pool_size"],
        near_bytes=counts["near_bytes"],
    )


def _reads(counts: Counter[str]) -> int:
    return int(counts["hits"] + counts["near_hits"] + counts["misses"] + counts["unavailable"])


def _ratio(counts: Counter[str]) -> float:
    reads = _reads(counts)
    return (counts["hits"] + counts["near_hits"]) / reads if reads else 1.0


def _add_follower(found: Gathered, notice: dict[str, Any]) -> None:
    follower = Follower.of(notice)
    found.at = max(found.at, float(notice["at"]))
    found.counts.update(follower.counts)
    found.followers.append(follower)


def rates(before: Gathered, now: Gathered, seconds: float) -> dict[str, float]:
    """Return what happened each second between two moments; processes that have ended count for nothing."""
    grown = {name: now.counts[name] - before.counts[name] for name in RATES}
    return {name: max(0.0, more) / max(seconds, 0.001) for name, more in grown.items()}
