"""Which tables a statement writes, by its words. Pure."""

from __future__ import annotations

import re
from itertools import dropwhile
from typing import TYPE_CHECKING

from mysql_redis_cache import sql

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["tables_written"]

_ONE = frozenset(["INSERT", "REPLACE", "TRUNCATE"])
_SEVERAL = frozenset(["UPDATE", "DELETE"])
_PASSED_BY = frozenset(["LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE", "QUICK", "INTO", "TABLE"])
_ENDS = frozenset(["SET", "WHERE", "ORDER", "LIMIT", "RETURNING", ";"])
_NAME = re.compile(r'`((?:[^`]|``)+)`|"((?:[^"]|"")+)"|([^\s`"(),.;]+)')


def tables_written(text: str) -> list[str]:
    """Return the tables that INSERT, REPLACE, UPDATE, DELETE or TRUNCATE may write, without their schemas.

    Of several that are joined it cannot tell which, and names all.
    """
    verb = sql.statement(text).verb or next((word for _, word in sql.tokens(text)), "")
    if verb not in _ONE | _SEVERAL:
        return []
    words = dropwhile(lambda token: token[1] != verb, sql.tokens(text))
    next(words)
    return list(dict.fromkeys(_names(text, words, only_one=verb in _ONE)))


def _names(text: str, words: Iterator[tuple[int, str]], *, only_one: bool) -> list[str]:
    found: list[str] = []
    depth, is_next, is_just_found = 0, True, False
    for start, word in words:
        if word in _ENDS or (only_one and found and word != "."):
            break
        depth += (word == "(") - (word == ")")
        is_schema, is_just_found = word == "." and is_just_found, False
        if depth or word in _PASSED_BY:
            continue
        if word in {"FROM", "USING"}:
            found, is_next = [], True  # before it stand names of what follows it
        elif word in {",", "JOIN"}:
            is_next = True
        elif is_schema:
            found.pop()
            is_next = True
        elif is_next and word != ")":
            found.append(_name(text, start))
            is_next, is_just_found = False, True
        elif word == ")":
            is_next = False
    return found


def _name(text: str, start: int) -> str:
    match = _NAME.match(text, start)
    if match is None:
        return ""
    quoted, double, plain = match.groups()
    return (quoted or "").replace("``", "`") or (double or "").replace('""', '"') or plain
