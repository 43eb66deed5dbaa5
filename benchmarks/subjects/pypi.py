"""PyPI's actvalue.mysql-redis-cache, in a process and an environment of its own (its import name is ours)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from child import Child
from environments import pypi_python
from workload import BIG_STORE, CACHED_USERS, DROPPED_USER, FEW_QUERY, MANY_QUERY, TTL, Databases, Workload

from subjects import PYPI, Subject

if TYPE_CHECKING:
    from measure import Operation

SCRIPT = Path(__file__).resolve().parent.parent / "peer_pypi.py"
OPERATIONS = ("hit", "miss_few", "miss_many", "key", "drop")


def make_subject(workload: Workload) -> Subject | None:
    """The peer behind a pipe; what its process measures is its own time, without the pipe's.

    ``None`` where it cannot be had.
    """
    python = pypi_python()
    if python is None:
        return None
    orders = {
        "mysql": workload.mysql_with_db,
        "redis": workload.redis(Databases.PYPI),
        "drop_redis": workload.redis(Databases.DROP),
        "few_query": FEW_QUERY.replace("?", "%s"),  # its README says "?", which raises TypeError
        "many_query": MANY_QUERY.replace("?", "%s"),
        "big_store": BIG_STORE,
        "dropped_user": DROPPED_USER,
        "cached_users": CACHED_USERS,
        "ttl": TTL,
    }
    child = Child(python, SCRIPT, orders)
    operations = {name: _remote(child, name) for name in OPERATIONS}
    version = f"{child.hello['version']}, Python {child.hello['python']}"
    return Subject(PYPI, version, Databases.PYPI, operations, child.close)


def _remote(child: Child, name: str) -> Operation:
    return lambda calls: child.ask(operation=name, calls=calls)["seconds"]
