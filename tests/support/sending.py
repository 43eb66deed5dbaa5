"""Statements of whatever kind, each by the call that is for it."""

from __future__ import annotations

from typing import Protocol

from mysql_redis_cache.sql import statement
from mysql_redis_cache.sql.verdicts import Answer

__all__ = ["send"]


class Statements(Protocol):
    """A client, or an open transaction."""

    def query(self, query: str, /) -> object:
        """Run a statement that reads."""

    def execute(self, query: str, /) -> object:
        """Run one that writes."""


def send(to: Statements, text: str) -> None:
    """Run *text*: by ``execute()`` if it has an effect and no rows, else by ``query()``."""
    has_rows = statement(text).answer not in {Answer.EFFECT, Answer.TRANSACTION}
    (to.query if has_rows else to.execute)(text)
