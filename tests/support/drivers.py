"""mysqlclient, where it is installed, beside PyMySQL, which may stand in for it."""

from __future__ import annotations

import importlib
import sys
from typing import Any

__all__ = ["mysqlclient"]

NAME = "MySQLdb"


def mysqlclient() -> Any:
    """The module, or ``None``; what has been imported under its name, PyMySQL maybe, stays as it is."""
    before = {name: sys.modules.pop(name) for name in _loaded()}
    try:
        return importlib.import_module(NAME)
    except ImportError:
        return None
    finally:
        for name in _loaded():
            del sys.modules[name]
        sys.modules.update(before)


def _loaded() -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] == NAME]
