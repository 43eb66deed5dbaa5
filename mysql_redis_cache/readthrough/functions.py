"""Functions that are given to be cached: whether they can be, and which of their arguments are the params."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mysql_redis_cache.keys.jstext import plain
from mysql_redis_cache.values.given import json_gives, returned
from mysql_redis_cache.values.hints import name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "NEEDS_FACADE",
    "Arguments",
    "Stopped",
    "check_blocking_function",
    "check_function",
    "check_returned",
    "passable",
]


NEEDS_FACADE = "fn gives an awaitable: a coroutine function needs AsyncMRCClient"


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


def check_blocking_function(fn: object) -> None:
    """Raise ``TypeError`` unless *fn* can be called and gives its result, not something to await."""
    check_function(fn)
    if inspect.iscoroutinefunction(fn):
        raise TypeError(NEEDS_FACADE)


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


class Arguments:
    """What turns a call's arguments into its params and their names, by the signature of a function.

    Args:
        fn: the function.
        names: of the first arguments, in their order; or by the names of the arguments, a mapping, which may
            name keyword-only ones. What it names comes first in the key.
        ignore: names of arguments that are no part of the key.

    Raises:
        TypeError: *fn* cannot be called; it has keyword-only arguments, and *names* is no mapping; it has
            arguments, and *names* is ``None``; or *ignore* is no list or tuple of str.
        ValueError: there are more *names* than arguments; or *names* or *ignore* has one that *fn* has not.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        names: Sequence[str] | Mapping[str, str] | None,
        ignore: Sequence[str] = (),
    ) -> None:
        check_function(fn)
        self._fn = fn
        self._signature = inspect.signature(fn)
        self._ignored = self._known("ignore", ignore)
        used = {
            name: each.kind for name, each in self._signature.parameters.items() if name not in self._ignored
        }
        only = [name for name, kind in used.items() if kind is _ONLY]
        self._first: list[str] = []
        self._last: list[str] = sorted(only)
        if isinstance(names, Mapping):
            self._first = self._known("param_names", list(names))
            self._last = [name for name in self._last if name not in names]
            names = list(names.values())
        elif only:
            raise TypeError(
                f"a cached function takes no keyword-only arguments: {', '.join(only)}; name the arguments, "
                f"as in param_names={{{only[0]!r}: {only[0].title()!r}}}, or put them into ignore="
            )
        self._middle = [name for name, kind in used.items() if kind is not _ONLY and name not in self._first]
        _check_names(names, used)
        self.names = names
        self._owner = _owner(fn)

    def of(self, args: Sequence[object], kwargs: Mapping[str, object]) -> tuple[object, ...]:
        """Return the params of a call.

        Raises:
            TypeError: the arguments do not fit, or the first is the object whose method it is.
        """
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        params = [given[name] for name in self._first]
        for name in self._middle:
            params += self._values(name, given[name])
        params += [given[name] for name in self._last]
        if self._owner and params:
            _check_is_param(self._fn, self._owner, params[0])
        return tuple(params)

    def _values(self, name: str, value: Any) -> Sequence[object]:
        kind = self._signature.parameters[name].kind
        if kind is _REST:
            return value  # type: ignore[no-any-return]
        if kind is not _KEYWORDS:
            return [value]
        if value:
            raise TypeError(f"a cached function takes no keyword-only arguments: {', '.join(value)}")
        return []

    def _known(self, label: str, names: Sequence[str]) -> list[str]:
        if not isinstance(names, (list, tuple)):
            raise TypeError(f"{label} must be a list or tuple of str, not {type(names).__name__}")
        kinds = {name: each.kind for name, each in self._signature.parameters.items()}
        for name in names:
            if name not in kinds or (label != "ignore" and kinds[name] in {_REST, _KEYWORDS}):
                raise ValueError(f"{label} names {name!r}, which is no argument of {_named(self._fn)}")
        return list(names)


_ONLY = inspect.Parameter.KEYWORD_ONLY
_REST = inspect.Parameter.VAR_POSITIONAL
_KEYWORDS = inspect.Parameter.VAR_KEYWORD


def _check_names(names: Sequence[str] | None, used: Mapping[str, Any]) -> None:
    if names is None and used:
        raise TypeError("param_names must be a list or tuple of str, not NoneType")
    if _REST not in used.values() and len(names or ()) > len(used):
        raise ValueError(f"there are more param_names ({len(names or ())}) than arguments ({len(used)})")


def _named(fn: Callable[..., Any]) -> str:
    return getattr(fn, "__name__", type(fn).__name__)


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
            "every argument is: leave it out by ignore=['self'] if nothing of it matters, or put "
            "@staticmethod above the decorator and pass what identifies it, or decorate the bound method, "
            "cached(...)(self.method)"
        ) from None
