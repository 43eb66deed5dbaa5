"""``drop``: what is outdated, or all of it."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

import click

from mysql_redis_cache.drops import DROP_TIMEOUT, Budget
from mysql_redis_cache.drops.sweep import SCAN_COUNT
from mysql_redis_cache.keys import Whole
from mysql_redis_cache.store import Refused

from .endings import USAGE, give_up
from .inputs import ITEM, Pair, head_of, named_pairs, pairs_of
from .settings import servers
from .speaking import as_json, is_asking, progress, say, write

if TYPE_CHECKING:
    from collections.abc import Callable

    from mysql_redis_cache.drops import Drops
    from mysql_redis_cache.keys import Namespace, Wanted

    from .settings import Settings

__all__ = ["drop"]

WALKS = 2


@click.command(
    epilog="""\b
Examples:
    mrc drop UserId=123 StoreId=6
    mrc drop UserId=123 StoreId=6 --any --dry-run
    mysql -Ne 'SELECT id FROM users WHERE spoilt' | mrc drop --many UserId - --yes
    mrc drop --query report.sql
    mrc drop --all --namespace shop
"""
)
@servers
@click.argument("pairs", nargs=-1, callback=pairs_of, metavar=f"[{ITEM}]...")
@click.option(
    "--any", "is_any", is_flag=True, help="Entries that carry any of the pairs, not only all of them."
)
@click.option(
    "--many",
    nargs=2,
    type=(str, click.File(encoding="utf-8-sig")),
    metavar="NAME FILE",
    help="Entries that carry any of the values in FILE, one a line (- for standard input).",
)
@click.option(
    "--query",
    metavar="FILE|SHA1",
    help="All entries of a query: a file with its text (- for standard input), or its SHA-1.",
)
@click.option("--all", "is_all", is_flag=True, help="All entries of the namespace.")
@click.option("--dry-run", is_flag=True, help="Count what would be dropped.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--timeout", default=DROP_TIMEOUT, show_default=True, help="Seconds it may take.")
@click.option("--json", "is_json", is_flag=True, help="The count as a JSON object.")
def drop(
    *,
    settings: Settings,
    pairs: tuple[Pair, ...],
    is_any: bool,
    many: tuple[str, IO[str]] | None,
    query: str | None,
    is_all: bool,
    dry_run: bool,
    yes: bool,
    timeout: float,
    is_json: bool,
) -> None:
    """Drop entries, and have loads in flight cache nothing; print how many there were.

    Asks first on a terminal, naming the number; elsewhere it needs --yes, or ends with 2. No read that starts
    after its end gives what was cached before its start.
    """
    ways = [bool(pairs), many is not None, query is not None, is_all]
    if sum(ways) != 1:
        raise click.UsageError("say what to drop: pairs, --many, --query or --all, one of them")
    if is_any and not pairs:
        raise click.UsageError("--any is for pairs")
    wanted = _wanted(settings.names, pairs, many, query, is_any=is_any)
    work = _Work(settings, wanted, timeout)
    if not (dry_run or yes):
        _ask(work, settings)
    count = work.run(dry_run=dry_run)
    write(as_json({"would_drop" if dry_run else "dropped": count}) if is_json else str(count))


def _wanted(
    names: Namespace,
    pairs: tuple[Pair, ...],
    many: tuple[str, IO[str]] | None,
    query: str | None,
    *,
    is_any: bool,
) -> Wanted | None:
    if pairs:
        return names.matcher(*named_pairs(pairs), not is_any)
    if many is not None:
        name, file = many
        # Not by splitlines(): a value may have what Unicode takes for the end of a line.
        return names.of_many(name, [line for line in file.read().split("\n") if line])
    return Whole(names.prefix, head_of(query)) if query is not None else names.everything()


class _Work:
    """A drop that may be counted first.

    Args:
        settings: where.
        wanted: what for; ``None`` for nothing.
        timeout: seconds for each of the two.
    """

    def __init__(self, settings: Settings, wanted: Wanted | None, timeout: float) -> None:
        self._drops: Drops = settings.drops()
        self._link = settings.link()
        self._wanted = wanted
        self._timeout = timeout

    def run(self, *, dry_run: bool) -> int:
        """Drop, or count; return how many."""
        if self._wanted is None:
            return 0
        walks = 1 if dry_run else WALKS
        with progress("counting" if dry_run else "dropping", walks * self._size()) as tell:
            budget = _Watched(self._timeout, tell)
            return self._drops.perform([self._wanted], budget, dry_run=dry_run)

    def _size(self) -> int:
        try:
            return int(self._link.call(b"DBSIZE"))
        except Refused:  # an account that may not: then the bar stands still
            return 0


class _Watched(Budget):
    """Tells how many keys the walk has come past, about; a walk asks for its time once a batch."""

    def __init__(self, timeout: float, tell: Callable[[int], Any]) -> None:
        super().__init__(timeout)
        self._tell = tell
        self._batches = 0

    def check(self, stage: str, dropped: int = 0) -> None:
        """Note a batch."""
        self._batches += 1
        self._tell(self._batches * SCAN_COUNT)
        super().check(stage, dropped)


def _ask(work: _Work, settings: Settings) -> None:
    """Ask whether to drop so many; end if nobody can say, or somebody says no."""
    if not is_asking():
        give_up("this drops entries: say --yes, or --dry-run to count them", USAGE)
    count = work.run(dry_run=True)
    say(f"{count} entries of {settings.place}")
    click.confirm("drop them?", abort=True, err=True)
