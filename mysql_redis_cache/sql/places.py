"""What may stand at each placeholder of a statement, by the words before it: assignments, rows, a list."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from .scanner import tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .scanner import Plan

__all__ = ["Place", "places"]


class Place(Enum):
    """Where a placeholder stands."""

    ASSIGNMENTS = "after SET or KEY UPDATE, or a comma of that list: a dict may stand here"
    ELEMENT = "in parentheses: the elements of a list may stand here"
    ROWS = "after VALUES, or in parentheses after row IN: rows may stand here"
    BARE = "elsewhere: a list needs parentheses of its own"


_CLAUSES = frozenset(
    (
        *("WHERE", "ORDER", "GROUP", "HAVING", "LIMIT", "UNION", "RETURNING", "INTO", "FOR", "LOCK"),
        *("OFFSET", "WINDOW", "PROCEDURE", "ON", ";"),
    )
)
# Before a parenthesis these begin a row, where the name of a function would begin its arguments.
_BEFORE_ROWS = frozenset(
    (
        *("SELECT", "DISTINCT", "WHERE", "HAVING", "ON", "AND", "OR", "XOR", "NOT", "ROW", "WHEN", "THEN"),
        *("ELSE", "CASE", "BY", "=", "<", ">", "!", "&", "|", "(", ",", ""),
    )
)


def places(text: str, plan: Plan) -> list[Place]:
    """Say for each placeholder of *text* where it stands, in one pass over its words."""
    walk, found = _Walk(), []
    for word in _words(text, plan):
        if word == _SLOT:
            found.append(walk.place)
        walk.pass_by(word)
    return found


_SLOT = ""


def _words(text: str, plan: Plan) -> Iterator[str]:
    """The words of *text*, an empty one for each placeholder."""
    slots = iter(plan.slots)
    slot = next(slots, None)
    for start, word in tokens(text, plan.mode):
        while slot is not None and slot.end <= start:
            yield _SLOT
            slot = next(slots, None)
        if slot is None or start < slot.start:
            yield word
    if slot is not None:
        yield from (_SLOT for _ in (slot, *slots))


class _Group:
    """Parentheses: the word before them, whether commas are in them, whether a row is looked for in them."""

    def __init__(self, before: str, *, is_for_rows: bool) -> None:
        self.before = before
        self.has_commas = False
        self.is_for_rows = is_for_rows

    @property
    def is_row(self) -> bool:
        return self.has_commas and self.before in _BEFORE_ROWS


class _Walk:
    """A walk along the words of a statement."""

    def __init__(self) -> None:
        self._previous = ""
        self._groups: list[_Group] = []
        self._is_after_row = False
        self._set_depth: int | None = None  # how deep in parentheses the list of assignments is, if in one
        self._is_assignment_next = False

    @property
    def place(self) -> Place:
        """What the next word may be."""
        if self._is_assignment_next:
            return Place.ASSIGNMENTS
        if self._groups and self._previous in {"(", ","}:
            return Place.ROWS if self._groups[-1].is_for_rows else Place.ELEMENT
        return Place.ROWS if self._previous in {"VALUES", "VALUE"} else Place.BARE

    def pass_by(self, word: str) -> None:
        """Go on behind *word*."""
        match word:
            case "(":
                self._groups.append(
                    _Group(self._previous, is_for_rows=self._previous == "IN" and self._is_after_row)
                )
            case ")" if self._groups:
                self._is_after_row = self._groups.pop().is_row
            case "," if self._groups:
                self._groups[-1].has_commas = True
        if word not in {")", "NOT", "IN"}:
            self._is_after_row = False
        self._follow_assignments(word)
        self._previous = word

    def _follow_assignments(self, word: str) -> None:
        depth = len(self._groups)
        self._is_assignment_next = False
        if word == "SET" or (self._previous, word) == ("KEY", "UPDATE"):
            self._set_depth, self._is_assignment_next = depth, True
        elif self._set_depth is None:
            return
        elif depth < self._set_depth or (depth == self._set_depth and word in _CLAUSES):
            self._set_depth = None
        else:
            self._is_assignment_next = word == "," and depth == self._set_depth
