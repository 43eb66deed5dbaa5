"""What the model keeps of followers of the binary log, and what they may do next.

The log runs ahead of the engine: a writer's ``log`` has its transaction be in the log, its ``commit`` lets it
be read; ``log other`` is one that does not change the row. A follower is the commands that are left to it:

==================  ==========================================================================
load                read the position; without one, begin afresh
see                 read what the log has behind the position; skip to the end if nothing of it is ours
visible             wait until that can be read from the tables
here                take a position before which everything is visible
meet, cut           as of every drop: see ``programs``
save                move the position, which covers what was dropped, if it is still the one that was loaded,
                    and in a Redis that was not started anew since
==================  ==========================================================================

What it promises: no read that starts after a position was saved gives what is older than what that covers.
It may be killed at any moment, and another one started; two may be at it at once. Redis may go back, once, to
what it was: so does the promise, to what the position of that time covers.
"""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from .world import cut_off, is_cut, met_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .world import Rules, World

    Program = tuple[str, ...]

__all__ = ["Followed", "Follower", "Log", "has_ended", "moves", "restored", "write"]

_LOAD, _SAVE = ("load",), ("save",)
OTHER = 0
_BESIDE_REDIS = ("committed", "open", "late", "sent", "faults", "loads", "near")


class Followed(NamedTuple):
    """What a follower does.

    Attributes:
        follow: from the position on, again and again.
        afresh: without a position, once.
    """

    follow: Program
    afresh: Program


class Follower(NamedTuple):
    """Where a follower stands.

    Attributes:
        left: the commands that are left.
        known: the position that it has loaded or saved.
        run: which start of Redis that was.
        seen: up to where it has read the log.
        met: the names that its drop has met.
    """

    left: Program = _LOAD
    known: int | None = None
    run: int = 0
    seen: int = 0
    met: tuple[str, ...] = ()


class Log(NamedTuple):
    """The binary log, and how far it is followed.

    Attributes:
        events: the version that each transaction makes, ``OTHER`` if it is about another row.
        position: how many of them are followed, as Redis has it; ``None`` if it does not know.
        followers: who follows.
        snapshot: what Redis was, for it to go back to.
        may_go_back: whether that is still to come.
        run: which start of Redis this is.
    """

    events: tuple[int, ...] = ()
    position: int | None = None
    followers: tuple[Follower, ...] = ()
    snapshot: World | None = None
    may_go_back: bool = False
    run: int = 0


def write(world: World, *, is_ours: bool) -> World:
    """Have the log have a transaction."""
    log = world.log
    assert log is not None
    version = max(log.events, default=0) + 1 if is_ours else OTHER
    return world._replace(log=log._replace(events=(*log.events, version)))


def has_ended(world: World) -> bool:
    """Return whether all is followed, and everybody knows."""
    log = world.log
    return log is None or all(
        each.left[0] == "see" and each.known == log.position == len(log.events) for each in log.followers
    )


def moves(
    world: World, programs: tuple[Followed, ...], rules: Rules, *, crash: bool
) -> Iterator[tuple[str, World]]:
    """Yield what followers and their Redis may do next, but for going back."""
    log = world.log
    if log is None:
        return
    for number, follower in enumerate(log.followers):
        done = _performed(world, log, follower, programs[number], rules)
        if done is not None:
            yield f"F{number} {follower.left[0]}", _with(done[0], number, done[1])
        if follower.left[0] == "see" and follower.known != log.position and rules.looks_while_idle:
            yield f"F{number} finds another position", _with(world, number, Follower())
        if crash and follower != Follower():
            yield f"F{number} is killed, another takes over", _with(world, number, Follower())
    if log.may_go_back and log.snapshot is None:
        kept = world._replace(log=log._replace(followers=(), events=()))
        yield "Redis makes a snapshot", world._replace(log=log._replace(snapshot=kept))


def restored(world: World, rules: Rules) -> World | None:
    """Return the world after Redis has gone back, and the promise with it; ``None`` if it cannot."""
    log = world.log
    if log is None or log.snapshot is None or log.snapshot.log is None:
        return None
    then = log.snapshot
    position = then.log.position if rules.position_in_redis else log.position  # type: ignore[union-attr]
    return then._replace(
        **{name: getattr(world, name) for name in _BESIDE_REDIS},
        promised=min(world.promised, _version(log, position or 0)),
        log=log._replace(position=position, snapshot=None, may_go_back=False, run=log.run + 1),
    )


def _performed(
    world: World, log: Log, me: Follower, program: Followed, rules: Rules
) -> tuple[World, Follower] | None:
    """Perform the next command; ``None`` if it has to wait."""
    command, left = me.left[0], me.left[1:]
    going_on = me._replace(left=left or program.follow)
    match command.split():
        case ["load"]:
            is_new = log.position is None
            return world, Follower(program.afresh if is_new else program.follow, log.position, log.run)
        case ["see"]:
            seen = len(log.events)
            if seen == me.known:
                return None
            is_ours = any(log.events[me.known or 0 : seen])
            return world, going_on._replace(seen=seen, left=left if is_ours else _SAVE)
        case ["visible"]:
            return (world, going_on) if _version(log, me.seen) <= world.committed else None
        case ["here"]:
            return world, going_on._replace(seen=_here(world, log, rules))
        case ["meet", *names]:
            found = met_of(world, names)
            skipped = 0 if found else sum(1 for _ in takewhile(is_cut, left))
            return world, going_on._replace(left=left[skipped:] or program.follow, met=found)
        case ["cut", *names]:
            return cut_off(world, {name for name in names if name in me.met}), going_on
        case ["save"]:
            return _saved(world, log, going_on, program, rules)
    raise ValueError(f"{command!r} is no command")


def _saved(world: World, log: Log, me: Follower, program: Followed, rules: Rules) -> tuple[World, Follower]:
    if (rules.compares and log.position != me.known) or (rules.compares_runs and log.run != me.run):
        return world, Follower()
    world = world._replace(
        promised=max(world.promised, _version(log, me.seen)), log=log._replace(position=me.seen)
    )
    return world, Follower(me.left, me.seen, me.run, me.seen)


def _here(world: World, log: Log, rules: Rules) -> int:
    if not rules.here_is_visible:
        return len(log.events)
    return sum(1 for _ in takewhile(lambda version: version <= world.committed, log.events))


def _version(log: Log, position: int) -> int:
    """Return the version that one has who has all up to a position."""
    return max(log.events[:position], default=0)


def _with(world: World, number: int, follower: Follower) -> World:
    log = world.log
    assert log is not None
    followers = (*log.followers[:number], follower, *log.followers[number + 1 :])
    return world._replace(log=log._replace(followers=followers))
