"""Processes that follow the binary log, as they tell of themselves. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

__all__ = ["Follower"]

_COUNTED = ("events", "transactions", "values", "wide", "dropped", "afresh")


@dataclass(frozen=True, slots=True)
class Follower:
    """One such process.

    Attributes:
        name: the follower's.
        state: as its ``stats()``, without GTIDs.
        line: how it is doing.
        counts: what can be added up of it, each with ``follow_`` in front.
    """

    name: str
    state: Mapping[str, Any]
    line: str
    counts: Mapping[str, int]

    @classmethod
    def of(cls, notice: Mapping[str, Any]) -> Self:
        """Make it of what it has told.

        Raises:
            KeyError, TypeError, ValueError: it is of another version.
        """
        state = notice["state"]
        counts = {f"follow_{name}": int(state[name]) for name in _COUNTED}
        return cls(str(notice["follower"]), state, _line(state), counts)

    @property
    def leads(self) -> bool:
        """Whether it drops; others stand by."""
        return bool(self.state["leader"])

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"name": self.name, **self.state}


def _line(state: Mapping[str, Any]) -> str:
    problem = f", waits: {state['problem']}" if state["problem"] else ""
    if not state["leader"]:
        return f"stands by{problem}"
    place = f", at {state['file']}:{state['offset']}" if state["file"] else ""
    drops = f"{state['values']:,} drops exact, {state['wide']:,} wide"
    behind = f"{state['lag']:.1f} s and {state['pending']:,} transactions behind"
    return f"leads, {behind}{problem}, {drops}{place}"
