"""``ls``, ``get``, ``key`` and ``explain``: what is in the cache, and under which name."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from mysql_redis_cache.client import MRCClient
from mysql_redis_cache.drops import Budget
from mysql_redis_cache.errors import DropTimeout
from mysql_redis_cache.values import codec

from .endings import FAILED, NOTHING, TIMEOUT, UNAVAILABLE, give_up
from .inputs import ITEM, Pair, head_of, named_pairs, pairs_of, params_of, sql_of
from .inventory import ORDERS, Entry, Filter, chosen, entries, look_up
from .settings import servers
from .speaking import LONGEST_TABLE, as_json, escaped, printable, printable_lines, say, show_rows, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .settings import Settings

__all__ = ["explain", "get", "key", "ls"]

PATIENCE = 600.0
"""Seconds for a walk over all keys: ten million take less than two minutes."""


@click.command(
    epilog="""\b
Examples:
    mrc ls UserId=123
    mrc ls Table=orders --sort bytes --limit 20
    mrc ls --query report.sql --json
"""
)
@servers
@click.argument("pairs", nargs=-1, callback=pairs_of, metavar=f"[{ITEM}]...")
@click.option(
    "--query",
    metavar="FILE|SHA1",
    help="Only entries of this query: a file with its text (- for standard input), or its SHA-1.",
)
@click.option("--sort", type=click.Choice(list(ORDERS)), help="By key, by time left, or the largest first.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(0), help="How many; 0 for all.")
@click.option("--timeout", default=PATIENCE, show_default=True, help="Seconds it may take.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object a line.")
def ls(
    *,
    settings: Settings,
    pairs: tuple[Pair, ...],
    query: str | None,
    sort: str | None,
    limit: int,
    timeout: float,
    is_json: bool,
) -> None:
    """List entries: seconds left, bytes, key.

    Of all entries of the namespace, or of those that carry all the pairs (params and tags). Looks at all keys
    in Redis, holds no more of them than it shows, and shows 100 unless told otherwise.
    """
    if sort and not limit:
        raise click.UsageError("--sort needs a --limit: all entries are not held at once")
    matcher = settings.names.matcher(*named_pairs(pairs)) if pairs else None
    wanted = Filter(settings.prefix, matcher, head_of(query) if query else "")
    found = chosen(entries(settings.link(), wanted, Budget(timeout)), sort, limit)
    try:
        count = _list_json(found) if is_json else _list(found, limit)
    except DropTimeout:  # which speaks of a drop
        give_up(f"not all keys could be looked at within {timeout:g} s; --timeout gives more", TIMEOUT)
    if not count:
        give_up("no such entries", NOTHING)
    if count == limit:
        say(f"the first {count}; --limit shows more")


def _list(found: Iterable[Entry], limit: int) -> int:
    rows = (
        ("-" if entry.ttl is None else str(entry.ttl), str(entry.size), printable(_text(entry.key)))
        for entry in found
    )
    return show_rows(("ttl", "bytes", "key"), rows, most=limit if limit <= LONGEST_TABLE else 0)


def _list_json(found: Iterable[Entry]) -> int:
    count = 0
    for entry in found:
        write(as_json({"key": _text(entry.key), "ttl": entry.ttl, "bytes": entry.size}))
        count += 1
    return count


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")


@click.command(
    epilog="""\b
Examples:
    mrc get UserId=123_0a6b7c…
    mrc get "$(mrc key 'SELECT * FROM users WHERE id = ?' --param UserId=123)"
"""
)
@servers
@click.argument("name", metavar="KEY")
@click.option("--json", "is_json", is_flag=True, help="Key, time left, bytes and value as one JSON object.")
def get(*, settings: Settings, name: str, is_json: bool) -> None:
    """Show one entry: its value as JSON; on standard error how long it lives yet.

    Neither MySQL is asked nor the entry changed. Ends with 3 if there is none.
    """
    wanted = os.fsencode(name)  # as it was typed: a key need not be UTF-8
    found = look_up(settings.link(), wanted)
    if found is None:
        give_up("no such entry", NOTHING)
    entry, payload, is_loading = found
    try:
        value = codec.decode(payload)
    except ValueError:
        give_up(f"the entry's {entry.size} bytes are no JSON; a read replaces it", FAILED)
    if is_json:
        about = {"key": _text(wanted), "ttl": entry.ttl, "bytes": entry.size, "loading": is_loading}
        write(as_json(about | {"value": _plain(value)}))
        return
    left = "no end" if entry.ttl is None else f"{entry.ttl} s left"
    say(f"{left}, {entry.size} bytes{', being loaded anew' if is_loading else ''}")
    write(escaped(json.dumps(_plain(value), ensure_ascii=False, indent=2)))


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: bytes as the object that stands for them."""
    if isinstance(value, bytes):
        return {"type": "Buffer", "data": list(value)}
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list) else value


def _params(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the query of a call, and the options with its params and tags."""
    query = click.argument("query", metavar="SQL")
    params = click.option(
        "--param",
        "params",
        multiple=True,
        callback=pairs_of,
        help="In the order of the placeholders; NAME:=JSON for null, true, lists; =VALUE without a name.",
    )
    tags = click.option("--tag", "tags", multiple=True, callback=pairs_of, help="A pair that is no param.")
    return query(params(tags(command)))


@click.command(
    epilog="""\b
Examples:
    mrc key 'SELECT * FROM users WHERE id = ?' --param UserId=123
    mrc key @report.sql --param Year=2026 --param =eu --tag Table=orders
    mrc key weather_api_v1 --param City:=null
"""
)
@servers
@_params
@click.option("--json", "is_json", is_flag=True, help="The key as a JSON object.")
def key(
    *,
    settings: Settings,
    query: str,
    params: tuple[Pair, ...],
    tags: tuple[Pair, ...],
    is_json: bool,
) -> None:
    """Print the key under which a query is cached; connects to nothing.

    SQL is the text as the application has it, to the last space; @FILE takes it from a file, - from standard
    input. A number and the text of its digits are the same.
    """
    text = sql_of(query)
    values, names = params_of(text, params)
    found = settings.names.key(text, values, names, list(tags) or None)
    write(as_json({"key": found}) if is_json else found)


@click.command(
    epilog="""\b
Examples:
    mrc explain 'SELECT * FROM users WHERE id = ?' --param UserId=123
    mrc explain @report.sql --param Year=2026 --tag Table=orders --json
"""
)
@servers
@_params
@click.option("--json", "is_json", is_flag=True, help="All of it as one JSON object.")
def explain(
    *,
    settings: Settings,
    query: str,
    params: tuple[Pair, ...],
    tags: tuple[Pair, ...],
    is_json: bool,
) -> None:
    """Explain how a query is cached, and what is there now.

    Its key and what is in it, what forbids to cache it, the drops that reach it, its bytes and time left, and
    whether somebody loads it. Asks Redis alone, and reads no value. SQL and params are as for key.
    """
    text = sql_of(query)
    values, names = params_of(text, params)
    with MRCClient({}, settings.redis_config, namespace=settings.namespace, index=settings.index) as client:
        # The windows are this client's, not those of the application's.
        found = replace(client.explain(text, values, names, tags=list(tags) or None), windows={})
    write(as_json(found.as_dict()) if is_json else printable_lines(str(found)))
    if found.redis_problem:
        give_up(found.redis_problem, UNAVAILABLE)
