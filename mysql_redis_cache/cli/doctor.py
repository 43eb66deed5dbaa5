"""``doctor``: what would bite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mysql_redis_cache.database import Database
from mysql_redis_cache.drops import Budget
from mysql_redis_cache.errors import CacheUnavailable, DatabaseUnavailable, PoolTimeout
from mysql_redis_cache.store import Refused

from .endings import ERRORS, UNAVAILABLE, WARNINGS
from .findings import Finding, Level, show
from .key_checks import look_at_keys
from .mysql_checks import look_at_mysql
from .redis_checks import look_at_redis
from .settings import servers
from .speaking import as_json, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .settings import Settings

__all__ = ["doctor"]

PATIENCE = 60.0
CODES = {Level.WARNING: WARNINGS, Level.ERROR: ERRORS}


@click.command(
    epilog="""\b
Examples:
    mrc doctor
    mrc doctor --json | jq '.findings[] | select(.level == "error")'

\b
Exit code by the worst finding:
    0  ok, or notes
    4  a server is unavailable
    6  a warning
    7  an error
"""
)
@servers
@click.option("--timeout", default=PATIENCE, show_default=True, help="Seconds to look at keys.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object.")
def doctor(*, settings: Settings, timeout: float, is_json: bool) -> None:
    """Connect to both servers and say what would bite, with the line to change.

    Looks at versions, memory, persistence, replicas, latency, clocks, TLS, rights, at who else writes, at the
    index, and at what a drop costs. It writes one entry of its own and drops it again.
    """
    if not (settings.redis or settings.mysql):
        _ = settings.redis_config  # says how to name one
    findings = [*_redis(settings, timeout), *_mysql(settings)]
    worst = max(finding.level for finding in findings)
    if is_json:
        listed = [{**finding._asdict(), "level": finding.level.name.lower()} for finding in findings]
        write(as_json({"worst": worst.name.lower(), "findings": listed}))
    else:
        show(sorted(findings, key=lambda finding: -finding.level))
    is_away = any(finding.text.startswith(_AWAY) for finding in findings)
    raise click.exceptions.Exit(UNAVAILABLE if is_away else CODES.get(worst, 0))


_AWAY = "unavailable: "


def _redis(settings: Settings, timeout: float) -> Iterator[Finding]:
    if not settings.redis:
        yield Finding(Level.NOTE, "Redis", "no --redis: not looked at")
        return
    link = settings.link()
    try:
        yield from look_at_redis(settings, link)
        try:
            yield from look_at_keys(settings, link, Budget(timeout))
        except Refused as error:
            yield Finding(Level.NOTE, "keys", f"not looked at: {error}")
    except CacheUnavailable as error:
        yield Finding(Level.ERROR, "Redis", f"{_AWAY}{error}", "start it, or mend the URL")
    finally:
        link.close()


def _mysql(settings: Settings) -> Iterator[Finding]:
    if not settings.mysql:
        yield Finding(Level.NOTE, "MySQL", "no --mysql: not looked at")
        return
    database = Database(settings.mysql_config)
    try:
        yield from look_at_mysql(settings.mysql_url, database)
    except (DatabaseUnavailable, PoolTimeout) as error:
        yield Finding(Level.ERROR, "MySQL", f"{_AWAY}{error}", "start it, or mend the URL")
    finally:
        database.close()
