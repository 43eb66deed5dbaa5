"""How a command ends: its exit codes, and which error is which."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import click
from click.exceptions import Exit

from mysql_redis_cache.database.failures import err
from mysql_redis_cache.errors import CacheUnavailable, DatabaseUnavailable, MRCError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "ERRORS",
    "FAILED",
    "INTERRUPTED",
    "NOTHING",
    "STALE",
    "TIMEOUT",
    "UNAVAILABLE",
    "USAGE",
    "WARNINGS",
    "code_of",
    "ending",
    "give_up",
    "text_of",
]

FAILED = 1
USAGE = 2
NOTHING = 3
UNAVAILABLE = 4
TIMEOUT = 5
WARNINGS = 6
ERRORS = 7
STALE = 8
INTERRUPTED = 130


def give_up(message: str, code: int) -> NoReturn:
    """End the command: say why on standard error, and exit with *code*."""
    click.echo(f"Error: {message}", err=True)
    raise Exit(code)


@contextmanager
def ending() -> Iterator[None]:
    """Turn the library's errors into messages and exit codes."""
    try:
        yield
    except KeyboardInterrupt:
        give_up("interrupted", INTERRUPTED)
    except MRCError as error:
        give_up(str(error), code_of(error))
    except err.Error as error:
        give_up(text_of(error), FAILED)
    except (TypeError, ValueError) as error:
        give_up(str(error), USAGE)


def code_of(error: BaseException) -> int:
    """Return the exit code of an error of the library."""
    if isinstance(error, (CacheUnavailable, DatabaseUnavailable)):
        return UNAVAILABLE
    return TIMEOUT if isinstance(error, TimeoutError) else FAILED


def text_of(error: BaseException) -> str:
    """Return what an error says, without MySQL's number."""
    return f"MySQL: {error.args[-1]}" if isinstance(error, err.Error) and error.args else str(error)
