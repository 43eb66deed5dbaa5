"""What this library set out to reach, beside what was measured: figures to read, not tests that fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from report import table

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Aim:
    """One aim.

    Attributes:
        what: what is compared.
        wanted: the bound, such as ``at most 1.15 ×``.
        measured: the figure, with its spread where it has one.
        is_reached: whether the median keeps the bound.
    """

    what: str
    wanted: str
    measured: str
    is_reached: bool


def aims_table(aims: Sequence[Aim]) -> str:
    """The *aims* as Markdown."""
    rows = [[aim.what, aim.wanted, aim.measured, "yes" if aim.is_reached else "**no**"] for aim in aims]
    return table(["", "aim", "measured", "reached"], rows)
