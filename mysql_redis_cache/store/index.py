"""The index: which sets an entry is registered in, so that a drop by index finds it. Names only; no I/O.

::

    mrc:idx:<namespace>:        how far the index of a namespace can be trusted
    mrc:idx:<namespace>:pairs   the registry: its sets, each with the moment until which it must be there
    mrc:idx:<digest>            a set: the entries that carry a pair, each with the last moment of its life;
                                or a string: a key that is too long to stand in a set itself

The sets' scores are milliseconds of Redis's own clock. The scripts that write them are in
``scripts``; what a drop makes of them is in ``drops.lookup``.
"""

from __future__ import annotations

from hashlib import sha1
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "LONGEST_KEY",
    "LONGEST_MEMBER",
    "MOST_PAIRS",
    "ROOT",
    "digest_of",
    "is_digest",
    "pair_digest",
    "registry_name",
    "set_name",
    "state_name",
    "tracks",
]

ROOT = b"mrc:idx"

MOST_PAIRS = 250
"""Pairs up to which an entry is registered: a set each, written while nobody else is served."""

LONGEST_KEY = 1 << 16
"""Bytes of a key up to which it is registered."""

LONGEST_MEMBER = 64
"""Bytes of a key up to which it stands in each set itself: more, and Redis packs small sets no longer.

Of a longer one the sets hold the digest, and a string that is named by it holds the key.
"""

_DIGITS = 20


def digest_of(name: bytes) -> bytes:
    """Return the digest of a key; where two share one, the second is in no index (see ``scripts``)."""
    return sha1(name).hexdigest()[:_DIGITS].encode()


def pair_digest(prefix: str, text: str) -> bytes:
    """Return the digest of the pair *text* (``name=text``), which is free of what npm's drops look for.

    Where two pairs share one, a drop deletes the entries of both; there are 2^80.
    """
    return digest_of((prefix + text).encode("utf-8", "surrogatepass"))


def is_digest(member: bytes) -> bool:
    """Tell whether a member stands for a key; the key of an entry that carries a pair is longer."""
    return len(member) == _DIGITS


def set_name(digest: bytes) -> bytes:
    """Return the name of the set of a pair, or of the string that holds a key."""
    return b"%b:%b" % (ROOT, digest)


def state_name(prefix: str) -> bytes:
    """Return the name under which a namespace keeps how far its index can be trusted."""
    return b"%b:%b" % (ROOT, prefix.encode()) if prefix else ROOT


def registry_name(prefix: str) -> bytes:
    """Return the name of the registry of a namespace."""
    return b"%b:%bpairs" % (ROOT, prefix.encode())


def tracks(key: bytes, texts: Sequence[str], prefix: str, *, indexed: bool) -> tuple[bytes, ...]:
    """Return what an entry is registered in, as ``scripts`` expects it.

    Args:
        key: the main key.
        texts: its pairs, ``name=text``.
        prefix: the namespace's.
        indexed: whether the client keeps an index.

    Returns:
        nothing without pairs, since no drop looks for it; the state alone, where a mark is left, of an entry
        that is in no index; else state, registry, and the sets.
    """
    if not texts:
        return ()
    if not indexed or len(texts) > MOST_PAIRS or len(key) > LONGEST_KEY:
        return (state_name(prefix),)
    digests = [pair_digest(prefix, text) for text in texts]
    if len(key) > LONGEST_MEMBER:
        digests.insert(0, digest_of(key))
    return (state_name(prefix), registry_name(prefix), *map(set_name, digests))
