"""Entries and leases in Redis: what each step of a read does there, one round trip a step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from mysql_redis_cache import keys

from .cluster import Cluster
from .failures import Refused
from .index import tracks
from .scripts import ACQUIRE, DISCARD, FILL, PUT, RELEASE, RENEW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .config import Link
    from .exchange import Exchange

__all__ = ["Entries", "Found", "Name", "answers", "questions"]


class Found(NamedTuple):
    """The bytes of an entry and the seconds it has left (infinite where nobody asked, or it has no end)."""

    payload: bytes
    left: float


class Name(NamedTuple):
    """What a cached answer is called in Redis.

    Attributes:
        key: the entry.
        lease: its lease.
        tracks: what a script registers the entry in, as ``index.tracks`` says; nothing in a cluster.
        life: milliseconds from any moment of its lease for which the entry may live.
    """

    key: bytes
    lease: bytes
    tracks: tuple[bytes, ...]
    life: int

    @property
    def horizon(self) -> int:
        """Milliseconds for which it is registered: long enough for most loads, which then need no more."""
        return self.life + self.life // 64


class Entries:
    """The entries and leases behind a link.

    Args:
        link: the way to Redis.
        lease_seconds: life of a lease that nobody renews.
    """

    def __init__(self, link: Link, lease_seconds: float) -> None:
        self._link = link
        self._lease_ms = max(1, round(lease_seconds * 1000))

    def get(self, key: bytes) -> bytes | None:
        """Return the bytes of an entry: one command."""
        try:
            return self._link.call(b"GET", key)  # type: ignore[no-any-return]  # redis-py's replies are untyped
        except Refused as error:
            _check_type_error(error)
            return None

    def get_aged(self, key: bytes) -> Found | None:
        """Return an entry and the time it has left."""
        return self.get_many_aged([key])[0]

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the bytes of several entries in one round trip (on a cluster, one per slot)."""
        if len(keys) == 1:
            return [self.get(keys[0])]
        return self._link.get_many(keys)

    def exchange(self) -> Exchange | None:
        """Lend an event loop a connection, to ask ``questions`` over; ``None`` if a thread has to do that."""
        return None if isinstance(self._link, Cluster) else self._link.exchange()

    def get_many_aged(self, keys: Sequence[bytes]) -> list[Found | None]:
        """Return several entries and the time each has left, asked for first so as not to be too long."""
        return _all_aged(self._link.calls(questions(keys, aged=True)))

    def state(self, name: Name) -> tuple[tuple[int, float | None] | None, tuple[bytes, float] | None]:
        """Return what is there of an entry, in one round trip and without its value.

        Returns:
            its bytes and the seconds it has left (``None``: it has no end), or ``None`` if it is not there;
            the token in its lease and the seconds that this has left, ``None`` if nobody holds it.
        """
        asked = [(b"STRLEN", name.key), (b"PTTL", name.key), (b"PTTL", name.lease), (b"GET", name.lease)]
        size, left, lease, token = [_or_none(reply) for reply in self._link.calls(asked)]
        entry = (
            None if not size or left == _ABSENT else (size, None if left is None or left < 0 else left / 1000)
        )
        return entry, None if token is None or lease is None or lease < 0 else (token, lease / 1000)

    def acquire(self, name: Name, token: bytes, newer_than: float) -> bool | Found:
        """Take the lease, unless somebody holds it or an entry with more than *newer_than* seconds is there.

        Returns:
            whether *token* holds the lease now, or the entry.
        """
        return _claim(self._link.script(ACQUIRE, *self._acquire(name, token, newer_than)))

    def acquire_many(self, wanted: Sequence[tuple[Name, bytes, float]]) -> list[bool | Found | Refused]:
        """Do what ``acquire`` does for several entries, given as its arguments, in one round trip.

        A refusal stands in its place: of a server that is just full, the leases before it were taken.
        """
        runs = [(ACQUIRE, keys_, arguments) for keys_, *arguments in (self._acquire(*one) for one in wanted)]
        return [reply if isinstance(reply, Refused) else _claim(reply) for reply in self._link.scripts(runs)]

    def fill(self, name: Name, token: bytes, payload: bytes, lifetime: int) -> bool:
        """Store the entry for *lifetime* seconds if *token* still holds the lease, which ends with it."""
        return bool(self._link.script(FILL, (name.key, name.lease), token, payload, lifetime))

    def fill_many(self, fills: Sequence[tuple[Name, bytes, bytes, int]]) -> list[bool | Refused]:
        """Do what ``fill`` does for several entries in one round trip; a refusal stands in its place."""
        runs = [(FILL, (name.key, name.lease), arguments) for name, *arguments in fills]
        return [reply if isinstance(reply, Refused) else bool(reply) for reply in self._link.scripts(runs)]

    def release(self, name: Name, token: bytes) -> bool:
        """Give the lease back if *token* still holds it; return whether it did."""
        return bool(self._link.script(RELEASE, (name.key, name.lease), token))

    def discard(self, name: Name, token: bytes) -> bool:
        """Delete the entry, and give the lease back as ``release`` does."""
        return bool(self._link.script(DISCARD, (name.key, name.lease), token))

    def end_many(self, ended: Sequence[tuple[Name, bytes, bool]]) -> None:
        """Release or, if the third says so, discard in one round trip."""
        self._link.scripts(
            [
                (DISCARD if outdated else RELEASE, (name.key, name.lease), (token,))
                for name, token, outdated in ended
            ]
        )

    def renew(self, name: Name, token: bytes) -> bool:
        """Prolong the lease if *token* still holds it."""
        keys_ = (name.key, name.lease, *name.tracks)
        return bool(self._link.script(RENEW, keys_, token, self._lease_ms, name.horizon, name.life))

    def put(self, name: Name, payload: bytes, lifetime: int) -> None:
        """Store the entry whoever holds its lease, and revoke that."""
        self._link.script(PUT, (name.key, name.lease, *name.tracks), payload, lifetime, name.horizon)

    def put_many(self, puts: Sequence[tuple[Name, bytes, int]]) -> list[Refused | None]:
        """Do what ``put`` does for several entries in one round trip; a refusal is returned in its place."""
        runs = [
            (PUT, (name.key, name.lease, *name.tracks), (payload, lifetime, name.horizon))
            for name, payload, lifetime in puts
        ]
        return [reply if isinstance(reply, Refused) else None for reply in self._link.scripts(runs)]

    def name(
        self, key: str, texts: Sequence[str], prefix: str, longest: float, *, indexed: bool
    ) -> Name | None:
        """Return what the entry *key* is called, or ``None`` if a cluster could not keep it with its lease.

        Args:
            key: the main key.
            texts: its pairs, ``name=text``.
            prefix: the namespace's.
            longest: seconds for which the entry may live, at most.
            indexed: whether drops look it up in an index.
        """
        raw = key.encode("utf-8")
        life = math.ceil(longest * 1000) + self._lease_ms
        if self._link.clustered:
            lease = keys.slot_safe_lease_name(raw)
            return None if lease is None else Name(raw, lease, (), life)
        return Name(raw, keys.lease_name(raw), tracks(raw, texts, prefix, indexed=indexed), life)

    def _acquire(
        self, name: Name, token: bytes, newer_than: float
    ) -> tuple[tuple[bytes, ...], bytes, int, str, int]:
        newer_ms = "inf" if math.isinf(newer_than) else str(math.ceil(newer_than * 1000))
        return (name.key, name.lease, *name.tracks), token, self._lease_ms, newer_ms, name.horizon


def questions(keys: Sequence[bytes], *, aged: bool) -> list[tuple[bytes, ...]]:
    """Return the commands that ask for entries and, if *aged*, for the time that each has left."""
    if aged:
        return [(command, key) for key in keys for command in (b"PTTL", b"GET")]
    return [(b"GET" if len(keys) == 1 else b"MGET", *keys)]


def answers(replies: Sequence[Any], count: int, *, aged: bool) -> Sequence[bytes | Found | None]:
    """Return what the replies to ``questions`` for *count* entries say.

    Raises:
        Refused: Redis answered with an error.
    """
    if aged:
        return _all_aged(replies)
    (reply,) = replies
    if isinstance(reply, Refused):
        _check_type_error(reply)
        return [None] * count
    return [reply] if count == 1 else reply


_ABSENT = -2
"""What PTTL says of a key that is not there."""


def _or_none(reply: Any) -> Any:
    if not isinstance(reply, Refused):
        return reply
    _check_type_error(reply)
    return None


def _all_aged(replies: Sequence[Any]) -> list[Found | None]:
    return [_aged(*pair) for pair in zip(replies[::2], replies[1::2], strict=True)]


def _aged(left: int | Refused, payload: bytes | Refused | None) -> Found | None:
    if isinstance(left, Refused):
        raise left
    if isinstance(payload, Refused):
        _check_type_error(payload)
        return None
    return None if payload is None else Found(payload, _left(left))


def _claim(reply: object) -> bool | Found:
    if isinstance(reply, list):
        left, payload = reply
        return Found(payload, _left(left))
    return reply == 1


def _left(milliseconds: int) -> float:
    return math.inf if milliseconds == -1 else milliseconds / 1000


def _check_type_error(error: Refused) -> None:
    """Let a key of another type pass for a missing entry, which the fill will overwrite."""
    if not error.is_wrong_type:
        raise error
