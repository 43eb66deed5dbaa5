"""Draw the pictures of the command line in the docs, from a real run: ``python -m tools.pictures``."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.text import Text

from mysql_redis_cache import MRCClient
from mysql_redis_cache.cli.drawing import screen
from mysql_redis_cache.cli.gathering import rates
from mysql_redis_cache.cli.keyboard import Keyboard
from mysql_redis_cache.cli.watching import Watched
from mysql_redis_cache.readthrough import reports
from mysql_redis_cache.store import link
from tools.private_servers import PrivateMySQL, PrivateRedis

DOCS = Path(__file__).resolve().parents[1] / "docs"
WIDTH = 96
QUERIES = {
    "user": ("SELECT ? AS id, 'Ada' AS name", 40),
    "orders of a store": ("SELECT ? AS store_id, SLEEP(0.004) AS slept", 12),
    "report": ("SELECT ? AS month, SLEEP(0.06) AS slept", 6),
}
FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def main() -> None:
    """Read for some seconds with two clients, and draw."""
    reports.POST_EVERY = 0.5
    with ExitStack() as life:
        mysql_url = life.enter_context(PrivateMySQL()).url
        redis_url = life.enter_context(PrivateRedis()).url
        clients = [
            life.enter_context(MRCClient(mysql_url, redis_url, share_stats=True, name=name))
            for name in ("web", "worker")
        ]
        watched = Watched(link(redis_url), "")
        _read(clients, 2.0)
        before, began = watched.look(), time.monotonic()
        _read(clients, 3.0)
        now = watched.look()
        each = rates(before, now, time.monotonic() - began)
        keys, place = Keyboard("reads"), "no namespace in redis://cache:6379/0"
        for name in ("top.svg", "top-processes.svg"):
            console = _console()
            console.print(screen(now, each, keys, place, 20))
            _save(console, "mrc top", name)
            keys.take("p")
        command = [
            sys.executable,
            "-m",
            "mysql_redis_cache",
            "doctor",
            "--mysql",
            mysql_url,
            "--redis",
            redis_url,
        ]
        found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        console = _console()
        console.print(Text(found.stdout.rstrip()))
        _save(console, "mrc doctor", "doctor.svg")


def _read(clients: list[MRCClient], seconds: float) -> None:
    until, number = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        for label, (query, keys) in QUERIES.items():
            client = clients[number % len(clients)]
            client.query_with_cache(query, [number % keys], ["Id"], 60, label=label)
        number += 1
        if number % 50 == 0:
            clients[0].drop_outdated_cache(["Id"], [number % 40])


def _console() -> Console:
    return Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)


def _save(console: Console, title: str, name: str) -> None:
    """Save what was printed, with the fonts of whoever looks at it."""
    svg = FONTS.sub("", console.export_svg(title=title, unique_id=name.partition(".")[0]))
    (DOCS / name).write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
