"""What everybody but the readers does: writers, drops, the npm package. A program is a list of commands.

==================  ==========================================================================
commit              commit a new version
log, log other      have the log have the version that is committed next, or what does not change the row
ended               hear that the server has ended the transaction by itself: after a commit that a statement
                    of the block brought about, or with nothing committed
meet lease entry    a walk over the keys comes by these names and notes which are there
meet listed         ask the index, which names lease and entry of what it lists
doubt               go on at the sweep after the first "return" if the index may be incomplete
begin               begin an index
look for leases     end here if a load may be under way that began before that
settle              have the index know until when entries may live that are not in it
cut lease entry     delete these names, if they were met
cut listed          take the entry out of the index, if it was met there
return              the drop returns: from now on no read may give what was older when it began
put                 ``write_to_cache`` of what is committed
beat, heard         ask for a sign of life of the near cache in this process, and wait for it
read roll, hear all  read the roll of strict near caches, and wait for who stands there
forget              have it keep nothing of the entry; ``forget kept``: but what is on its way may come
ride                take part in the sweep of the program before this one, unless it has begun
ride late           the same although it has begun
alight              wait for that to end
npm get/load/fill   a read of the npm package, which fills whatever has happened meanwhile
==================  ==========================================================================
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from . import following, nearby, roll
from . import world as redis
from .world import Row, Rules, World

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Place", "Program", "may_commit", "perform"]

Program = tuple[str, ...]


class Place(NamedTuple):
    """Where a program stands: its next command, the version it deals with, the names it has met."""

    at: int = 0
    version: int = -1
    met: tuple[str, ...] = ()


def may_commit(place: Place, program: Program) -> bool:
    """Return whether a commit is still to come."""
    return "commit" in program[place.at :]


def perform(
    programs: Sequence[Program], places: Sequence[Place], number: int, world: World, rules: Rules
) -> tuple[str, World, Place] | None:
    """Perform the next command of program *number*; ``None`` if it has to wait, or must not go on."""
    place, command = places[number], programs[number][places[number].at]
    if command.startswith(("ride", "alight")) and not _may_share(programs, places, number, command):
        return None
    if command == "heard" and not nearby.has_heard(world, number):
        return None
    if command == "hear all":
        heard = roll.hear_all(world, number, rules)
        if heard is None:
            return None
        world = heard
    # A drop promises what is committed when it takes its first step, which is more than it has to.
    version = place.version if place.version >= 0 or command == "commit" else world.committed
    world, met = _done(command, world, version, place.met)
    world = nearby.beat(world, number) if command == "beat" else world
    world = following.write(world, is_ours=command == "log") if command.startswith("log") else world
    world = roll.read(world, number) if command == "read roll" else world
    at = place.at + 1
    if command.startswith("meet") and not met:
        at += sum(1 for _ in takewhile(redis.is_cut, programs[number][at:]))  # there is nothing to delete
    if command == "doubt" and redis.is_doubtful(world, rules):
        at = programs[number].index("return") + 1
    is_loading = command == "look for leases" and not redis.may_settle(world)
    if command == "return" or is_loading or (command == "npm get" and world.cell is not None):
        at = len(programs[number])
    said = f"P{number} {command} {version}" if command == "return" else f"P{number} {command}"
    return said, world, Place(at, version, met if at < len(programs[number]) else ())


def _done(command: str, world: World, version: int, met: tuple[str, ...]) -> tuple[World, tuple[str, ...]]:
    match command.split():
        case ["commit"]:
            world = world._replace(committed=world.committed + 1)
        case ["return"]:
            world = world._replace(promised=max(world.promised, version))
        case ["meet", *names]:
            met = redis.met_of(world, names)
        case ["cut", *names]:
            world = redis.cut_off(world, {name for name in names if name in met})
        case ["begin"]:
            world = redis.begin(world)
        case ["settle"]:
            world = redis.settle(world)
        case ["forget", *what]:
            world = nearby.forget(world, marks_too=not what)
        case ["put"]:
            world = redis.put(world, Row(version))
        case ["npm", "fill"]:
            world = world._replace(cell=redis.Cell(Row(version, ours=False)))
    return world, met


def _may_share(programs: Sequence[Program], places: Sequence[Place], number: int, command: str) -> bool:
    """Return whether the sweep of the program before is where *command* needs it to be."""
    shared = places[number - 1]
    is_over = shared.at == len(programs[number - 1])
    if command == "alight":
        return is_over
    return not is_over if command == "ride late" else shared.at <= 1
