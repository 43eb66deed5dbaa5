"""What the model keeps of the roll and of its one listener, where the near cache is strict.

Beats are known by the drops that had read the roll before them, which is all that their numbers are for. Time
is in it so far: for each drop the moment comes at which a heartbeat has passed since it read the roll, and
from then on nothing is vouched for by a beat that was sent before that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .nearby import Message
    from .world import Rules, World

__all__ = ["Beat", "Roll", "answered", "hear_all", "lose", "moves", "read", "serves"]

Drops = frozenset[int]
NONE: Drops = frozenset()


class Beat(NamedTuple):
    """A beat on its way to Redis.

    Attributes:
        sent: the drops that had read the roll when it was sent; ``None`` if it vouches for nothing any more.
        known: those that had before the last one that was answered by then.
        is_first: whether it is the first over its connection, so that it strikes who was there before.
    """

    sent: Drops | None
    known: Drops
    is_first: bool


class Roll(NamedTuple):
    """The roll, and what its listener knows.

    Attributes:
        listed: whether the listener is on it.
        signed: the drops of which its sign says that they were heard of.
        since: the drops since whose reading it has signed.
        asked: a beat that has not reached Redis.
        known: the drops that had read before the last beat that was answered.
        is_new: whether no beat was sent yet over this connection.
        vouched: those that had when the beat was sent by which it serves; ``None`` if it serves nothing.
        read: the drops that have read the roll.
        over: those of them since whose reading a heartbeat has passed.
    """

    listed: bool = False
    signed: Drops = NONE
    since: Drops = NONE
    asked: Beat | None = None
    known: Drops = NONE
    is_new: bool = True
    vouched: Drops | None = None
    read: Drops = NONE
    over: Drops = NONE


def serves(world: World) -> bool:
    """Return whether what is kept is vouched for."""
    return world.roll is None or world.roll.vouched is not None


def moves(world: World, rules: Rules) -> Iterator[tuple[str, World]]:
    """Yield what beats and time may do next."""
    roll, near = world.roll, world.near
    if roll is None or near is None:
        return
    if roll.asked is None and not any(each.kind == "beat" for each in near.stream):
        beat = Beat(roll.read, roll.known, roll.is_new)
        yield "the listener beats", world._replace(roll=roll._replace(asked=beat, is_new=False))
    for drop in roll.read - roll.over:
        over = roll.over | {drop}
        passed = roll._replace(over=over)
        if rules.time_ends_vouchers and roll.vouched is not None and not over <= roll.vouched:
            passed = passed._replace(vouched=None)
        yield f"a heartbeat passes since P{drop} read the roll", world._replace(roll=passed)


def signed(roll: Roll, rules: Rules) -> Roll:
    """Have the beat that was asked for reach Redis, where it signs."""
    beat = roll.asked
    if beat is None or not rules.beats_sign:
        return roll._replace(asked=None)
    # Who waits for the name of a connection that was lost finds it struck.
    heard = roll.read if beat.is_first else beat.known
    return roll._replace(asked=None, listed=True, signed=heard, since=roll.read)


def answered(roll: Roll, message: Message) -> Roll:
    """Hear the answer to a beat."""
    roll = roll._replace(known=roll.known | message.after)
    vouches = message.sent is not None and roll.over <= message.sent
    return roll._replace(vouched=message.sent) if vouches else roll


def lose(roll: Roll) -> Roll:
    """Lose the connection; what stands on the roll stays there."""
    return roll._replace(asked=None, known=NONE, is_new=True, vouched=None)


def read(world: World, drop: int) -> World:
    """Read the roll."""
    roll = world.roll
    if roll is None or not roll.listed:
        return world
    return world._replace(roll=roll._replace(read=roll.read | {drop}))


def hear_all(world: World, drop: int, rules: Rules) -> World | None:
    """Go on if nobody is to be waited for any more; ``None`` if somebody is."""
    roll = world.roll
    if roll is None or drop not in roll.read:
        return world
    if roll.listed and drop not in roll.signed:
        if drop not in roll.over:
            return None
        is_struck = drop not in roll.since or rules.strikes_the_living
        roll = roll._replace(listed=not is_struck)
    return _without(world, roll, drop)


def _without(world: World, roll: Roll, drop: int) -> World:
    """Forget a drop that waits no more: the fewer states are different. What it has made void stays so."""

    def left(drops: Drops | None) -> Drops | None:
        return None if drops is None or (drop in roll.over and drop not in drops) else drops - {drop}

    near: Any = world.near
    stream = tuple(
        [
            each._replace(after=each.after - {drop}, sent=left(each.sent)) if each.kind == "beat" else each
            for each in near.stream
        ]
    )
    asked = roll.asked and roll.asked._replace(sent=left(roll.asked.sent), known=roll.asked.known - {drop})
    without = Roll(
        roll.listed,
        roll.signed - {drop},
        roll.since - {drop},
        asked,
        roll.known - {drop},
        roll.is_new,
        None if roll.vouched is None else roll.vouched - {drop},
        roll.read - {drop},
        roll.over - {drop},
    )
    return world._replace(roll=without, near=near._replace(stream=stream))
