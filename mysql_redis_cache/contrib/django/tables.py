"""Tags of tables, dropped for whatever Django writes: every statement passes through here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mysql_redis_cache.sql import written_tables

from .clients import clients

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TABLE_TAG", "drop_written", "watch"]

TABLE_TAG = "Table"
"""The name of the tag, as of the follower's ``table_tags``."""


def watch(connection: Any, **_: object) -> None:
    """Have the statements of a connection looked at; a receiver of ``connection_created``."""
    if connection.vendor == "mysql" and drop_written not in connection.execute_wrappers:
        connection.execute_wrappers.insert(0, drop_written)  # execute_wrapper() takes the last one away


def drop_written(
    execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    """Execute a statement, and have the tags of the tables that it writes dropped after the COMMIT.

    One that failed is not trusted to have written nothing.
    """
    database = context["connection"].alias
    tagged = clients.tagged(database)
    tables = written_tables(sql if isinstance(sql, str) else bytes(sql).decode()) if tagged else ()
    try:
        return execute(sql, params, many, context)
    finally:
        if tables:
            for client in tagged:
                client.drop_on_commit([TABLE_TAG] * len(tables), list(tables), False, using=database)
