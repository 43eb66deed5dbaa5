"""What is given on the command line: pairs, params, queries."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import click

from mysql_redis_cache import sql
from mysql_redis_cache.keys import query_digest

__all__ = ["ITEM", "Pair", "head_of", "named_pairs", "pair_of", "pairs_of", "params_of", "sql_of"]

ITEM = "NAME=VALUE"

Pair = tuple[str, Any]
_HEAD = 16
_DIGEST = re.compile("[0-9a-f]{40}")


def pair_of(text: str) -> Pair:
    """Take ``Name=text`` or ``Name:=JSON`` apart; an equals sign without a name before it names nothing."""
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"{text!r} is no {ITEM} (NAME:=JSON for null, true, lists; =VALUE unnamed)")
    if not name.endswith(":"):
        return name, value
    try:
        return name[:-1], json.loads(value)
    except ValueError:
        raise click.UsageError(f"behind {name}= stands no JSON; write {name[:-1]}=VALUE for a text") from None


def pairs_of(_context: click.Context, _param: click.Parameter, given: tuple[str, ...]) -> tuple[Pair, ...]:
    """Take the pairs of an option or argument apart, as its callback."""
    return tuple(map(pair_of, given))


def named_pairs(pairs: tuple[Pair, ...]) -> tuple[list[str], list[Any]]:
    """Return names and values of pairs, which all need a name."""
    return [name for name, _ in pairs], [value for _, value in pairs]


def params_of(query: str, params: tuple[Pair, ...]) -> tuple[Any, list[str] | None]:
    """Return params and names as the library's calls take them.

    Those of a query that uses names are a mapping; elsewhere the named ones come first.
    """
    if _uses_names(query, dict(params)):
        return dict(params), None
    names = [name for name, _ in params if name]
    if any(name for name, _ in params[len(names) :]):
        raise click.UsageError("params with a name come before those without")
    return [value for _, value in params], names


def _uses_names(query: str, params: dict[str, Any]) -> bool:
    statement = sql.statement(query)
    if not params or statement.takes_nothing:
        return False
    try:
        statement.named(params, None)
    except TypeError:  # it takes a list
        return False
    return True


def sql_of(text: str) -> str:
    """Return a query: as it is, of a file behind ``@``, or of standard input for ``-``."""
    if text == "-":
        return sys.stdin.read().rstrip("\r\n")
    return _read(text[1:]) if text.startswith("@") else text


def head_of(text: str) -> str:
    """Return the digits by which a query's keys are known: of its SHA-1, or of the text in a file."""
    if _DIGEST.fullmatch(text):
        return text[:_HEAD]
    return query_digest(sql_of(text if text == "-" else f"@{text}"))


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"the query's file {file} cannot be read: {type(error).__name__}") from None
