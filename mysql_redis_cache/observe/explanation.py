"""What ``explain`` says of a cached call, for people and for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Explanation", "Holder", "Room"]


@dataclass(frozen=True, slots=True)
class Room:
    """An entry where it is kept. How old it is is not kept: its ttl is spread by a tenth, and not stored.

    Attributes:
        bytes: its JSON.
        left: seconds until it ends there, windows and all; ``None`` if it does not end by itself.
        is_stale: whether its ttl is over, so that it is only served as the windows allow.
    """

    bytes: int
    left: float | None
    is_stale: bool = False


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that loads an entry.

    Attributes:
        host: the name of its machine.
        pid: its number there.
        is_this: whether it is the one that asks.
    """

    host: str
    pid: int
    is_this: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a call is cached, and what is there now.

    Attributes:
        query: the query, or the signature of ``with_cache``.
        sha1: the SHA-1 of its text.
        key: under which it is cached.
        pairs: names and values that a drop finds it by, as they stand in the key.
        folded: what went into the digest besides the query, and why; empty if nothing did.
        refusal: why ``query_with_cache`` does not take the statement; empty if it does.
        windows: seconds of ``stale_while_revalidate`` and ``stale_if_error``, and ``early_refresh``; empty if
            those of the clients are not known, as on the command line.
        drops: the calls that drop it.
        redis_problem: why Redis could not be asked; empty if it answered.
        redis: the entry in Redis, if it is there.
        near: the entry in this process, if it is there.
        lease_left: seconds until the lease of a load under way ends unless it is renewed; ``None`` if nobody
            loads it.
        holder: who holds that lease; ``None`` if nobody does, or it does not say.
    """

    query: str
    sha1: str
    key: str
    pairs: tuple[tuple[str, str], ...]
    folded: str
    refusal: str
    windows: dict[str, float]
    drops: tuple[str, ...]
    redis_problem: str = ""
    redis: Room | None = None
    near: Room | None = None
    lease_left: float | None = None
    holder: Holder | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        return {**asdict(self), "pairs": [list(pair) for pair in self.pairs], "drops": list(self.drops)}

    def __str__(self) -> str:
        lines = [
            ("key", self.key),
            ("pairs", ", ".join(f"{name}={text}" for name, text in self.pairs) or "none"),
            ("query", f"SHA-1 {self.sha1}"),
            ("digest", f"the query, and {self.folded}" if self.folded else "the query alone"),
            ("cacheable", f"no: {self.refusal}" if self.refusal else "yes"),
            ("windows", self._windows),
            ("drops", "\n".join(self.drops)),
            ("in Redis", self.redis_problem or _said(self.redis)),
            ("in process", _said(self.near)),
            ("load", self._load),
        ]
        return "\n".join(f"{title:<12}{text.replace(chr(10), _INDENT)}" for title, text in lines)

    @property
    def _windows(self) -> str:
        if not self.windows:
            return "those of the clients, which are not known here"
        return ", ".join(f"{name} {value:g}" for name, value in self.windows.items() if value) or "none"

    @property
    def _load(self) -> str:
        if self.lease_left is None:
            return "nobody loads it"
        return f"{self._holder} loads it; the lease ends in {self.lease_left:.1f} s unless it is renewed"

    @property
    def _holder(self) -> str:
        if self.holder is None:
            return "somebody"
        this = ", this one," if self.holder.is_this else ""
        return f"process {self.holder.pid} on {self.holder.host}{this}"


_INDENT = "\n" + 12 * " "


def _said(room: Room | None) -> str:
    if room is None:
        return "no"
    left = "without an end" if room.left is None else f"{room.left:.1f} s left"
    past = ", past its ttl: served as the windows allow" if room.is_stale else ""
    return f"yes: {room.bytes:,} bytes, {left}{past}"
