"""Which pairs can be read in a name, by the words of the rule: slow, plain, and not the library's code.

An entry ends in ``_`` and 40 hex digits. A pair stands at the start (behind the namespace), or behind a ``_``
with a pair before it; its value ends where the digest or another pair begins. A list of numbers counts under
each of its elements, too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mysql_redis_cache.keys import Whole
from mysql_redis_cache.keys.jstext import NUMBER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mysql_redis_cache.keys import Sought

__all__ = ["is_any_entry", "owner", "readings"]

HEX = set(b"0123456789abcdef")
NUMBERS = re.compile(f"{NUMBER}(,{NUMBER})+")


def readings(name: bytes, prefix: str = "") -> set[tuple[str, str]]:
    """The pairs that can be read in a name: none if it has not an entry's shape."""
    visible, mark, digest = name[:-41], name[-41:-40], name[-40:]
    start_of_all = prefix.encode()
    if not name.startswith(start_of_all) or mark != b"_" or len(digest) != 40 or not set(digest) <= HEX:
        return set()
    visible = visible[len(start_of_all) :]
    found: set[tuple[str, str]] = set()
    behind = [at + 1 for at in range(len(visible)) if visible[at : at + 1] == b"_" and b"=" in visible[:at]]
    for start in [0, *behind]:
        label, equals, rest = visible[start:].partition(b"=")
        ends = [at for at in range(len(rest)) if rest[at : at + 1] == b"_" and b"=" in rest[at + 1 :]]
        for end in [*ends, len(rest)] if equals else []:
            found |= {(_text(label), each) for each in _values(_text(rest[:end]))}
    return found


def _values(text: str) -> list[str]:
    return [text, *text.split(",")] if NUMBERS.fullmatch(text) else [text]


def _text(part: bytes) -> str:
    return part.decode("utf-8", "surrogateescape")


def is_any_entry(name: bytes, prefix: str) -> bool:
    """Whether a name has an entry's shape: a digest, alone or behind pairs."""
    start, digest = prefix.encode(), name[-40:]
    if not name.startswith(start) or len(name) < len(start) + 40 or not set(digest) <= HEX:
        return False
    visible = name[len(start) : -40]
    return visible == b"" or (visible.endswith(b"_") and b"=" in visible)


def owner(name: bytes, drops: Sequence[Sequence[Sought]]) -> int | None:
    """The first of some drops that deletes the entry *name*."""
    for place, drop in enumerate(drops):
        for matcher in drop:
            if isinstance(matcher, Whole):
                if is_any_entry(name, matcher.prefix) and name[-40:].startswith(matcher.head.encode()):
                    return place
                continue
            there = readings(name, matcher.prefix)
            combine = all if matcher.require_all else any
            if combine([pair in there for pair in matcher.pairs]):
                return place
    return None
