"""The group of commands."""

from __future__ import annotations

from typing import Any

import click

import mysql_redis_cache

from .doctor import doctor
from .dropping import drop
from .endings import ending
from .following import follow
from .looking import explain, get, key, ls
from .verifying import verify
from .warming import warm
from .watching import stats, top

__all__ = ["mrc"]

ENDINGS = """\b
Exit codes:
    0  done
    1  failed, or given up
    2  wrong usage, or a question that nobody could answer
    3  nothing found
    4  a server is unavailable
    5  out of time
    6  doctor: a warning
    7  doctor, follow: an error was found
    8  verify: something is outdated
  130  interrupted

\b
Shell completion, for bash (zsh, fish: the same with their names):
    eval "$(_MRC_COMPLETE=bash_source mrc)"
"""


class _Commands(click.Group):
    """Commands whose errors become messages and exit codes."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with ending():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """Return them in the order in which they are of use, not by the alphabet."""
        return list(self.commands)


@click.group(
    cls=_Commands,
    epilog=ENDINGS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(mysql_redis_cache.__version__, prog_name="mysql-redis-cache")
def mrc() -> None:
    """Look at a cache of MySQL in Redis, and steer it.

    Data goes to standard output, all else to standard error; every command has --json.
    """


for _command in (ls, get, key, explain, drop, warm, stats, top, verify, follow, doctor):
    mrc.add_command(_command)
