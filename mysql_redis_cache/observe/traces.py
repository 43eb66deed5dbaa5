"""Traces: what became of the reads of one block of code."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Outcome", "Trace", "TracedRead"]

Outcome = Literal["hit", "near", "shared", "loaded", "stale", "bypassed", "missed", "failed"]


@dataclass(slots=True)
class TracedRead:
    """What became of one read.

    Attributes:
        query: the query, or the signature of ``with_cache``.
        key: under which it is cached.
        outcome: ``"hit"``, from Redis; ``"near"``, from this process; ``"shared"``, by a load that another
            read had under way; ``"loaded"``, from MySQL or by the function; ``"stale"``, with an entry past
            its ttl; ``"bypassed"``, past the cache; ``"missed"``, not at all, as ``read_from_cache`` does;
            ``"failed"``, it raised.
        reason: why, of those that are no hits.
        left: seconds until Redis deletes what answered it; ``None`` if that is not known.
        seconds: how long all of it took.
        redis_seconds: of these, in Redis.
        mysql_seconds: of these, in the load.
        wait_seconds: of these, waiting for somebody else's load.
        bytes: the JSON of the answer; 0 if that is not known.
        label: what the read was labelled with.
    """

    query: str
    key: str
    outcome: Outcome = "near"  # unless it takes a step
    reason: str = ""
    left: float | None = None
    seconds: float = 0.0
    redis_seconds: float = 0.0
    mysql_seconds: float = 0.0
    wait_seconds: float = 0.0
    bytes: int = 0
    label: str | None = None


@dataclass(slots=True)
class Trace:
    """The reads of a block, in the order in which they ended. Made by ``MRCClient.trace``.

    Attributes:
        reads: they.
    """

    reads: list[TracedRead] = field(default_factory=list)
