"""Functions that are given to be cached: whether they can be, and which of their arguments are the params."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from mysql_redis_cache.keys.jstext import plain
from mysql_redis_cache.values.given import json_gives, returned
from mysql_redis_cache.values.hints import name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Stopped", "check_function", "check_returned", "passable", "positional_arguments"]


class Stopped(Exception):
    """A ``StopIteration`` on its way through a generator, which would take it for an end of its own.

    Attributes:
        error: it.
    """

    def __init__(self, error: StopIteration) -> None:
        super().__init__()
        self.error = error


def passable(error: BaseException) -> BaseException:
    """Return *error* in a form that can be thrown into a generator and comes out again."""
    return Stopped(error) if isinstance(error, StopIteration) else error


def check_function(fn: object) -> None:
    """Raise ``TypeError`` unless *fn* can be called."""
    if isinstance(fn, (staticmethod, classmethod)):
        kind = type(fn).__name__
        raise TypeError(f"fn must be a function, not {kind}: put @{kind} above the decorator, not below it")
    if callable(fn):
        return
    if inspect.iscoroutine(fn):
        fn.close()
    raise TypeError(f"fn must be a function, not {type(fn).__name__}: pass the function, do not call it")


def check_returned(fn: Callable[..., Any]) -> None:
    """Raise ``TypeError`` if *fn* says that it returns what JSON does not give back."""
    hint = returned(fn)
    given = json_gives(hint)
    if given is None:
        return
    name, kind = getattr(fn, "__name__", "fn"), name_of(hint)
    raise TypeError(
        f"{name} returns {kind}, and from a cache without into= comes {given}: write cached(..., "
        f"into={kind}), or annotate what JSON gives back"
    )


def positional_arguments(
    fn: Callable[..., Any], names: Sequence[str] | None
) -> Callable[..., tuple[object, ...]]:
    """Return what turns a call's arguments into its params, by the signature of *fn*.

    Raises:
        TypeError: *fn* cannot be called, has keyword-only arguments, or arguments for which *names* is
            ``None``; (of what is returned) the arguments do not fit *fn*, or the first is the object whose
            method it is.
        ValueError: there are more *names* than arguments.
    """
    check_function(fn)
    signature = inspect.signature(fn)
    kinds = [parameter.kind for parameter in signature.parameters.values()]
    only = [name for name, each in signature.parameters.items() if each.kind is each.KEYWORD_ONLY]
    if only:
        raise TypeError(f"a cached function takes no keyword-only arguments: {', '.join(only)}")
    if names is None and kinds:
        raise TypeError("param_names must be a list or tuple of str, not NoneType")
    if inspect.Parameter.VAR_POSITIONAL not in kinds and len(names or ()) > len(kinds):
        raise ValueError(f"there are more param_names ({len(names or ())}) than arguments ({len(kinds)})")
    owner = _owner(fn)

    def positional(*args: object, **kwargs: object) -> tuple[object, ...]:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        if bound.kwargs:
            raise TypeError(f"a cached function takes no keyword-only arguments: {', '.join(bound.kwargs)}")
        if owner and bound.args:
            _check_is_param(fn, owner, bound.args[0])
        return bound.args

    return positional


def _owner(fn: Callable[..., Any]) -> str:
    """Return the name of the class in whose body *fn* was defined, if it was in one and is not bound."""
    owner = getattr(fn, "__qualname__", "").rpartition(".")[0]
    return "" if inspect.ismethod(fn) or owner.endswith("<locals>") else owner


def _check_is_param(fn: Callable[..., Any], owner: str, first: object) -> None:
    """Raise ``TypeError`` if *first* is the object or class whose method *fn* is, and no key can have it."""
    kind = first if isinstance(first, type) else type(first)
    if owner not in {base.__qualname__ for base in kind.__mro__}:
        return
    try:
        plain(first)
    except (TypeError, ValueError):
        raise TypeError(
            f"{fn.__name__} is a method, and its first argument ({kind.__qualname__}) would be a param, as "
            "every argument is: put @staticmethod above the decorator and pass what identifies it, or "
            "decorate the bound method, cached(...)(self.method)"
        ) from None
