"""How long things live and how long anybody waits: validated once, then pure arithmetic.

All times are seconds as floats unless a name says otherwise. Chance is an argument, so that tests decide it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

Lifetime: TypeAlias = "float | timedelta | Callable[[Any], float | timedelta | None]"
"""How long to keep an answer: seconds, or what gives them for a value; ``None`` for one not to be kept."""

__all__ = [
    "DEFAULT_TTL",
    "LONGEST_WAIT",
    "Freshness",
    "Lifetime",
    "Policy",
    "check_count",
    "seconds",
    "shown",
    "ttl_seconds",
    "wait_seconds",
]

DEFAULT_TTL = 86_400
JITTER = 0.1
# Redis refuses expiries past 2^63 ms; a millennium is far below that and past anybody's intent.
LONGEST = 1e11
LONGEST_WAIT = 2e6
"""Seconds, 23 days: what sockets and locks can wait for; sockets count milliseconds in 31 bits."""


class Freshness(Enum):
    """What may be done with an entry found in Redis."""

    FRESH = "serve it"
    AGING = "serve it and refresh it behind the caller's back"
    FALLBACK = "load anew, and serve it only if the load fails"
    OVER = "load anew"


@dataclass(frozen=True, slots=True)
class Policy:
    """The waits and windows of a client or of one call.

    Args:
        stale_while_revalidate: seconds past its ttl for which an entry is served while it is refreshed.
        stale_if_error: seconds past its ttl for which an entry is served when the load fails.
        early_refresh: β of the XFetch algorithm; 0 is off, 1 is the paper's choice.
        wait_timeout: seconds to wait for somebody else's load of the same key.
        lease_seconds: life of a lease that nobody renews, so the cost of a loader that was killed.
        near: whether what is kept in this process will do.

    Attributes:
        grace: seconds for which an entry stays in Redis past its ttl.
        needs_age: whether a read must ask for the time an entry has left.

    Raises:
        TypeError: one is no number.
        ValueError: a window is negative or not finite, or a wait is not positive or longer than 23 days.
    """

    stale_while_revalidate: float = 0.0
    stale_if_error: float = 0.0
    early_refresh: float = 0.0
    wait_timeout: float = 15.0
    lease_seconds: float = 10.0
    near: bool = True
    # Worked out once, since every hit asks.
    grace: float = field(init=False, default=0.0)
    needs_age: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        for name in ("stale_while_revalidate", "stale_if_error", "early_refresh"):
            _check_number(name, getattr(self, name), smallest=0.0)
        for name in ("wait_timeout", "lease_seconds"):
            _check_number(name, getattr(self, name), smallest=0.001, largest=LONGEST_WAIT)
        grace = max(self.stale_while_revalidate, self.stale_if_error)
        object.__setattr__(self, "grace", grace)
        object.__setattr__(self, "needs_age", bool(grace or self.early_refresh))

    def aged(self) -> Policy:
        """Return the same for a read that asks for the time an entry has left, whether it matters or not."""
        aged = replace(self)
        object.__setattr__(aged, "needs_age", True)
        return aged

    def lifetime(self, ttl: float, random: Callable[[], float]) -> int:
        """Return the whole seconds for which Redis keeps an entry: ``ttl ± 10 %``, never 0, plus grace.

        Args:
            ttl: seconds.
            random: returns a float in [0, 1).
        """
        # Halves go up, as in npm: Python's round() would make 4 of 4.5.
        jittered = math.floor(ttl * (1 - JITTER + 2 * JITTER * random()) + 0.5)
        return max(1, jittered) + math.ceil(self.grace)

    def longest(self, ttl: float) -> float:
        """Return the most seconds that ``lifetime`` can give for *ttl*."""
        return max(1.0, ttl * (1 + JITTER) + 1) + self.grace + 1

    def age(self, ttl: float, left: float) -> float:
        """Return about how old an entry is, in seconds: to a tenth of the ttl, by which ``lifetime`` spreads.

        Args:
            ttl: seconds, as it was cached for.
            left: seconds until Redis deletes it.
        """
        return max(0.0, ttl + math.ceil(self.grace) - left)

    def freshness(self, left: float, load_time: float, random: Callable[[], float]) -> Freshness:
        """Judge an entry by the time it has left in Redis.

        The early refresh is XFetch: Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede
        Prevention", PVLDB 8(8), 2015, doi:10.14778/2757807.2757813.

        Args:
            left: seconds until Redis deletes the entry; infinite if it never does.
            load_time: seconds that a load of this query has taken of late.
            random: returns a float in [0, 1).
        """
        until_stale = left - self.grace
        if until_stale > 0:
            early = self.early_refresh and -load_time * self.early_refresh * _log(random()) >= until_stale
            return Freshness.AGING if early else Freshness.FRESH
        if self.serves(left):
            return Freshness.AGING
        return Freshness.FALLBACK if -until_stale <= self.stale_if_error else Freshness.OVER

    def serves(self, left: float) -> bool:
        """Return whether an entry with *left* seconds answers a read at once: a fallback does not."""
        past = self.grace - left
        return past < 0 or 0 < self.stale_while_revalidate >= past

    def pause(self, waited: float, random: Callable[[], float]) -> float:
        """Return how long to wait before asking again, having *waited* seconds already.

        A tenth of the time waited so far (5 to 100 ms) overshoots a load by a tenth at most; the jitter
        keeps the waiting processes from asking in step.
        """
        return min(0.1, max(0.005, 0.1 * waited)) * (0.5 + 0.5 * random())


def seconds(name: str, value: object) -> float:
    """Return a window given as int, float or timedelta in seconds.

    Raises:
        TypeError: it is none of these.
        ValueError: it is negative or not finite.
    """
    if isinstance(value, timedelta):
        value = value.total_seconds()
    return _check_number(name, value, smallest=0.0)


def wait_seconds(name: str, value: object, *, smallest: float = 0.0) -> float:
    """Return how long to wait for something, given as int, float or timedelta, in seconds.

    Raises:
        TypeError: it is none of these.
        ValueError: it is less than *smallest*, or more than ``LONGEST_WAIT``.
    """
    if isinstance(value, timedelta):
        value = value.total_seconds()
    return _check_number(name, value, smallest=smallest, largest=LONGEST_WAIT)


def ttl_seconds(ttl: object, name: str = "ttl") -> float:
    """Return *ttl* in seconds.

    Args:
        ttl: a positive int, float or timedelta.
        name: of the argument, for messages.

    Raises:
        TypeError: it is none of these.
        ValueError: it is not positive, not finite, or past three thousand years.
    """
    if type(ttl) is int and 0 < ttl <= LONGEST:  # on the way of every hit
        return ttl
    if isinstance(ttl, timedelta):
        ttl = ttl.total_seconds()
    if isinstance(ttl, bool) or not isinstance(ttl, (int, float)):
        raise TypeError(f"{name} must be seconds (int or float) or a timedelta, not {type(ttl).__name__}")
    if not 0 < ttl <= LONGEST:
        raise ValueError(f"{name} must be positive seconds, at most {LONGEST:g}, not {shown(ttl)}")
    return ttl


def check_count(name: str, value: object) -> int:
    """Return a number of things.

    Raises:
        TypeError: it is no int.
        ValueError: it is negative, or more than a server can be asked for.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if not 0 <= value < 2**31:
        raise ValueError(f"{name} must be from 0 to 2147483647, not {shown(value)}")
    return value


def _check_number(name: str, value: object, *, smallest: float, largest: float = LONGEST) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    if not smallest <= value <= largest:
        bound = f"at most {largest:g}" if value > largest and value < math.inf else "finite"
        raise ValueError(f"{name} must be at least {smallest:g} and {bound}, not {shown(value)}")
    return value


def shown(value: object) -> str:
    """Write a value for a message; an int may have more digits than Python writes out."""
    try:
        return repr(value)
    except ValueError:
        return "so large an int"


def _log(chance: float) -> float:
    return math.log(chance) if chance > 0 else -math.inf
