"""What the model keeps of MySQL, Redis and time for one entry, and what each command does to it.

``test_model.py`` holds the commands against the scripts in a real Redis, so that the model cannot drift from
what it stands for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mysql_redis_cache.readthrough.steps import Claim, Entry

if TYPE_CHECKING:
    from typing import Any

    from .following import Log
    from .nearby import Near
    from .roll import Roll

__all__ = [
    "HORIZON",
    "LEASE",
    "LIFE",
    "NEEDED",
    "SOUND",
    "Cell",
    "Lease",
    "Row",
    "Rules",
    "World",
    "acquire",
    "begin",
    "cut_off",
    "discard",
    "evict",
    "fill",
    "is_cut",
    "is_doubtful",
    "may_settle",
    "met_of",
    "prune",
    "put",
    "release",
    "renew",
    "settle",
    "tick",
]

# Ticks that a lease and an entry live; of an entry, the last is its grace where the policy has one.
LEASE = 2
LIFE = 2
# Ticks for which an entry is registered, and for which it has to be when its lease is renewed.
NEEDED = LEASE + LIFE
HORIZON = NEEDED + 1


class Row(NamedTuple):
    """What a query gives: which version, and whether it was this library that loaded it."""

    version: int
    ours: bool = True


class Cell(NamedTuple):
    """The entry in Redis and its ticks left."""

    row: Row
    left: int = LIFE


class Lease(NamedTuple):
    """The lease in Redis: the number of who holds it, and its ticks left."""

    owner: int
    left: int = LEASE


class World(NamedTuple):
    """Everything that is shared.

    Attributes:
        committed: the version in MySQL.
        cell: the entry.
        lease: the lease of the entry.
        listed: ticks until the index forgets the entry; ``None`` if it does not list it.
        known: ticks until which the registry says that the set must be there which lists it.
        there: whether that set is there; what Redis evicts is not.
        outside: ticks until which entries may live that are in no index.
        begun: ticks since the index was begun, no more than count; ``None`` while there is none.
        unknown: whether entries may live that were there before it was.
        promised: the version that a read starting now must not fall below.
        open: for each process that readers share, who leads its open flight (-1: nobody).
        late: for each such process, who leads the flight of those who gave another up, and which readers had
            begun when it was founded; ``None`` if there is none.
        sent: commands on the way that nobody waits for any more.
        faults: how many more times Redis may fail to answer.
        loads: how many loads there have been.
        near: the near cache of one process; ``None`` if there is none.
        log: the binary log and who follows it; ``None`` if nobody does.
        roll: where it is strict, who stands on the roll.
    """

    committed: int = 0
    cell: Cell | None = None
    lease: Lease | None = None
    listed: int | None = None
    known: int | None = None
    there: bool = False
    outside: int | None = None
    begun: int | None = None
    unknown: bool = False
    promised: int = 0
    open: tuple[int, ...] = ()
    late: tuple[tuple[int, frozenset[int]] | None, ...] = ()
    sent: tuple[tuple[Any, ...], ...] = ()
    faults: int = 0
    loads: int = 0
    near: Near | None = None
    log: Log | None = None
    roll: Roll | None = None


class Rules(NamedTuple):
    """What the commands do; the defaults are what the scripts do, the others are known to be unsafe."""

    lease_counts: bool = True
    robs: bool = False
    indexed: bool = True  # whether who registers keeps an index
    renewal_registers: bool = True
    early_by: int = 0  # ticks by which the clock of whoever prunes is fast
    late_flights_ask: bool = True  # whether who joins began before the flight of the late ones
    loss_is_marked: bool = True  # by who registers where something is missing
    loss_is_seen: bool = True  # by a drop that looks where something is missing
    in_order: bool = True  # whether replies and pushes come to a near cache by one connection
    here_is_visible: bool = True  # whether a follower's first position is one that the tables have reached
    compares: bool = True  # whether a follower moves the position only if it is the one that it knows
    compares_runs: bool = True  # and only in the Redis that it knows, not started anew since
    looks_while_idle: bool = True  # whether a follower with nothing to do looks whether Redis went back
    position_in_redis: bool = True  # whether the position goes back with the entries
    beats_sign: bool = True  # whether a listener signs the roll with each beat
    time_ends_vouchers: bool = True  # whether nothing is served a heartbeat after the last beat was sent
    strikes_the_living: bool = False  # whether who was waited for in vain is struck though it has signed


SOUND = Rules()


def acquire(world: World, owner: int, newer_than: float, rules: Rules = SOUND) -> tuple[World, Any]:
    """Take the lease unless there is a newer entry or somebody holds it."""
    if world.cell is not None and world.cell.left > newer_than:
        return world, Entry(world.cell.row, float(world.cell.left))
    if not rules.lease_counts:
        return world, Claim.WON
    if world.lease is not None and world.lease.owner != owner and not rules.robs:
        return world, Claim.LOST
    return _registered(world, rules)._replace(lease=Lease(owner)), Claim.WON


def fill(world: World, owner: int, row: Row, rules: Rules = SOUND) -> tuple[World, bool]:
    """Store the entry if *owner* holds the lease."""
    if not rules.lease_counts:
        return world._replace(cell=Cell(row)), True
    if world.lease is None or world.lease.owner != owner:
        return world, False
    return world._replace(cell=Cell(row), lease=None), True


def release(world: World, owner: int) -> tuple[World, bool]:
    """Give the lease back if *owner* holds it."""
    held = world.lease is not None and world.lease.owner == owner
    return world._replace(lease=None) if held else world, held


def discard(world: World, owner: int) -> tuple[World, bool]:
    """Delete the entry, and give the lease back if *owner* holds it."""
    return release(world._replace(cell=None), owner)


def renew(world: World, owner: int, rules: Rules = SOUND) -> World:
    """Prolong the lease if *owner* holds it, and register the entry again if that would run out."""
    if world.lease is None or world.lease.owner != owner:
        return world
    until = world.listed if rules.indexed else world.outside
    lasts = until is not None and until >= NEEDED and not world.unknown
    if rules.renewal_registers and not lasts:
        world = _registered(world, rules)
    return world._replace(lease=Lease(owner))


def put(world: World, row: Row) -> World:
    """Store the entry whoever holds the lease, and revoke that."""
    return _registered(world)._replace(cell=Cell(row), lease=None)


def prune(world: World, rules: Rules = SOUND) -> World:
    """Register another entry of the same pair, which has the set forget this one if its time is over."""
    over = world.listed is not None and world.listed <= rules.early_by
    listed = None if over else world.listed
    return _registered(world, rules)._replace(listed=listed)


def evict(world: World) -> World:
    """Lose the set that lists the entry."""
    return world._replace(listed=None, there=False)


def is_doubtful(world: World, rules: Rules = SOUND) -> bool:
    """Return whether a drop has to look at all keys."""
    is_lost = world.known is not None and not world.there
    is_new = world.begun is None or world.unknown
    return is_new or world.outside is not None or (is_lost and rules.loss_is_seen)


def begin(world: World) -> World:
    """Begin the index if there is none."""
    if world.begun is not None:
        return world
    return world._replace(begun=0, unknown=world.cell is not None or world.lease is not None)


def may_settle(world: World) -> bool:
    """Return whether no load can be under way that began before the index."""
    return world.lease is None or (world.begun is not None and world.begun >= LEASE)


def settle(world: World) -> World:
    """Have the index know until when entries may live that are not in it."""
    outside = world.cell.left if world.cell is not None and world.listed is None else 0
    return world._replace(unknown=False, outside=max(outside, world.outside or 0) or None)


def is_cut(command: str) -> bool:
    """Return whether a command deletes what was met."""
    return command.startswith("cut")


def cut_off(world: World, names: set[str]) -> World:
    """Delete some names."""
    return world._replace(
        lease=None if "lease" in names else world.lease,
        cell=None if "entry" in names else world.cell,
        listed=None if "listed" in names else world.listed,
    )


def met_of(world: World, names: list[str]) -> tuple[str, ...]:
    """Return which names are met."""
    if names == ["listed"]:
        return () if world.listed is None else ("lease", "entry", "listed")
    there = {"lease": world.lease is not None, "entry": world.cell is not None}
    return tuple([name for name in names if there[name]])


def tick(world: World) -> World:
    """Let time pass."""
    cell, lease, known = world.cell, world.lease, _sooner(world.known)
    return world._replace(
        cell=cell._replace(left=cell.left - 1) if cell and cell.left > 1 else None,
        lease=lease._replace(left=lease.left - 1) if lease and lease.left > 1 else None,
        listed=_sooner(world.listed),
        known=known,
        there=world.there and known is not None,
        outside=_sooner(world.outside),
        begun=None if world.begun is None else min(world.begun + 1, LEASE),
    )


def _registered(world: World, rules: Rules = SOUND) -> World:
    """Put the entry into its set, and the set into the registry; without an index, leave a mark."""
    if not rules.indexed:
        return world if world.begun is None else world._replace(outside=HORIZON)
    world, outside = begin(world), world.outside
    if world.known is not None and not world.there and rules.loss_is_marked:
        outside = max(world.known, outside or 0)
    return world._replace(listed=HORIZON, known=HORIZON, there=True, outside=outside)


def _sooner(ticks: int | None) -> int | None:
    return ticks - 1 if ticks is not None and ticks > 1 else None
