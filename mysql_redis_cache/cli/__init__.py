"""The command line, ``mrc``: what an operator asks of the servers of a cache, over the library's own calls.

The only wing that imports click and rich, which come with the extra ``cli``; nothing imports it.
"""

from __future__ import annotations

import sys
from importlib import import_module, util
from pathlib import Path

__all__ = ["main"]


def main(program: str | None = None) -> None:
    """Run the command line and exit.

    Args:
        program: its name in messages; by default the one it was called by.
    """
    missing = [name for name in ("click", "rich") if util.find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"The command line needs {' and '.join(missing)}: pip install 'mysql-redis-cache[cli]'\n"
        )
        raise SystemExit(2)
    name = program or Path(sys.argv[0]).name
    import_module("mysql_redis_cache.cli.app").mrc.main(prog_name=name)
