"""The keyword options of a client, checked once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict

from mysql_redis_cache.keys import Namespace
from mysql_redis_cache.policy import Policy, check_count

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import timedelta

    from mysql_redis_cache.values import Dates

__all__ = ["ClientOptions", "Options", "ServerOptions"]


# The keyword options of MRCClient and MRCServer stand here a second time, for editors and type checkers: the
# asynchronous faces take them beside options of their own, and a signature cannot be borrowed in part.


class ServerOptions(TypedDict, total=False):
    """The keyword options of ``MRCServer``."""

    namespace: str | None
    names: Collection[str] | None
    index: bool
    wait_replicas: int


class ClientOptions(ServerOptions, total=False):
    """The keyword options of ``MRCClient``."""

    dates: Dates
    stale_while_revalidate: float | timedelta
    stale_if_error: float | timedelta
    early_refresh: float
    wait_timeout: float
    max_entry_bytes: int | None


@dataclass(frozen=True, slots=True)
class Options:
    """The keyword options of a client, described there."""

    namespace: Namespace = field(default_factory=Namespace)
    index: bool = False
    dates: Dates = "iso"
    max_entry_bytes: int | None = None
    wait_replicas: int = 0
    policy: Policy = field(default_factory=Policy)

    def __post_init__(self) -> None:
        if self.dates not in {"iso", "npm"}:
            raise ValueError(f"dates must be 'iso' or 'npm', not {self.dates!r}")
        check_count("wait_replicas", self.wait_replicas)
        limit = self.max_entry_bytes
        if limit is None:
            return
        if isinstance(limit, bool) or not isinstance(limit, int):
            raise TypeError(f"max_entry_bytes must be an int or None, not {type(limit).__name__}")
        if limit < 0:
            raise ValueError("max_entry_bytes must not be negative")
