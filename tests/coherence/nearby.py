"""What the model keeps of a near cache of one process: what is kept, what was asked for, what is on its way.

Replies and pushes come over one connection, in the order in which Redis did what they tell of. This is as
much of ``near/feed.py`` as the order matters to; its moments and heartbeats have tests of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from . import roll

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .world import Row, Rules, World

__all__ = ["Near", "beat", "changed", "forget", "has_heard", "moves"]

# So many messages on their way that the listener says nothing more.
MOST = 3


class Message(NamedTuple):
    """One on its way to the listener.

    Attributes:
        kind: reply, push or beat.
        row: what the reply has of the entry.
        counts: whether the mark of the fetch that it answers is still there.
        drop: who waits for the beat.
        after: the drops that had read the roll when Redis answered the beat.
        sent: those that had when it was sent; ``None`` if it vouches for nothing any more.
    """

    kind: str
    row: Row | None = None
    counts: bool = False
    drop: int = -1
    after: frozenset[int] = frozenset()
    sent: frozenset[int] | None = frozenset()


class Near(NamedTuple):
    """A near cache and its listener.

    Attributes:
        kept: the entry.
        asked: a fetch that has not reached Redis, and whether its mark is still there.
        tracked: whether Redis pushes the next change.
        stream: what is on its way back.
    """

    kept: Row | None = None
    asked: bool | None = None
    tracked: bool = False
    stream: tuple[Message, ...] = ()


def moves(world: World, rules: Rules) -> Iterator[tuple[str, World]]:
    """Yield what the listener and its connection may do next."""
    near = world.near
    if near is None:
        return
    awaits = near.asked is not None or any(each.counts for each in near.stream)
    if not awaits and len(near.stream) < (MOST if world.roll is None else MOST - 1):
        yield "the listener asks", world._replace(near=near._replace(asked=True))
    if near.asked is not None:
        row = world.cell.row if world.cell is not None else None
        stream = (*near.stream, Message("reply", row, near.asked))
        answered = near._replace(asked=None, tracked=True, stream=stream)
        yield "Redis answers the listener", world._replace(near=answered)
    if world.roll is not None and world.roll.asked is not None:
        beat = Message("beat", after=world.roll.read, sent=world.roll.asked.sent)
        answered = near._replace(stream=(*near.stream, beat))
        yield "Redis answers a beat", world._replace(near=answered, roll=roll.signed(world.roll, rules))
    yield from roll.moves(world, rules)
    for place in range(len(near.stream) if not rules.in_order else min(1, len(near.stream))):
        yield _heard(world, near, place)
    if near.kept is not None:
        yield "what is kept ends", world._replace(near=near._replace(kept=None))
    if near != Near():
        left = world.roll and roll.lose(world.roll)
        yield "the listener is lost", world._replace(near=Near(), roll=left)


def changed(before: World, after: World) -> World:
    """Push that the entry has changed, if it has."""
    near = after.near
    if near is None or not near.tracked or after.cell is before.cell:
        return after
    return after._replace(near=near._replace(tracked=False, stream=(*near.stream, Message("push"))))


def forget(world: World, *, marks_too: bool = True) -> World:
    """Keep nothing of the entry that Redis had before now."""
    near = world.near
    if near is None:
        return world
    near = near._replace(kept=None)
    return world._replace(near=_without_marks(near) if marks_too else near)


def beat(world: World, drop: int) -> World:
    """Have the listener ask for a sign of life."""
    near = world.near
    if near is None:
        return world
    return world._replace(near=near._replace(stream=(*near.stream, Message("beat", drop=drop))))


def has_heard(world: World, drop: int) -> bool:
    """Return whether that has come, or never will."""
    return world.near is None or not any(each.drop == drop for each in world.near.stream)


def _heard(world: World, near: Near, place: int) -> tuple[str, World]:
    message = near.stream[place]
    near = near._replace(stream=(*near.stream[:place], *near.stream[place + 1 :]))
    if message.kind == "push":
        near = _without_marks(near._replace(kept=None))
    elif message.counts:
        near = near._replace(kept=message.row)
    elif message.kind == "beat" and world.roll is not None:
        world = world._replace(roll=roll.answered(world.roll, message))
    return f"the listener hears a {message.kind}", world._replace(near=near)


def _without_marks(near: Near) -> Near:
    stream = tuple([message._replace(counts=False) for message in near.stream])
    return near._replace(stream=stream, asked=None if near.asked is None else False)
