"""The private servers of one run, and the checkout's own modules made importable."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from workload import Workload, load_orders

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(1, str(ROOT))


@contextlib.contextmanager
def private_servers() -> Iterator[Workload]:
    """A MySQL that holds the orders, and a Redis; both end with the block."""
    from tools.private_servers import PrivateMySQL, PrivateRedis  # by the path above

    with PrivateMySQL() as mysql, PrivateRedis() as redis:
        workload = Workload({**_options(mysql.url), "database": "bench"}, redis.port)
        load_orders(workload.mysql)
        yield workload


def _options(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    return {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": parts.password}
