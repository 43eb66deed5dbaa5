"""From what a user configures to a way to Redis: only connection arguments are taken."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Hashable, Mapping
from ssl import CERT_NONE
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.connection import UnixDomainSocketConnection, parse_url
from redis.sentinel import SentinelConnectionPool

from .bounds import TIMEOUT, bounded, checked_maker
from .cluster import Cluster
from .sentinel import Masters
from .single import Server

__all__ = ["Link", "link"]

Link = Server | Cluster

MAX_CONNECTIONS = 50
# What pools have whose makers said nothing; it depends on redis-py's version.
_UNLIMITED = {redis.ConnectionPool().max_connections, redis.BlockingConnectionPool().max_connections}
_KNOWN = frozenset(inspect.signature(redis.Redis.__init__).parameters) - {"self", "connection_pool"}
# What of a configuration is used. The rest of redis-py's options (retries, RESP3, decoding, its own cache,
# health checks) would break the guarantees of this folder, and is accepted but left alone.
_TIMEOUTS = frozenset({"socket_timeout", "socket_connect_timeout"})
_COMMON = _TIMEOUTS | {"db", "username", "password", "credential_provider", "client_name"}
_TCP = _COMMON | {"host", "port", "socket_keepalive", "socket_keepalive_options"}
_TLS = _TCP | {name for name in _KNOWN if name.startswith("ssl_")}
_UNIX = _COMMON | {"path"}
# What a ready client has when its maker said nothing: no reason to wait longer than by default.
_UNSAID = {name: inspect.signature(redis.Redis.__init__).parameters[name].default for name in _TIMEOUTS}


def link(config: Mapping[str, Any] | str | object, *, timeout: float = TIMEOUT) -> Link:
    """Return the way to the Redis that *config* names; nothing is opened yet.

    Args:
        config: redis-py's keyword arguments; a ``redis://``, ``rediss://`` or ``unix://`` URL; or a ready
            ``redis.Redis``, ``redis.RedisCluster`` or Sentinel master client, of which only the connection
            arguments are taken.
        timeout: seconds to wait for a connection and for a reply, where *config* does not say.

    Raises:
        TypeError: it is none of these, or an asyncio client.
        ValueError: an unknown option, a bad value, or a client that reads from replicas.
    """
    if isinstance(config, str):
        return _from_url(config, timeout)
    if isinstance(config, redis.Redis):
        return _from_client(config, timeout)
    if isinstance(config, redis.RedisCluster):
        return _from_cluster(config, timeout)
    if isinstance(config, Mapping):
        return _from_options(config, timeout)
    kind = f"{type(config).__module__}.{type(config).__name__}"
    if kind.startswith("redis.asyncio."):
        raise TypeError(
            f"redis_config is a {kind}; pass a blocking redis.Redis, also to the asynchronous clients, "
            "which use it in threads"
        )
    raise TypeError(f"redis_config must be a dict, a URL, a redis.Redis or a redis.RedisCluster, not {kind}")


def _from_url(url: str, timeout: float) -> Link:
    options = _url_options(url)
    if options is None:
        raise ValueError(
            "redis_config is not a redis://, rediss:// or unix:// URL, or a part of it has a bad value; "
            "in a password, percent-encode special characters"
        )
    options.pop("timeout", None)  # redis-py's, for its pool
    kind = options.pop("connection_class", redis.Connection)
    if "path" in options:
        options["unix_socket_path"] = options.pop("path")
    return _from_options(
        {**options, "ssl": kind is redis.SSLConnection or options.get("ssl", False)}, timeout
    )


def _url_options(url: str) -> dict[str, Any] | None:
    """Take a URL apart; ``None`` if that fails, without words that may quote a piece of a password."""
    try:
        options = dict(parse_url(url))
        parts = urlsplit(url)
    except ValueError:
        return None
    return None if "@" in parts.path + parts.query + parts.fragment else options  # there a password went on


def _from_options(options: Mapping[str, Any], timeout: float) -> Link:
    for name in options:
        if name not in _KNOWN:
            near = difflib.get_close_matches(str(name), _KNOWN, n=1)
            advice = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"redis_config has an unknown option: {name}{advice}")
    kind: type[Any]
    if options.get("unix_socket_path"):
        kind, names = UnixDomainSocketConnection, _UNIX
        options = {**options, "path": options["unix_socket_path"]}
    else:
        kind, names = (redis.SSLConnection, _TLS) if options.get("ssl") else (redis.Connection, _TCP)
    taken = bounded({name: value for name, value in options.items() if name in names}, timeout)
    if names is _TLS:  # the default depends on redis-py's version, and is not always this
        taken.setdefault("ssl_check_hostname", taken.get("ssl_cert_reqs") not in {"none", CERT_NONE})
    target = _target(kind, taken)
    return Server(checked_maker(kind, taken), _limit(options), taken["socket_timeout"], target)


def _limit(options: Mapping[str, Any]) -> int:
    limit = options.get("max_connections")
    if limit is None:
        return MAX_CONNECTIONS
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise ValueError(f"redis_config: max_connections must be a positive int, not {limit!r}")
    return limit


def _from_client(client: redis.Redis, timeout: float) -> Link:
    pool = client.connection_pool
    if pool.connection_class.__module__.startswith("fakeredis."):
        raise TypeError(
            "redis_config is a client of fakeredis, whose connections are no sockets; pass the URL of its "
            "TcpFakeServer, which mysql_redis_cache.testing.fake_redis() starts"
        )
    taken = bounded(_said(pool.connection_kwargs), timeout)
    limit = MAX_CONNECTIONS if pool.max_connections in _UNLIMITED else pool.max_connections
    if not isinstance(pool, SentinelConnectionPool):
        make, target = checked_maker(pool.connection_class, taken), _target(pool.connection_class, taken)
        return Server(make, limit, taken["socket_timeout"], target)
    if not pool.is_master:
        raise _reads_from_replicas("use master_for()")
    pools = [sentinel.connection_pool for sentinel in pool.sentinel_manager.sentinels]
    asked = [(asked.connection_class, bounded(_said(asked.connection_kwargs), timeout)) for asked in pools]
    masters = Masters(pool, taken, asked)
    target = (pool.service_name, _target(type(pool), taken), *(_target(*each) for each in asked))
    server = Server(masters.make, limit, taken["socket_timeout"], target)
    masters.on_change = server.drain
    return server


def _from_cluster(client: redis.RedisCluster, timeout: float) -> Link:
    if client.read_from_replicas or getattr(client, "load_balancing_strategy", None):
        raise _reads_from_replicas("turn that off")
    manager = client.nodes_manager
    given = manager.connection_kwargs
    kind = given.get("connection_class", redis.Connection)
    if given.get("ssl"):
        kind = redis.SSLConnection
    here = {"host", "port", "db", "path"}
    taken = bounded({name: value for name, value in _said(given).items() if name not in here}, timeout)
    limit = _limit(given)
    nodes = [*manager.startup_nodes.values(), *manager.nodes_cache.values()]
    seeds = {(node.host, int(node.port)) for node in nodes}

    def make_server(host: str, port: int) -> Server:
        make = checked_maker(kind, {**taken, "host": host, "port": port})
        return Server(make, limit, taken["socket_timeout"])

    target = (frozenset(seeds), _target(kind, taken), manager.address_remap)
    return Cluster(seeds, make_server, taken["socket_timeout"], manager.address_remap, target)


# What connections are made with anew each time, and yet alike.
_ALIKE = frozenset({"retry", "parser_class", "redis_connect_func"})


def _target(kind: type[Any], arguments: Mapping[str, Any]) -> Hashable:
    """Return what is equal for arguments that lead to the same place in the same way."""
    said = {name: value for name, value in arguments.items() if name not in _ALIKE}
    return kind, frozenset((name, _value(value)) for name, value in said.items())


def _value(value: object) -> Hashable:
    return value if isinstance(value, Hashable) else id(value)


def _said(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the connection arguments of a ready client, as far as its maker gave them."""
    taken = {name: value for name, value in options.items() if name in _TLS | _UNIX}
    return {name: value for name, value in taken.items() if name not in _UNSAID or value != _UNSAID[name]}


def _reads_from_replicas(advice: str) -> ValueError:
    return ValueError(f"redis_config is a client that reads from replicas, which serve stale rows; {advice}")
