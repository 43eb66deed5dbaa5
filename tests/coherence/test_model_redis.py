"""The model's Redis against a real one: any sequence of commands gives the same outcomes and leaves the same.

A tick of the model is a thousand seconds; time passes by shortening what Redis keeps.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache.readthrough.steps import Claim, Entry
from mysql_redis_cache.store import index, link
from mysql_redis_cache.store.entries import Entries, Found, Name

from . import world as model
from .world import HORIZON, LEASE, LIFE, NEEDED, Cell, Lease, Row, World

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

pytestmark = pytest.mark.real

TICK = 1000
KEY = "UserId=1_" + "0" * 40
OTHER_KEY = "UserId=1_" + "1" * 40
OWNERS = 3


class Spared(Name):
    """A name that is registered for a tick more than it has to be, instead of a 64th."""

    @property
    def horizon(self) -> int:
        return HORIZON * TICK * 1000 + TICK * 100  # so that the moments of a test do not count


class RealWorld:
    """The commands of ``world.py``, performed by ``Entries`` on a real Redis."""

    def __init__(self, url: str, raw: redis.Redis) -> None:
        self.link = link(url)
        self.entries = Entries(self.link, LEASE * TICK)
        self._raw = raw
        self._name, self._other = self._named(KEY), self._named(OTHER_KEY)

    def _named(self, key: str) -> Name:
        name = self.entries.name(key, ["UserId=1"], "", LIFE * TICK, indexed=True)
        assert name is not None
        assert name.life == NEEDED * TICK * 1000
        return Spared(*name)

    def acquire(self, owner: int, newer_than: float) -> object:
        won = self.entries.acquire(self._name, _token(owner), newer_than * TICK)
        if isinstance(won, Found):
            return Entry(Row(int(won.payload)), round(won.left / TICK))
        return Claim.WON if won else Claim.LOST

    def fill(self, owner: int, row: Row) -> bool:
        return self.entries.fill(self._name, _token(owner), b"%d" % row.version, LIFE * TICK)

    def release(self, owner: int) -> bool:
        return self.entries.release(self._name, _token(owner))

    def discard(self, owner: int) -> bool:
        return self.entries.discard(self._name, _token(owner))

    def renew(self, owner: int) -> None:
        self.entries.renew(self._name, _token(owner))

    def put(self, row: Row) -> None:
        self.entries.put(self._name, b"%d" % row.version, LIFE * TICK)

    def prune(self) -> None:
        """Register another entry under the same pair, which is what prunes."""
        self.entries.put(self._other, b"0", LIFE * TICK)

    def evict(self) -> None:
        self._raw.unlink(self._name.tracks[2])

    def cut(self, name: str) -> None:
        self._raw.unlink(self._name.key if name == "cell" else self._name.lease)

    def tick(self) -> None:
        for key in self._raw.scan_iter():
            if (left := self._raw.pttl(key)) > 0:
                self._raw.pexpire(key, left - TICK * 1000)  # below 1, it ends at once
            if self._raw.type(key) == b"zset":
                for member, _ in self._raw.zscan_iter(key):
                    self._raw.zincrby(key, -TICK * 1000, member)

    def world(self) -> World:
        """Read back what is there, in ticks."""
        key, lease = self._name.key, self._name.lease
        state, registry, set_ = self._name.tracks
        payload, token = self._raw.get(key), self._raw.get(lease)
        known = self._left(registry, index.pair_digest("", "UserId=1"))
        return World(
            cell=None if payload is None else Cell(Row(int(payload)), _ticks(self._raw.pttl(key))),
            lease=None if token is None else Lease(int(token), _ticks(self._raw.pttl(lease))),
            listed=self._left(set_, key),
            known=known,
            there=known is not None and bool(self._raw.exists(set_)),
            outside=self._left(state, b"unindexed"),
            begun=self._raw.zscore(state, "over") and 0,
            unknown=self._raw.zscore(state, "unknown") is not None,
        )

    def _left(self, key: bytes, member: bytes) -> int | None:
        """Return the ticks left to a moment; ``None`` if it is over."""
        score = self._raw.zscore(key, member)
        return None if score is None else _ticks(score - self._raw.time()[0] * 1000) or None


def _token(owner: int) -> bytes:
    return b"%d" % owner


def _ticks(milliseconds: float) -> int:
    return max(0, round(milliseconds / 1000 / TICK))


@pytest.fixture(name="real")
def _real(redis_url: str, redis_client: redis.Redis) -> Iterator[RealWorld]:
    real = RealWorld(redis_url, redis_client)
    yield real
    real.link.close()


def both(real: RealWorld, world: World, command: str, owner: int, row: Row) -> tuple[World, object, object]:
    """Perform one command in the model and for real; return the model's world and the two outcomes."""
    outcome: object = None
    expected: object = None
    match command.split():
        case ["acquire", newer]:
            world, expected = model.acquire(world, owner, float(newer))
            outcome = real.acquire(owner, float(newer))
        case ["fill"]:
            world, expected = model.fill(world, owner, row)
            outcome = real.fill(owner, row)
        case ["release" | "discard" as name]:
            world, expected = getattr(model, name)(world, owner)
            outcome = getattr(real, name)(owner)
        case ["cut", name]:
            gone: dict[str, Any] = {name: None}
            world = world._replace(**gone)
            real.cut(name)
        case [name]:
            wanted: dict[str, list[Any]] = {"renew": [owner], "put": [row]}
            arguments = wanted.get(name, [])
            world = getattr(model, name)(world, *arguments)
            getattr(real, name)(*arguments)
    return world, expected, outcome


COMMANDS = [
    *("acquire -1", "acquire -1", "acquire 0.5", "acquire 1.5", "acquire inf", "fill", "fill", "fill"),
    *("release", "discard", "renew", "put", "cut cell", "cut lease", "prune", "tick", "tick", "evict"),
]


@pytest.mark.parametrize("seed", range(20))
def test_the_model_s_redis_does_what_redis_does(real: RealWorld, seed: int) -> None:
    """After every command of a random sequence, both agree on its outcome and on all that is left."""
    chance, world, story = random.Random(seed), World(), []
    for _ in range(120):
        command, owner, row = chance.choice(COMMANDS), chance.randrange(OWNERS), Row(chance.randrange(3))
        story.append((command, owner))
        world, expected, outcome = both(real, world, command, owner, row)

        assert outcome == expected, story[-12:]
        begun = None if world.begun is None else 0  # since when is not kept
        assert real.world() == world._replace(begun=begun), story[-12:]
