"""What the model keeps of MySQL, Redis and time for one entry, and what each command does to it.

``test_model.py`` holds the commands against the scripts in a real Redis, so that the model cannot drift from
what it stands for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mysql_redis_cache.readthrough.steps import Claim, Entry

if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "HORIZON",
    "LEASE",
    "LIFE",
    "SOUND",
    "Cell",
    "Lease",
    "Row",
    "Rules",
    "World",
    "acquire",
    "fill",
    "prune",
    "put",
    "release",
    "renew",
    "tick",
]

# Ticks that a lease and an entry live; of an entry, the last is its grace where the policy has one.
LEASE = 2
LIFE = 2
HORIZON = LEASE + LIFE


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
        listed: ticks until the index may forget the entry; ``None`` if it does not list it.
        promised: the version that a read starting now must not fall below.
        open: for each process that readers share, who leads its open flight (-1: nobody).
        late: for each such process, who leads the flight of those who gave another up, and which readers had
            begun when it was founded; ``None`` if there is none.
        sent: commands on the way that nobody waits for any more.
        faults: how many more times Redis may fail to answer.
        loads: how many loads there have been.
    """

    committed: int = 0
    cell: Cell | None = None
    lease: Lease | None = None
    listed: int | None = None
    promised: int = 0
    open: tuple[int, ...] = ()
    late: tuple[tuple[int, frozenset[int]] | None, ...] = ()
    sent: tuple[tuple[Any, ...], ...] = ()
    faults: int = 0
    loads: int = 0


class Rules(NamedTuple):
    """What the commands do; the defaults are what the scripts do, the others are known to be unsafe."""

    lease_counts: bool = True
    robs: bool = False
    renewal_registers: bool = True
    early_by: int = 0  # ticks by which the clock of whoever prunes is fast
    late_flights_ask: bool = True  # whether who joins began before the flight of the late ones


SOUND = Rules()


def acquire(world: World, owner: int, newer_than: float, rules: Rules = SOUND) -> tuple[World, Any]:
    """Take the lease unless there is a newer entry or somebody holds it."""
    if world.cell is not None and world.cell.left > newer_than:
        return world, Entry(world.cell.row, float(world.cell.left))
    if not rules.lease_counts:
        return world, Claim.WON
    if world.lease is not None and world.lease.owner != owner and not rules.robs:
        return world, Claim.LOST
    return world._replace(lease=Lease(owner), listed=HORIZON), Claim.WON


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


def renew(world: World, owner: int, rules: Rules = SOUND) -> World:
    """Prolong the lease if *owner* holds it."""
    if world.lease is None or world.lease.owner != owner:
        return world
    return world._replace(lease=Lease(owner), listed=HORIZON if rules.renewal_registers else world.listed)


def put(world: World, row: Row) -> World:
    """Store the entry whoever holds the lease, and revoke that."""
    return world._replace(cell=Cell(row), lease=None, listed=HORIZON)


def prune(world: World, rules: Rules = SOUND) -> World:
    """Have the index forget the entry if its time is over: part of registering another entry."""
    over = world.listed is not None and world.listed <= rules.early_by
    return world._replace(listed=None) if over else world


def tick(world: World) -> World:
    """Let time pass."""
    cell, lease, listed = world.cell, world.lease, world.listed
    return world._replace(
        cell=cell._replace(left=cell.left - 1) if cell and cell.left > 1 else None,
        lease=lease._replace(left=lease.left - 1) if lease and lease.left > 1 else None,
        listed=max(0, listed - 1) if listed is not None else None,
    )
