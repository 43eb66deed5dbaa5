"""Params by name: a mapping fills ``%(name)s`` placeholders, and its values in order make a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

__all__ = ["NamedValues", "by_name", "picked"]


class NamedValues(tuple[object, ...]):
    """The values of a mapping as a tuple, for the key; a statement takes it like the mapping itself.

    Attributes:
        names: the name of each.
    """

    names: tuple[str, ...]

    @classmethod
    def of(cls, values: Mapping[str, object], names: Sequence[str]) -> NamedValues:
        """Make it of *values* in the order of *names*."""
        made = cls([values[name] for name in names])
        made.names = tuple(names)
        return made


def by_name(params: Mapping[str, object] | NamedValues, names: Collection[str]) -> Mapping[str, object]:
    """Return *params* as a mapping that has just these *names*.

    Raises:
        ValueError: a name is missing, or one is there that the query does not use.
    """
    values = dict(zip(params.names, params, strict=True)) if isinstance(params, NamedValues) else params
    missing = [name for name in names if name not in values]
    unused = [repr(name) for name in values if name not in names]
    if missing or unused:
        faults = [f"lack {', '.join(map(repr, missing))}"] if missing else []
        faults += [f"have {', '.join(unused)}, which it does not use"] if unused else []
        raise ValueError(f"the params of the query {' and '.join(faults)}")
    return values


def picked(names: Sequence[str], param_names: Sequence[str] | None) -> tuple[Sequence[str], Sequence[str]]:
    """Choose which of a query's *names* a key shows: those in *param_names*, or all.

    Returns:
        The names shown, in the order of the query, and all names with those in front.

    Raises:
        TypeError: *param_names* is no list or tuple.
        ValueError: it has a name that the query does not use.
    """
    if param_names is not None and not isinstance(param_names, (list, tuple)):
        raise TypeError(f"param_names must be a list or tuple of str, not {type(param_names).__name__}")
    if not param_names:
        return names, names
    if unknown := [name for name in param_names if name not in names]:
        raise ValueError(
            f"param_names has {', '.join(map(repr, unknown))}, which the query does not use; "
            f"it uses {', '.join(map(repr, names))}"
        )
    shown = [name for name in names if name in param_names]
    return shown, [*shown, *(name for name in names if name not in param_names)]
