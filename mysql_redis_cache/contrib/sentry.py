"""Sentry: ``sentry_sdk.init(integrations=[MRCIntegration()])`` fills its module on caches, and times loads.

All clients and servers of the program are seen, also those made before. Keys have values of params in front,
so Sentry is told the names of their pairs and the digest, unless it may have whole keys.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import sentry_sdk
from sentry_sdk.consts import OP, SPANDATA, SPANSTATUS
from sentry_sdk.integrations import Integration
from sentry_sdk.tracing import Span

from mysql_redis_cache import sql
from mysql_redis_cache.observe import (
    Drop,
    Fill,
    Hit,
    Load,
    Miss,
    NearHit,
    Stale,
    on_each,
)

if TYPE_CHECKING:
    from mysql_redis_cache.observe import Answer, Event, ReadEvent, Watch

__all__ = ["MRCIntegration"]

ORIGIN = "auto.cache.mysql_redis_cache"


class MRCIntegration(Integration):
    """Shows what caches do as spans of the transaction that is current.

    Args:
        keys: tell Sentry whole keys, which have values of params in front.
    """

    identifier = "mysql_redis_cache"

    def __init__(self, *, keys: bool = False) -> None:
        self.keys = keys

    @staticmethod
    def setup_once() -> None:
        """Listen to all clients and servers; Sentry calls it, once in a program."""
        on_each(_listen)


def _listen(watch: Watch) -> None:
    watch.events.subscribe(_answered, [Hit, NearHit, Stale, Miss], keys=True)
    watch.events.subscribe(_loaded, [Load])
    watch.events.subscribe(_filled, [Fill], keys=True)
    watch.events.subscribe(_dropped, [Drop])


def _answered(event: Answer) -> None:
    is_hit = not isinstance(event, Miss)
    span = _span(OP.CACHE_GET, event, _key_of(event), event.seconds)
    if span is None:
        return
    span.set_data(SPANDATA.CACHE_KEY, [_key_of(event)])
    span.set_data(SPANDATA.CACHE_HIT, is_hit)
    if is_hit:
        span.set_data(SPANDATA.CACHE_ITEM_SIZE, event.bytes)
    # Of a miss, the question alone: what came of it has spans of its own.
    _finish(span, event.seconds - (event.seconds if is_hit else event.redis_seconds))


def _loaded(event: Load) -> None:
    name = event.query
    if event.server is not None and sql.statement(name).takes_nothing:
        name = sql.masked(name)
    span = _span(OP.FUNCTION if event.server is None else OP.DB, event, name, event.seconds)
    if span is None:
        return
    if event.server is not None:
        span.set_data(SPANDATA.DB_SYSTEM, event.server.system)
        span.set_data(SPANDATA.DB_NAME, event.server.database)
        span.set_data(SPANDATA.SERVER_ADDRESS, event.server.address)
        span.set_data(SPANDATA.SERVER_PORT, event.server.port)
    if event.error is not None:
        span.set_status(SPANSTATUS.INTERNAL_ERROR)
    _finish(span)


def _filled(event: Fill) -> None:
    span = _span(OP.CACHE_PUT, event, _key_of(event), event.seconds)
    if span is None:
        return
    span.set_data(SPANDATA.CACHE_KEY, [_key_of(event)])
    span.set_data(SPANDATA.CACHE_ITEM_SIZE, event.bytes)
    _finish(span)


def _dropped(event: Drop) -> None:
    span = _span("cache.remove", event, ", ".join(event.names) or "entries", event.seconds)
    if span is None:
        return
    span.set_data(SPANDATA.CACHE_KEY, list(event.names))
    if event.error is not None:
        span.set_status(SPANSTATUS.INTERNAL_ERROR)
    _finish(span)


def _span(op: str, event: Event, name: str, seconds: float) -> Span | None:
    """Return a span of what began so many seconds ago; ``None`` if nobody wants one."""
    client = sentry_sdk.get_client()
    if not client.is_active() or client.get_integration(MRCIntegration) is None:
        return None
    current = sentry_sdk.get_current_span()
    if not isinstance(current, Span):  # there is none, or it is streamed: those have no beginning in the past
        return None
    began = time.time() - seconds
    span = current.start_child(op=op, name=name, origin=ORIGIN, start_timestamp=began)
    span.set_data("mysql_redis_cache.name", event.client)
    return span


def _finish(span: Span, ago: float = 0.0) -> None:
    span.finish(end_timestamp=time.time() - ago)


def _key_of(event: ReadEvent) -> str:
    integration = sentry_sdk.get_client().get_integration(MRCIntegration)
    if integration is not None and integration.keys and event.key is not None:
        return event.key
    return "".join(f"{name}=…_" for name in event.names) + event.digest
