"""``opentelemetry-instrument python app.py``: all clients and servers instrumented, by no line of code."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined]  # to mypy it has no names
    BaseInstrumentor,
)

from mysql_redis_cache.observe import on_each

from .opentelemetry import instrument

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from mysql_redis_cache.observe import Watch

__all__ = ["MRCInstrumentor"]

OPTIONS = ("tracer_provider", "meter_provider", "hits", "db_query_text")


class MRCInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # it has no types
    """Instruments all clients and servers of the program; takes the options of ``instrument``."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return what has to be there: this package is."""
        return ()

    def _instrument(self, **given: Any) -> None:
        options = {name: given[name] for name in OPTIONS if name in given}
        self._instrumented: WeakKeyDictionary[Watch, Callable[[], None]] = WeakKeyDictionary()
        self._end = on_each(partial(self._follow, options))

    def _uninstrument(self, **given: Any) -> None:  # noqa: ARG002 - as it is called
        self._end()
        for end in list(self._instrumented.values()):
            end()

    def _follow(self, options: dict[str, Any], watch: Watch) -> None:
        self._instrumented[watch] = instrument(watch, **options)
