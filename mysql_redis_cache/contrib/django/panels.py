"""A panel for Django Debug Toolbar: what became of the cached reads of a request."""
# pyright: reportAssignmentType=false, reportIncompatibleMethodOverride=false
# The toolbar's Panel is annotated in parts, and what subclasses are to set it has as properties.

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from debug_toolbar.panels import Panel

from .clients import clients

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from mysql_redis_cache.observe import Trace, TracedRead

__all__ = ["MRCPanel"]

ANSWERED = {"hit", "near", "stale"}


class MRCPanel(Panel):
    """The reads of each client of the setting ``MRC`` in a request, of blocking and async views.

    Name it in ``DEBUG_TOOLBAR_PANELS`` as ``"mysql_redis_cache.contrib.django.panels.MRCPanel"``.
    """

    is_async = True
    title = "Reads through MySQL Redis cache"
    nav_title = "MRC"
    template = "mysql_redis_cache/panel.html"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._traces: dict[str, Trace] = {}
        self._tracing = ExitStack()

    @property
    def nav_subtitle(self) -> str:
        """How many reads there were, and how many of them the cache answered."""
        found = self.get_stats()
        count = len(found.get("reads", ()))
        if not count:
            return "no reads"
        ratio = found["hit_ratio"]
        hits = "all past the cache" if ratio is None else f"{ratio:.0%} hits"
        return f"{count} read{'s' * (count > 1)}, {hits}"

    def enable_instrumentation(self) -> None:
        """Trace the reads that begin from here on: this request's, its tasks' and threads'."""
        for alias in clients:
            if alias not in self._traces:
                self._traces[alias] = self._tracing.enter_context(clients[alias].trace())

    def disable_instrumentation(self) -> None:
        """Trace no more."""
        self._tracing.close()

    def generate_stats(self, request: HttpRequest, response: HttpResponse) -> None:  # noqa: ARG002
        """Record what became of the reads; no values of params."""
        reads = [_told(alias, read) for alias, trace in self._traces.items() for read in trace.reads]
        asked = [read for read in reads if read["outcome"] != "bypassed"]
        answered = sum(read["outcome"] in ANSWERED for read in asked)
        self.record_stats({"reads": reads, "hit_ratio": answered / len(asked) if asked else None})

    def generate_server_timing(self, request: HttpRequest, response: HttpResponse) -> None:  # noqa: ARG002
        """Record how long the reads took, one after another."""
        reads = self.get_stats()["reads"]
        self.record_server_timing("reads", f"Cached reads: {len(reads)}", sum(read["ms"] for read in reads))


def _told(alias: str, read: TracedRead) -> dict[str, Any]:
    """Return what the toolbar keeps of a read: what JSON has."""
    return {
        "client": alias,
        "read": read.label or " ".join(read.query.split()),
        "outcome": read.outcome,
        "reason": read.reason,
        "ms": 1000 * read.seconds,
        "redis_ms": 1000 * read.redis_seconds,
        "mysql_ms": 1000 * read.mysql_seconds,
        "bytes": read.bytes,
    }
