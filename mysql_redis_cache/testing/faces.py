"""The parts of a client or server, whichever face of it a test holds; nobody else here looks inside one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from mysql_redis_cache.aio import AsyncMRCClient, AsyncMRCServer
from mysql_redis_cache.calls import BlockingClient, BlockingServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mysql_redis_cache.drops import Drops
    from mysql_redis_cache.readthrough import Core
    from mysql_redis_cache.store import Link

__all__ = ["Client", "Face", "core_of", "drops_of", "links_of", "prefix_of", "replaced"]

Client: TypeAlias = BlockingClient | AsyncMRCClient
Face: TypeAlias = Client | BlockingServer | AsyncMRCServer


def core_of(face: Face) -> Core | None:
    """Return the parts of a client; ``None`` of a server.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(face, (BlockingClient, AsyncMRCClient)):
        return face._core  # noqa: SLF001 - see above
    _server(face)
    return None


def drops_of(face: Face) -> Drops | None:
    """Return what performs its drops; ``None`` of a client without Redis."""
    core = core_of(face)
    return _server(face)._drops if core is None else core.drops  # noqa: SLF001 - see above


def links_of(face: Face) -> Sequence[Link]:
    """Return its ways to Redis; the last is that for what can be had nowhere else."""
    core = core_of(face)
    return (_server(face)._link,) if core is None else core.links  # noqa: SLF001 - see above


def prefix_of(face: Face) -> str:
    """Return what stands in front of its keys."""
    core = core_of(face)
    namespace = _server(face)._namespace if core is None else core.options.namespace  # noqa: SLF001 - see above
    return namespace.prefix


def _server(face: Any) -> BlockingServer:
    if isinstance(face, AsyncMRCServer):
        face = face._blocking  # noqa: SLF001 - see above
    if not isinstance(face, BlockingServer):
        raise TypeError(f"this is for a client or server of mysql_redis_cache, not {type(face).__name__}")
    return face


@contextmanager
def replaced(thing: Any, name: str, substitute: Any) -> Iterator[None]:
    """Have the attribute *name* of one object be *substitute*, for the block."""
    before = vars(thing).get(name, _NOTHING)
    setattr(thing, name, substitute)
    try:
        yield
    finally:
        if before is _NOTHING:
            delattr(thing, name)
        else:
            setattr(thing, name, before)


_NOTHING = object()
