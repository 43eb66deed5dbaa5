"""Params by name: a mapping fills ``:name`` or ``%(name)s``, and its values in order make a key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

__all__ = ["NamedValues", "Order", "alphabetical", "by_name", "picked"]


class NamedValues(tuple[object, ...]):
    """The values of a mapping as a tuple, for the key; a statement takes it like the mapping itself.

    Attributes:
        names: the name of each.
    """

    names: tuple[str, ...]

    @classmethod
    def of(cls, values: Mapping[str, object], names: Sequence[str]) -> NamedValues:
        """Make it of *values* in the order of *names*."""
        made = cls(map(values.__getitem__, names))
        made.names = tuple(names)
        return made


class Order(NamedTuple):
    """The order of a query's names as one call had it; the next one very likely has the same.

    Attributes:
        asked: the ``param_names`` of the call.
        names: all names, the shown ones first.
        shown: those that the key shows.
    """

    asked: tuple[str, ...]
    names: tuple[str, ...]
    shown: Sequence[str]

    def suits(self, params: dict[str, object], param_names: Sequence[str] | None) -> bool:
        """Whether a call with these has it too."""
        return (
            (param_names is None or isinstance(param_names, (list, tuple)))
            and tuple(param_names or ()) == self.asked
            and len(params) == len(self.names)
            and all(name in params for name in self.names)
        )


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


def alphabetical(
    params: Sequence[object] | Mapping[str, object], param_names: Sequence[str] | None
) -> tuple[NamedValues, Sequence[str]]:
    """Put the params of a signature in order: those that *param_names* picks, then by the alphabet.

    Returns:
        The values, and the names of the first ones, which the key shows.

    Raises:
        TypeError: *params* is no mapping, or a name in it no str.
        ValueError: *param_names* has a name that is not there.
    """
    if not isinstance(params, Mapping):
        raise TypeError(f"params must be a list, tuple or mapping, not {type(params).__name__}")
    for name in params:
        if not isinstance(name, str):
            raise TypeError(f"the names of the params must be str, not {type(name).__name__}")
    shown, names = picked(sorted(params), param_names)
    return NamedValues.of(params, names), shown
