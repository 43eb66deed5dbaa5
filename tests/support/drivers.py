"""mysqlclient, where it is installed, beside PyMySQL, which may stand in for it."""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

__all__ = ["connected_by_mysqlclient", "has_mysqlclient", "mysqlclient_as_itself"]

NAME = "MySQLdb"
_its_own: dict[str, ModuleType] = {}


def has_mysqlclient() -> bool:
    """Whether it is installed."""
    with mysqlclient_as_itself():
        try:
            importlib.import_module(NAME)
        except ImportError:
            return False
    return True


def connected_by_mysqlclient(**arguments: Any) -> Any:
    """Return a connection of it."""
    with mysqlclient_as_itself():  # it imports from itself when it connects
        return importlib.import_module(NAME).connect(**arguments)


@contextmanager
def mysqlclient_as_itself() -> Iterator[None]:
    """Have its modules found under their name for the block; what was there, PyMySQL maybe, comes back."""
    before = _taken()
    sys.modules.update(_its_own)
    try:
        yield
    finally:
        _its_own.update(_taken())
        sys.modules.update(before)


def _taken() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.partition(".")[0] == NAME]
    return {name: sys.modules.pop(name) for name in names}
