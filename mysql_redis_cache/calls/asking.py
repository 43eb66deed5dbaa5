"""What the calls have in common: their options, and who carries them out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypedDict, TypeVar

from mysql_redis_cache.readthrough.reads import in_form

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from mysql_redis_cache.keys import Tagged
    from mysql_redis_cache.readthrough import Core
    from mysql_redis_cache.readthrough.many import Tasks
    from mysql_redis_cache.readthrough.reads import Asked, Read
    from mysql_redis_cache.readthrough.steps import Steps

__all__ = ["CallOptions", "Driven", "Driver", "OneCallOptions", "Windows", "answer"]

P = ParamSpec("P")
T = TypeVar("T")


class Windows(TypedDict, total=False):
    """How fresh one call wants its answer, instead of what the client says."""

    stale_while_revalidate: float | timedelta
    stale_if_error: float | timedelta
    early_refresh: float
    near: bool


class CallOptions(Windows, total=False):
    """The keyword options of cached reads, for the overloads of the calls."""

    refresh: bool
    cache: bool


class OneCallOptions(CallOptions, total=False):
    """The same of a call for one entry."""

    tags: Tagged
    label: str


class Driver(Protocol):
    """How a face carries out the steps of a read: with blocking calls, or from an event loop."""

    def run(self, steps: Steps | Tasks, read: Asked) -> Any:
        """Drive *steps* to their end; return the answer, or what is awaited for it."""

    def read(self, read: Read) -> Any:
        """Answer a read that is plain, as ``Core.is_plain`` says; as ``run``."""

    def check_function(self, fn: object) -> None:
        """Raise ``TypeError`` if it cannot call *fn*."""

    def load_of(self, fn: Callable[[], Any]) -> Any:
        """Return a call of *fn* as the load of a read."""


class Driven:
    """Calls that the client's driver carries out."""

    _core: Core
    _driver: Driver


def answer(asked: Driven, read: Read, *, refresh: bool, cache: bool) -> Any:
    """Have *read* answered, without any steps if a hit needs none but Get."""
    if cache and not refresh and asked._core.is_plain(read):  # noqa: SLF001 - of this module, as below
        return asked._driver.read(read)  # noqa: SLF001
    steps = asked._core.steps(read, refresh=refresh, cache=cache)  # noqa: SLF001
    return asked._driver.run(in_form(steps, read), read)  # noqa: SLF001
