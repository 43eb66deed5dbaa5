"""``warm``: queries loaded into the cache before anybody asks."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from difflib import get_close_matches
from functools import partial
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import click

from mysql_redis_cache.database.config import parse_mysql_config
from mysql_redis_cache.database.failures import err
from mysql_redis_cache.errors import DatabaseUnavailable, MRCError, PoolTimeout
from mysql_redis_cache.policy import DEFAULT_TTL, Policy
from mysql_redis_cache.readthrough.reads import Reads

from .endings import FAILED, USAGE, give_up, text_of
from .inventory import look_up
from .settings import servers
from .speaking import as_json, progress, say, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mysql_redis_cache import MRCClient

    from .settings import Settings

__all__ = ["warm"]

FIELDS = ("query", "params", "param_names", "ttl", "tags")
CACHED = ("hits", "shared_loads", "fills")
NOT_CACHED = ("cache_failures", "oversized_entries", "refused_fills")


class _Call(NamedTuple):
    """What a line asks for.

    Attributes:
        line: its number.
        key: of its entry.
        arguments: of ``query_with_cache``.
    """

    line: int
    key: str
    arguments: dict[str, Any]


@click.command(
    epilog="""\b
Examples:
    mrc warm queries.jsonl
    produce-queries | mrc warm - --jobs 4

\b
A line of FILE, all but the query optional:
    {"query": "SELECT * FROM users WHERE id = ?", "params": [123], "param_names": ["UserId"],
     "ttl": 3600, "tags": {"Table": "users"}}
"""
)
@servers
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option(
    "--jobs",
    default=8,
    show_default=True,
    type=click.IntRange(1),
    help="Queries at once; no more than maxsize in the URL of MySQL, 10 by default.",
)
@click.option("--json", "is_json", is_flag=True, help="The counts as a JSON object.")
def warm(*, settings: Settings, file: IO[str], jobs: int, is_json: bool) -> None:
    """Load queries into the cache; print how many are cached then.

    FILE has a query a line, as JSON with the names of query_with_cache; - is standard input. What is cached
    already is not loaded again. Unless every line is good nothing is loaded.
    """
    calls = _calls(file, Reads(settings.names, Policy()))
    jobs = min(jobs, parse_mysql_config(settings.mysql_config).maxsize)
    if calls:
        look_up(settings.link(), calls[0].key.encode())  # without Redis the loads would be for nothing
    with settings.client() as client:
        failed = _load_all(client, calls, jobs)
        figures = client.stats()
    cached = sum([figures.get(name, 0) for name in CACHED])
    if is_json:
        write(as_json({"cached": cached, "loaded": figures.get("fills", 0), "failed": failed}))
    else:
        write(str(cached))
    if cached < len(calls):
        reasons = ", ".join([f"{name} {figures[name]}" for name in NOT_CACHED if figures.get(name)])
        give_up(f"{len(calls) - cached} of {len(calls)} are not cached; {reasons or 'see above'}", FAILED)


# The file


def _calls(lines: Iterable[str], reads: Reads) -> list[_Call]:
    """Return what all lines ask for; end the command if one of them is bad."""
    calls: list[_Call] = []
    bad = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            arguments = _arguments(line)
            calls.append(_Call(number, _key(reads, arguments), arguments))
        except (TypeError, ValueError) as error:
            say(f"line {number}: {error}")
            bad += 1
    if bad:
        give_up(f"{bad} of {bad + len(calls)} lines are bad, and nothing was loaded", USAGE)
    return calls


def _arguments(line: str) -> dict[str, Any]:
    try:
        arguments = json.loads(line)
    except ValueError as error:
        raise ValueError(f"it is no JSON: {error}") from None
    if not isinstance(arguments, dict) or "query" not in arguments:
        raise ValueError('it must be an object with a "query"')
    for name in arguments:
        if name not in FIELDS:
            raise ValueError(
                f"unknown field {name!r}; did you mean {get_close_matches(name, FIELDS, 1, 0)[0]!r}?"
            )
    return arguments


def _key(reads: Reads, arguments: dict[str, Any]) -> str:
    query, params, names = arguments["query"], arguments.get("params"), arguments.get("param_names", ())
    ttl = arguments.get("ttl", DEFAULT_TTL)
    return reads.of_query(query, params, names, ttl, tags=arguments.get("tags")).key


# Loading


def _load_all(client: MRCClient, calls: list[_Call], jobs: int) -> int:
    """Load all of them; say which failed, and return how many."""
    with progress("loading", len(calls)) as tell, ThreadPoolExecutor(jobs) as threads:
        errors = threads.map(partial(_load, client), calls)
        try:
            return _watch(calls, errors, tell)
        except BaseException:  # Ctrl-C, too: what has not begun does not begin
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def _watch(calls: list[_Call], errors: Iterable[Exception | None], tell: Callable[[int], Any]) -> int:
    failed = 0
    for done, (call, error) in enumerate(zip(calls, errors, strict=True), 1):
        tell(done)
        if error is not None:
            failed += 1
            say(f"line {call.line}: {text_of(error)}")
    return failed


def _load(client: MRCClient, call: _Call) -> Exception | None:
    """Load one; return what is wrong with it, and raise what is wrong with all."""
    try:
        client.query_with_cache(**call.arguments)
    except (DatabaseUnavailable, PoolTimeout):
        raise
    except (err.Error, MRCError, TypeError, ValueError) as error:
        return error
    return None
