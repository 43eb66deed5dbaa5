"""``verify``: whether what is cached is what MySQL has, for queries that a module lists."""

from __future__ import annotations

import importlib
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mysql_redis_cache.database.failures import err
from mysql_redis_cache.errors import CacheUnavailable, DatabaseUnavailable, MRCError, PoolTimeout
from mysql_redis_cache.readthrough import Query, verifying
from mysql_redis_cache.readthrough.verifying import Checked, Verdict, Verifier
from mysql_redis_cache.store import Entries

from .endings import FAILED, NOTHING, STALE, give_up, text_of
from .settings import servers
from .speaking import as_json, printable, progress, say, write

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mysql_redis_cache.client import MRCClient
    from mysql_redis_cache.readthrough.reads import Read
    from mysql_redis_cache.store import Link

    from .settings import Settings

__all__ = ["verify"]

ATTRIBUTE = "queries"


@click.command(
    epilog="""\b
Examples:
    mrc verify --module app.cached
    mrc verify --module app.cached:dashboard --sample 100 --json

\b
The module lists the queries, or has a function that gives them:
    from mysql_redis_cache import Query
    queries = [Query("SELECT * FROM users WHERE id = ?", [123], ["UserId"])]
"""
)
@servers
@click.option(
    "--module",
    "source",
    required=True,
    metavar="MODULE[:NAME]",
    help="Where the queries are; the name is queries, if none is given.",
)
@click.option("--sample", default=1000, show_default=True, type=click.IntRange(1), help="How many, at most.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object.")
def verify(*, settings: Settings, source: str, sample: int, is_json: bool) -> None:
    """Compare cached answers with MySQL: find drops that were forgotten.

    Reads each entry, loads its answer, and reads the entry again; what differs is looked at once more later.
    Only what the module lists is run, never a text from Redis. Ends with 8 if something is outdated.
    """
    with settings.client() as client:
        queries = _queries(source)
        chosen = random.sample(queries, min(sample, len(queries)))
        make = client._core.reads.of_query  # noqa: SLF001 - one package
        reads = [make(*each[:3], 1, tags=each.tags) for each in chosen]
        look = _Look(client, settings.link())
        outdated = look.at(reads)
    verdicts, failed = look.verdicts, look.failed
    checked, void = verdicts[Verdict.FRESH] + verdicts[Verdict.STALE], verdicts[Verdict.VOID]
    if is_json:
        found = [{"query": each.query, "names": _names(each), "key": each.key} for each in outdated]
        counts = {"checked": checked, "stale": len(outdated), "not_cached": void, "failed": failed}
        write(as_json({**counts, "found": found}))
    else:
        for each in outdated:
            names = ", ".join(_names(each)) or "no pairs"
            write(f"{printable(names)}\t{printable(each.query)}")
        say(f"{len(outdated)} stale of {checked} checked; {void} not cached, or changed meanwhile")
    if outdated:
        give_up("outdated entries: a drop of these pairs is missing somewhere", STALE)
    if failed:
        give_up(f"{failed} of {len(reads)} could not be loaded", FAILED)
    if not checked:
        give_up("none of these queries is cached", NOTHING)


def _names(read: Read) -> list[str]:
    return list(read.described()["names"])


def _queries(source: str) -> list[Query]:
    """Return what a module lists."""
    name, _, attribute = source.partition(":")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        listed: Any = getattr(importlib.import_module(name), attribute or ATTRIBUTE)
    except (ImportError, AttributeError, ValueError) as error:
        raise click.UsageError(f"--module {source}: {error}") from None
    listed = listed() if callable(listed) else listed
    if not isinstance(listed, Iterable):
        raise click.UsageError(f"--module {source} is no list of queries, nor a function that gives one")
    found = list(listed)
    return [_query(number, each) for number, each in enumerate(found)]


def _query(number: int, given: Any) -> Query:
    if not isinstance(given, (tuple, list)) or not 1 <= len(given) <= len(Query._fields):
        raise click.UsageError(f"queries[{number}] must be a Query, or a tuple ({', '.join(Query._fields)})")
    return Query(*given)


class _Look:
    """Judges each of some reads; those in doubt all together, a moment later.

    Args:
        client: of the servers.
        link: the way to Redis.

    Attributes:
        verdicts: how often which was given.
        failed: how many could not be loaded.
    """

    def __init__(self, client: MRCClient, link: Link) -> None:
        core = client._core  # noqa: SLF001 - the command line and the client are one package
        self._verifier = Verifier(Entries(link, 1.0), core.afresh, core.watch, 1.0)
        self.verdicts: Counter[Verdict] = Counter()
        self.failed = 0

    def at(self, reads: Sequence[Read]) -> list[Read]:
        """Return those that are outdated.

        Raises:
            CacheUnavailable: Redis did not answer.
            DatabaseUnavailable: MySQL did not.
        """
        doubts: list[Checked] = []
        with progress("verifying", len(reads)) as done:
            for number, read in enumerate(reads):
                doubts += self._first(read)
                done(number + 1)
        if doubts:
            time.sleep(verifying.LATER)
        return [each.read for each in doubts if self._is_stale(each)]

    def _first(self, read: Read) -> list[Checked]:
        """Look for the first time; return it if it is in doubt."""
        with self._failing(read):
            verdict, checked = self._verifier.first_look(read)
            if verdict is Verdict.DOUBTFUL:
                return [checked]
            self.verdicts[verdict] += 1
        return []

    def _is_stale(self, checked: Checked) -> bool:
        verdict = None
        with self._failing(checked.read):
            verdict = self._verifier.second_look(checked)
            self.verdicts[verdict] += 1
        return verdict is Verdict.STALE

    @contextmanager
    def _failing(self, read: Read) -> Iterator[None]:
        """Say what is wrong with one, and raise what is wrong with all."""
        try:
            yield
        except (CacheUnavailable, DatabaseUnavailable, PoolTimeout):
            raise
        except (err.Error, MRCError) as error:
            self.failed += 1
            say(f"{printable(read.query)}: {printable(text_of(error))}")
