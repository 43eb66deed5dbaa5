"""What a read asks of its driver, step by step, and what may come of it. Pure; see ``protocol``."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple, TypeAlias

__all__ = [
    "ACQUIRE_ANY",
    "DISCARD",
    "GET",
    "JOIN",
    "LOAD",
    "RELEASE",
    "SEAL",
    "Acquire",
    "Claim",
    "Entry",
    "Fill",
    "Get",
    "Join",
    "JoinLate",
    "Load",
    "Loaded",
    "Put",
    "Refresh",
    "Release",
    "Seal",
    "Seat",
    "Settle",
    "Shared",
    "Step",
    "Steps",
    "Wait",
]


class Entry(NamedTuple):
    """A decoded entry and the seconds it has left (infinite where nobody asked)."""

    value: Any
    left: float


class Loaded(NamedTuple):
    """A loaded value, its JSON bytes, whether these may be cached, and whether others may have them."""

    value: Any
    payload: bytes
    fits: bool = True
    is_shared: bool = True


class Seat(Enum):
    """What a caller became by joining the flight of its key."""

    LEADER = "leads the flight"
    AGAIN = "the flight shares nothing: start over"
    LATE = "the flight did not land in time"


class Claim(Enum):
    """What asking for the lease gave, other than an entry."""

    WON = "the lease is ours"
    LOST = "somebody else holds it"
    UNAVAILABLE = "Redis did not answer"


class Shared(NamedTuple):
    """What the leader of a flight loaded."""

    value: Any


@dataclass(frozen=True, slots=True)
class Get:
    """Read the entry. Outcome: ``Entry``, ``None``, or ``Claim.UNAVAILABLE``."""


@dataclass(frozen=True, slots=True)
class Join:
    """Join the flight of this key or found it. Outcome: ``Shared`` or a ``Seat``; raises its failure."""

    until: float = 0.0


@dataclass(frozen=True, slots=True)
class JoinLate:
    """Join those who gave the flight of this key up, if they began no earlier, or found their flight anew.

    Outcome: as of Join.

    Attributes:
        began: a moment, not before this read began; a flight founded earlier is not to be joined.
        until: how long to wait for it.
    """

    began: float = 0.0
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class Acquire:
    """Take the lease, unless an entry with more than *newer_than* seconds left is there.

    Outcome: a ``Claim`` or that ``Entry``.
    """

    newer_than: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Load:
    """Run the query or the function. Outcome: ``Loaded``; raises its failure."""


@dataclass(frozen=True, slots=True)
class Seal:
    """Close the flight to joiners."""


@dataclass(frozen=True, slots=True)
class Fill:
    """Store the payload if the lease is still ours. Outcome: whether it was stored."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Put:
    """Store a value, whatever is there or being loaded. Outcome: ``None``."""

    value: Any


@dataclass(frozen=True, slots=True)
class Release:
    """Give the lease back if it is still ours. Outcome: whether it was.

    Attributes:
        outdated: whether what is cached goes too: something newer was loaded, and cannot be kept.
    """

    outdated: bool = False


@dataclass(frozen=True, slots=True)
class Settle:
    """End the flight: share what was loaded, or its failure, or nothing (``None``: start over)."""

    outcome: Loaded | Exception | None


@dataclass(frozen=True, slots=True)
class Refresh:
    """Have the entry with *left* seconds refreshed behind the caller's back, if nobody does already."""

    left: float


GET = Get()
JOIN = Join()
LOAD = Load()
SEAL = Seal()
RELEASE = Release()
DISCARD = Release(outdated=True)
# Any entry will do: Redis says -2 ms of one that does not exist.
ACQUIRE_ANY = Acquire(-1.0)

Step: TypeAlias = (
    Get | Join | JoinLate | Acquire | Wait | Load | Seal | Fill | Put | Release | Settle | Refresh
)
Steps: TypeAlias = Generator[Step, Any, Any]
