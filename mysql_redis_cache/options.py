"""The keyword options of a client, checked once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any, TypedDict

from mysql_redis_cache.keys import Namespace
from mysql_redis_cache.observe import check_label
from mysql_redis_cache.policy import Policy, check_count, seconds, wait_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import timedelta, tzinfo

    from mysql_redis_cache.values import Dates

__all__ = ["ClientOptions", "Near", "Options", "ServerOptions", "name_of", "near_bounds"]


# The keyword options of MRCClient and MRCServer stand here a second time, for editors and type checkers: the
# asynchronous faces take them beside options of their own, and a signature cannot be borrowed in part.


class ServerOptions(TypedDict, total=False):
    """The keyword options of ``MRCServer``."""

    name: str | None
    namespace: str | None
    names: Collection[str] | None
    index: bool
    wait_replicas: int
    on_event: Callable[[Any], object] | None


class ClientOptions(ServerOptions, total=False):
    """The keyword options of ``MRCClient``."""

    dates: Dates
    timezone: str | tzinfo | None
    stale_while_revalidate: float | timedelta
    stale_if_error: float | timedelta
    early_refresh: float
    wait_timeout: float
    max_entry_bytes: int | None
    near: bool | Near
    log_stats: float | timedelta | None
    share_stats: bool
    verify: float


SHORTEST_NEAR = 0.05
"""Seconds below which a near entry's life and the heartbeat would cost more than they save."""

LONGEST_STRICT = 5.0
"""Seconds of the heartbeat beyond which drops would wait too long for a process that was killed."""


@dataclass(frozen=True, slots=True)
class Near:
    """The bounds of a near cache: entries' bytes in this process, beside those in Redis.

    One near cache serves all clients of this process that name the same Redis and the same bounds.

    Args:
        max_bytes: how much memory its entries may take; one of more than an eighth of it is not kept.
        ttl: seconds (or timedelta) after which an entry is read from Redis again, at the latest.
        max_entries: how many entries it may hold.
        heartbeat: seconds (or timedelta) after which it serves nothing more unless Redis has confirmed that
            no push is missing.
        strict: have drops of all processes wait until this one serves nothing older, for one heartbeat at
            most, which is then at most 5 s. Not on a cluster.

    Raises:
        TypeError: one is no number, or *strict* no bool.
        ValueError: one is not positive, or a time is below 50 ms or above 23 days, or *heartbeat* too long
            for *strict*.
    """

    max_bytes: int = 16 << 20
    ttl: float | timedelta = 1.0
    max_entries: int = 20_000
    heartbeat: float | timedelta = 1.0
    strict: bool = False

    def __post_init__(self) -> None:
        for name in ("max_bytes", "max_entries"):
            if not check_count(name, getattr(self, name)):
                raise ValueError(f"{name} must be positive; near=False turns the near cache off")
        for name in ("ttl", "heartbeat"):
            value = wait_seconds(name, getattr(self, name), smallest=SHORTEST_NEAR)
            object.__setattr__(self, name, value)
        if not isinstance(self.strict, bool):
            raise TypeError(f"strict must be a bool, not {type(self.strict).__name__}")
        if self.strict and seconds("heartbeat", self.heartbeat) > LONGEST_STRICT:
            raise ValueError(
                f"strict=True takes a heartbeat of {LONGEST_STRICT:g} s at most, not {self.heartbeat}: drops "
                "wait that long for a process that was killed"
            )


def near_bounds(near: object) -> Near | None:
    """Return the bounds that a client's ``near`` asks for; ``None`` for no near cache.

    Raises:
        TypeError: it is neither a bool nor a ``Near``.
    """
    if isinstance(near, bool):
        return Near() if near else None
    if not isinstance(near, Near):
        raise TypeError(f"near must be a bool or a Near, not {type(near).__name__}")
    return near


def name_of(name: object, namespace: str) -> str:
    """Return what a client or server is called: its *name*, or else its namespace, or else ``default``.

    Raises:
        TypeError, ValueError: as of ``check_label``.
    """
    if name is None:
        return namespace or "default"
    return check_label("name", name)


@dataclass(frozen=True, slots=True)
class Options:
    """The keyword options of a client, described there."""

    namespace: Namespace = field(default_factory=Namespace)
    index: bool = False
    dates: Dates = "iso"
    zone: tzinfo | None = None  # that of DATETIME and TIMESTAMP columns, if it is known
    max_entry_bytes: int | None = None
    wait_replicas: int = 0
    policy: Policy = field(default_factory=Policy)
    near: Near | None = None
    name: str = "default"
    log_stats: float | None = None  # seconds between two lines
    share_stats: bool = False
    verify: float = 0.0  # the share of hits
    on_event: Callable[[Any], object] | None = None

    def __post_init__(self) -> None:
        if self.dates not in {"iso", "npm"}:
            raise ValueError(f"dates must be 'iso' or 'npm', not {self.dates!r}")
        if self.dates == "npm" and self.zone is not None and self.zone is not UTC:
            raise ValueError("dates='npm' writes what a Node process at UTC does, so timezone must be UTC")
        check_count("wait_replicas", self.wait_replicas)
        if self.log_stats is not None and self.log_stats < 1:
            raise ValueError(f"log_stats must be at least 1 second, not {self.log_stats:g}")
        if isinstance(self.verify, bool) or not isinstance(self.verify, (int, float)):
            raise TypeError(f"verify must be a number, not {type(self.verify).__name__}")
        if not 0 <= self.verify <= 1:
            raise ValueError(f"verify must be a share, from 0 to 1, not {self.verify:g}")
        if not isinstance(self.share_stats, bool):
            raise TypeError(f"share_stats must be a bool, not {type(self.share_stats).__name__}")
        limit = self.max_entry_bytes
        if limit is None:
            return
        if isinstance(limit, bool) or not isinstance(limit, int):
            raise TypeError(f"max_entry_bytes must be an int or None, not {type(limit).__name__}")
        if limit < 0:
            raise ValueError("max_entry_bytes must not be negative")
