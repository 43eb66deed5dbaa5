"""What is written at each placeholder: the value as SQL text, in the form that its place asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .literals import Unsendable, assignments, identifier, is_list, literal
from .places import Place, places

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .scanner import Plan, Slot

__all__ = ["write"]


def write(
    text: str,
    plan: Plan,
    values: Sequence[object],
    *,
    no_backslash_escapes: bool = False,
    placed: type | tuple[type, ...] = (dict, list, tuple),
) -> list[str]:
    """Write a value for each placeholder.

    Args:
        text: the statement.
        plan: its placeholders.
        values: a value for each.
        no_backslash_escapes: whether the session's sql_mode has ``NO_BACKSLASH_ESCAPES``.
        placed: types whose form depends on the words before the placeholder; the others need no look at them.

    Raises:
        TypeError: a value is of a type without SQL form.
        ValueError: a value would not reach the server unharmed. No message holds a value.
    """
    has_placed = any(isinstance(value, placed) for value in values)
    try:
        if plan.is_plain and not (plan.form != "?" and has_placed):
            return [literal(value, no_backslash_escapes) for value in values]
    except (Unsendable, RecursionError):
        pass  # a dict, which the careful way below may take, or an error, which it can locate
    where = places(text, plan) if has_placed else [Place.ELEMENT] * plan.placeholders
    return list(_write_each(plan, values, where, no_backslash_escapes))


def _write_each(
    plan: Plan, values: Sequence[object], where: Sequence[Place], no_backslash_escapes: bool
) -> Iterator[str]:
    for index, (slot, value, place) in enumerate(zip(plan.slots, values, where, strict=True)):
        try:
            yield _write(plan, slot, value, place, no_backslash_escapes)
        except Unsendable as fault:
            label = f"params[{plan.names[index]!r}]" if plan.names else f"params[{index}]"
            raise fault.error(label) from None


def _write(plan: Plan, slot: Slot, value: object, place: Place, no_backslash_escapes: bool) -> str:
    if slot.is_identifier:
        sql = identifier(value)
    elif isinstance(value, dict) and place is Place.ASSIGNMENTS:
        sql = assignments(value, no_backslash_escapes)
    else:
        sql = _literal(value, no_backslash_escapes)
    if plan.form != "?" and _needs_parentheses(value, place):
        sql = f"({sql})"
    # A server too old for the comment's number skips it, and sees no quotes in it, only where it ends.
    if slot.is_guarded and ("*/" in sql or "/*" in sql):
        raise Unsendable(
            "holds /* or */, and its placeholder is inside /*! */ or /*+ */: move it out", ValueError
        )
    return sql


def _literal(value: object, no_backslash_escapes: bool) -> str:
    try:
        return literal(value, no_backslash_escapes)
    except RecursionError:
        raise Unsendable("is nested too deeply, or contains itself", ValueError) from None


def _needs_parentheses(value: object, place: Place) -> bool:
    """Whether a list takes parentheses along, as with PyMySQL: where it stands they are not there yet."""
    if place is Place.ELEMENT or not is_list(value):
        return False
    return place is not Place.ROWS or not all(map(is_list, value))  # type: ignore[call-overload]
