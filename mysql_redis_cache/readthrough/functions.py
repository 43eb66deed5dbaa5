"""Functions that are given to be cached: whether they can be, and which of their arguments are the params."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["check_function", "positional_arguments"]


def check_function(fn: object) -> None:
    """Raise ``TypeError`` unless *fn* can be called."""
    if callable(fn):
        return
    if inspect.iscoroutine(fn):
        fn.close()
    raise TypeError(f"fn must be a function, not {type(fn).__name__}: pass the function, do not call it")


def positional_arguments(fn: Callable[..., Any], names: Sequence[str]) -> Callable[..., tuple[object, ...]]:
    """Return what turns a call's arguments into its params, by the signature of *fn*.

    Raises:
        TypeError: *fn* cannot be called or has keyword-only arguments; (of what is returned) the arguments
            do not fit *fn*.
        ValueError: there are more *names* than arguments.
    """
    check_function(fn)
    signature = inspect.signature(fn)
    kinds = [parameter.kind for parameter in signature.parameters.values()]
    only = [name for name, each in signature.parameters.items() if each.kind is each.KEYWORD_ONLY]
    if only:
        raise TypeError(f"a cached function takes no keyword-only arguments: {', '.join(only)}")
    if inspect.Parameter.VAR_POSITIONAL not in kinds and len(names) > len(kinds):
        raise ValueError(f"there are more param_names ({len(names)}) than arguments ({len(kinds)})")

    def positional(*args: object, **kwargs: object) -> tuple[object, ...]:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        if bound.kwargs:
            raise TypeError(f"a cached function takes no keyword-only arguments: {', '.join(bound.kwargs)}")
        return bound.args

    return positional
