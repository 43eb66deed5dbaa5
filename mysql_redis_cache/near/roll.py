"""The roll of listeners whose entries drops of all processes wait for: what stands in Redis. Pure.

::

    mrc:near       a hash: each listener's sign, by a name of its own
    mrc:near:call  written when somebody waits; whoever is on the roll has it tracked, and signs again at once

Each beat of a listener signs before it asks for a sign of life: GET call, HSET roll, HELLO. A *sign* says how
many beats there were with this one, up to which of them all is known, and for how long one vouches. A drop
has deleted, reads the roll, and finds a listener at its n-th beat. The next one comes after the deletion,
whose push thus stands before its answer; so the drop has been heard of as soon as all is known up to it.

Nobody is waited for longer than his heartbeat, counted from when the roll was read: what was vouched for
before is over then, and what is vouched for later is by a beat whose answer comes behind the push. Who has
not signed in all that time is taken off, so that the next drop does not wait for a process that was killed;
if it lives after all it signs before it serves.

Who is not on the roll when it is read signs it later, before the answer by which it serves anything.
"""

from __future__ import annotations

from typing import NamedTuple, Self

__all__ = ["CALL", "ROLL", "Sign"]

ROLL = b"mrc:near"
CALL = b"mrc:near:call"


class Sign(NamedTuple):
    """What a listener has on the roll.

    Attributes:
        beats: how many there were, with the one that it stands before.
        known: up to which of them all is known.
        milliseconds: the heartbeat.
    """

    beats: int
    known: int
    milliseconds: int

    @classmethod
    def of(cls, text: bytes) -> Self | None:
        """Read one; ``None`` if it is none. Later versions may say more in theirs."""
        try:
            beats, known, milliseconds = map(int, text.split(b" ")[:3])
        except ValueError:
            return None
        return cls(beats, known, milliseconds)

    def packed(self) -> bytes:
        """Return it as it stands in Redis."""
        return b"%d %d %d" % self
