"""``follow``: the binary log followed, so that drops happen by themselves."""

from __future__ import annotations

import logging
import signal
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import click

from mysql_redis_cache.follow import CannotFollow, Follower, StreamFollower

from .endings import ERRORS
from .findings import Finding, Level, show
from .health import serving
from .settings import servers, with_account
from .speaking import as_json, say, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from .health import Address
    from .settings import Settings

__all__ = ["follow"]

MAX_LAG = 30.0
LINES = "%(asctime)s %(levelname)s %(message)s"


def _address_of(_context: click.Context, _param: click.Parameter, given: str | None) -> Address | None:
    if given is None:
        return None
    host, colon, port = given.rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) < 2**16):
        raise click.BadParameter("it is no HOST:PORT, such as 127.0.0.1:9477")
    return host.strip("[]"), int(port)


@click.command(
    epilog="""\b
Examples:
    mrc follow --check
    mrc follow --config follow.toml --health 127.0.0.1:9477
    mrc follow --config follow.toml --from redis-stream://cdc.internal:6379/0/shopdb

\b
Rules, in pyproject.toml or the file that --config names:
    [tool.mysql-redis-cache.follow."shop.orders"]
    UserId = "user_id"
"""
)
@servers
@click.option("--name", default="default", show_default=True, help="One for each server that is followed.")
@click.option(
    "--from",
    "changes",
    metavar="URL",
    help="Follow what Debezium Server writes to Redis streams, not the log: redis-stream://HOST:PORT/DB/PREFIX.",
)
@click.option("--check", "is_check", is_flag=True, help="Hold the rules against the servers, and end.")
@click.option(
    "--health",
    metavar="HOST:PORT",
    callback=_address_of,
    help="Answer HTTP there: 200 and its state in JSON while all is well, else 503; /metrics to Prometheus.",
)
@click.option(
    "--failover",
    metavar="URL",
    multiple=True,
    help="A server to follow if --mysql takes no writes; may be repeated. By default with the same account.",
)
@click.option(
    "--max-lag",
    default=MAX_LAG,
    show_default=True,
    help="Seconds of lag up to which all is well.",
)
@click.option("--json", "is_json", is_flag=True, help="With --check: one JSON object.")
def follow(
    *,
    settings: Settings,
    name: str,
    changes: str | None,
    failover: tuple[str, ...],
    is_check: bool,
    health: Address | None,
    max_lag: float,
    is_json: bool,
) -> None:
    """Follow MySQL's binary log, and drop what changes make outdated, whoever makes them.

    Runs until SIGTERM or Ctrl-C, and waits for servers that are away. Of several with one name one leads and
    the others stand by. It does not start where outdated entries would stay in silence, and ends with 7.
    """
    if is_json and not is_check:
        raise click.UsageError("--json is for --check")
    options: dict[str, Any] = {"name": name, "namespace": settings.namespace, "index": settings.index}
    options["max_lag"] = max_lag
    sources = [settings.mysql_url, *[with_account(url, settings.mysql_url) for url in failover]]
    given = (sources, settings.redis_url, settings.rules)
    follower = Follower(*given, **options) if changes is None else StreamFollower(changes, *given, **options)
    try:
        if is_check:
            _check(follower, is_json=is_json)
        else:
            _run(follower, health, max_lag)
    except CannotFollow as error:
        for problem in error.problems:
            say(f"Error: {problem}")
        raise click.exceptions.Exit(ERRORS) from None
    finally:
        follower.close()


def _check(follower: Follower, *, is_json: bool) -> None:
    report = follower.check()
    if is_json:
        write(as_json({"problems": report.problems, "notes": report.notes}))
    else:
        show(
            [
                *[Finding(Level.ERROR, "rules", problem) for problem in report.problems],
                *[Finding(Level.NOTE, "rules", note) for note in report.notes],
                *([Finding(Level.OK, "rules", "they fit the server")] if report.is_fine else []),
            ]
        )
    if not report.is_fine:
        raise click.exceptions.Exit(ERRORS)


def _run(follower: Follower, health: Address | None, max_lag: float) -> None:
    logging.basicConfig(level=logging.INFO, format=LINES)
    with _ending_on_signals(follower), _answering(follower, health, max_lag):
        follower.run()


@contextmanager
def _ending_on_signals(follower: Follower) -> Iterator[None]:
    """Have SIGTERM and SIGINT end it in order, and a second one at once."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}

    def end(number: int, _frame: object) -> None:
        follower.stop()
        signal.signal(number, signal.SIG_DFL)

    for number in numbers:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _answering(follower: Follower, health: Address | None, max_lag: float) -> AbstractContextManager[object]:
    if health is None:
        return nullcontext()

    def look() -> tuple[bool, dict[str, Any]]:
        stats = follower.stats()
        lag = stats["lag"]
        return (lag <= max_lag if lag is not None else not stats["problem"]), stats

    return serving(health, look, _measuring(follower))


def _measuring(follower: Follower) -> Callable[[], bytes] | None:
    """Return what writes the figures as Prometheus reads them; ``None`` if its client is not installed."""
    try:
        from mysql_redis_cache.contrib.prometheus import page  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        return None
    return page(follower)
