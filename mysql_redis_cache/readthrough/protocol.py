"""The steps of a read through the cache, and the decisions between them. Pure: no I/O, clock or threads.

A read is a generator: it yields steps and is sent their outcomes. The blocking client performs a step by a
call, the facade by a thread hop or an await, the model test by a transition of its model; what happens in
which order, and what is cached or shared, is decided here alone.

::

    hit    Get → entry
    miss   Get → None, Join → LEADER, Acquire → WON, Load, Seal, Fill → True, Settle(shared)
    lost   Acquire → LOST, Wait, Acquire, … → entry, or WON, or at the deadline: Seal, Load, Settle
    joined Join → Shared | AGAIN (start over) | the leader's failure
    late   Join → LATE, JoinLate → LEADER, Load, Settle | Shared | …

Why this keeps a drop's promise: the lease is taken before the load, so a drop that follows the commit either
finds the lease (and the fill is refused) or precedes it (and the load sees the commit). A flight is sealed
before the fill is sent, and its rows are shared only if the fill was accepted; rows loaded without a lease
are shared only with those who joined before the load began, or, among those who gave a flight up, who began
to read before it did.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from mysql_redis_cache.policy import Freshness, Policy

from .steps import (
    ACQUIRE_ANY,
    DISCARD,
    GET,
    LOAD,
    RELEASE,
    SEAL,
    Acquire,
    Claim,
    Entry,
    Fill,
    Join,
    JoinLate,
    Put,
    Refresh,
    Seat,
    Settle,
    Shared,
    Steps,
    Wait,
)

__all__ = [
    "bypass",
    "go_on",
    "is_answer",
    "known",
    "look",
    "put",
    "read",
    "refresh",
    "refresh_behind",
]

# How often those who gave a flight up wait for one of them, and for how many times ``wait_timeout``: a load
# that took longer than that will do so again.
LATE_FLIGHTS = 2
LATE_PATIENCE = 4

Clock: TypeAlias = Callable[[], float]


def read(policy: Policy, clock: Clock, random: Clock, load_time: float = 0.0) -> Steps:
    """Read through the cache.

    Args:
        policy: waits and windows.
        clock: monotonic seconds.
        random: floats in [0, 1).
        load_time: seconds that loads of this query have taken of late, for the early refresh.

    Returns:
        (of the generator) the value.
    """
    return (yield from go_on((yield GET), policy, clock, random, load_time))


def is_answer(entry: Any, policy: Policy) -> bool:
    """Whether what Get gave answers a read at once.

    A driver may ask this before it takes any steps: most reads need none but Get. All that they need else
    comes from ``go_on``.
    """
    return type(entry) is Entry and not policy.needs_age


def go_on(entry: Any, policy: Policy, clock: Clock, random: Clock, load_time: float = 0.0) -> Steps:
    """Read through the cache, Get having given *entry*; as ``read``."""
    freshness = _judge(entry, policy, load_time, random)
    if freshness is Freshness.FRESH:
        return entry.value
    if freshness is Freshness.AGING:
        yield Refresh(entry.left)
        return entry.value
    fallback = entry if freshness is Freshness.FALLBACK else None
    try:
        return (yield from _read_cold(policy, clock, random, entry))
    except Exception:
        if fallback is None:
            raise
        return fallback.value


def refresh(policy: Policy, clock: Clock, random: Clock) -> Steps:
    """Load and fill whatever is cached; share nobody's load, since it may have begun before this call.

    What is cached goes if it cannot be replaced: the caller has seen what is newer.
    """
    claim = yield from _claim(policy, clock, random, Acquire(float("inf")), clock() + policy.wait_timeout)
    if claim is Claim.WON:
        return (yield from _load_and_fill(anew=True))
    value = yield from _load_alone()
    yield DISCARD
    return value


def refresh_behind(left: float) -> Steps:
    """Refresh the entry seen with *left* seconds, unless somebody does or did: nobody waits for this."""
    claim = yield Acquire(left)
    if claim is Claim.WON:
        yield from _load_and_fill()


def look(default: Any) -> Steps:
    """Return what is cached, or *default*."""
    entry = yield GET
    return entry.value if isinstance(entry, Entry) else default


def put(value: Any) -> Steps:
    """Cache *value*."""
    yield Put(value)


def bypass() -> Steps:
    """Load, and neither read nor fill the cache."""
    loaded = yield LOAD
    return loaded.value


def known(answer: Any) -> Steps:
    """Give an answer that is at hand: no steps."""
    yield from ()
    return answer


def _judge(entry: Any, policy: Policy, load_time: float, random: Clock) -> Freshness:
    if is_answer(entry, policy):
        return Freshness.FRESH
    if entry is None or entry is Claim.UNAVAILABLE:
        return Freshness.OVER
    return policy.freshness(entry.left, load_time, random)


def _read_cold(policy: Policy, clock: Clock, random: Clock, entry: Any) -> Steps:
    """Load, or get what somebody else loads. *entry* is what Get gave: nothing, too old, or no answer."""
    began = clock()
    until = began + policy.wait_timeout
    while True:
        seat = yield Join(until)
        if seat is Seat.LEADER:
            return (yield from _settled(_lead(policy, clock, random, entry, until)))
        if seat is Seat.LATE:
            return (yield from _read_late(policy, clock, began))
        if seat is not Seat.AGAIN:
            return seat.value
        entry = yield GET
        if _judge(entry, policy, 0.0, random) in {Freshness.FRESH, Freshness.AGING}:
            return entry.value


def _read_late(policy: Policy, clock: Clock, began: float) -> Steps:
    """Load after all, once for all who gave the same flight up: their own loads would take as long.

    All of them began before that load is sent, so its rows are not too old for anybody.
    """
    for _ in range(LATE_FLIGHTS):
        seat = yield JoinLate(began, clock() + LATE_PATIENCE * policy.wait_timeout)
        if seat is Seat.LEADER:
            return (yield from _settled(_load_alone()))
        if isinstance(seat, Shared):
            return seat.value
    return (yield from bypass())


def _lead(policy: Policy, clock: Clock, random: Clock, entry: Any, until: float) -> Steps:
    """Load as the leader of the flight."""
    if entry is Claim.UNAVAILABLE:
        return (yield from _load_alone())
    acquire = ACQUIRE_ANY if entry is None else Acquire(entry.left)
    claim = yield from _claim(policy, clock, random, acquire, until)
    if isinstance(claim, Entry):
        # Who joined after this entry was read may have started after a drop of it: they look again.
        yield Settle(None)
        return claim.value
    return (yield from (_load_and_fill() if claim is Claim.WON else _load_alone()))


def _settled(leading: Steps) -> Steps:
    """Lead a flight; whatever happens, it is settled."""
    try:
        return (yield from leading)
    except GeneratorExit:
        raise
    except BaseException:  # a failed load has settled the flight; this is the leader's own trouble
        yield Settle(None)
        raise


def _claim(policy: Policy, clock: Clock, random: Clock, acquire: Acquire, until: float) -> Steps:
    """Ask for the lease until it is won, an entry is there, or the time is over. Nobody is robbed of it."""
    began = clock()
    while True:
        claim = yield acquire
        now = clock()
        if claim is not Claim.LOST or now >= until:
            return claim
        yield Wait(min(policy.pause(now - began, random), until - now))


def _load_and_fill(*, anew: bool = False) -> Steps:
    """Load under the lease and fill; *anew*, so that nothing older may stay if that fails."""
    try:
        loaded = yield LOAD
    except GeneratorExit:
        raise
    except BaseException as error:
        yield RELEASE
        yield _failed(error)
        raise
    yield SEAL
    if not loaded.fits:
        # A lease that is still ours to give back says what an accepted fill says: no drop came in between.
        was_ours = yield DISCARD
        yield Settle(loaded if was_ours is True else None)
        return loaded.value
    accepted = yield Fill(loaded.payload)
    if anew and accepted is not True:
        yield DISCARD
    yield Settle(loaded if accepted is True else None)
    return loaded.value


def _load_alone() -> Steps:
    """Load without a lease: nothing is cached, and only who has joined by now may share it."""
    yield SEAL
    try:
        loaded = yield LOAD
    except GeneratorExit:
        raise
    except BaseException as error:
        yield _failed(error)
        raise
    yield Settle(loaded)
    return loaded.value


def _failed(error: BaseException) -> Settle:
    """Share a failure of the load; an interruption of the leader is nobody else's."""
    return Settle(error if isinstance(error, Exception) else None)
