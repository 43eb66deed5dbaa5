"""System checks: settings that are of no use, and those under which there is little use in a cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core import checks
from django.db import connections

from .clients import new_client
from .configuring import BadSetting, aliases, configuration
from .tables import TABLE_TAG

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_settings", "check_use"]

APP = "mysql_redis_cache"
BAD_OPTION = 5


def check_settings(**_: Any) -> list[checks.CheckMessage]:
    """Say what is wrong with the setting ``MRC``; no server is asked."""
    return [checks.Error(text, id=f"{APP}.E{number:03}") for number, text in _faults()]


def check_use(**_: Any) -> list[checks.CheckMessage]:
    """Say what costs more than it need."""
    return [] if list(_faults()) else [warning for alias in aliases() for warning in _warnings(alias)]


def _faults() -> Iterator[tuple[int, str]]:
    try:
        found = aliases()
    except BadSetting as error:
        yield error.number, str(error)
        return
    for alias in found:
        try:
            with new_client(alias) as client:
                if configuration(alias).table_tags:
                    client.get_key_from_query("tags", tags={TABLE_TAG: "any"})  # is it among the names?
        except BadSetting as error:
            yield error.number, str(error)
        except (TypeError, ValueError) as error:
            yield BAD_OPTION, f"MRC[{alias!r}]: {error}"


def _warnings(alias: str) -> Iterator[checks.CheckMessage]:
    said = configuration(alias)
    if connections[said.database].settings_dict["ATOMIC_REQUESTS"]:
        yield checks.Warning(
            f"MRC[{alias!r}] reads inside the transaction of each request, and so past the cache",
            hint="Turn ATOMIC_REQUESTS off, or put @transaction.non_atomic_requests above views that read.",
            id=f"{APP}.W001",
        )
    if said.table_tags and not said.options["index"]:
        yield checks.Warning(
            f"MRC[{alias!r}] has TABLE_TAGS without INDEX: each write walks over all keys of Redis",
            hint="Set INDEX to True, for all clients and servers of the namespace.",
            id=f"{APP}.W002",
        )
