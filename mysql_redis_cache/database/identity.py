"""Which server is at the other end, so that a number of one server's is not taken for another's."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Identity"]

_TOLERANCE = 3.0
"""Seconds by which the start of one server may seem to differ: it is told in whole seconds."""

_NAMES = ("hostname", "port", "server_id", "datadir")


class Identity(NamedTuple):
    """One run of one server: behind one address there may be several, and after a restart it counts anew.

    Attributes:
        name: what tells it from others.
        started: when it was started, in seconds on the monotonic clock of this machine.
    """

    name: str
    started: float

    @staticmethod
    def questions(version: str) -> tuple[str, str]:
        """Return the statements whose answers ``of`` takes.

        Args:
            version: as the server greets.
        """
        names = _NAMES if "MariaDB" in version else ("server_uuid", *_NAMES)
        listed = ", ".join(f"@@{name}" for name in names)
        return f"SELECT CONCAT_WS('/', {listed}) AS name", "SHOW GLOBAL STATUS LIKE 'Uptime'"

    @classmethod
    def of(cls, named: Mapping[str, str], status: Mapping[str, str]) -> Self:
        """Return it by the rows that the questions were answered with."""
        return cls(named["name"], time.monotonic() - float(status["Value"]))

    def is_same(self, other: Identity | None) -> bool:
        """Whether *other* is this very run of this very server."""
        return (
            other is not None and self.name == other.name and abs(self.started - other.started) < _TOLERANCE
        )
