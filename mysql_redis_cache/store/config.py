"""From what a user configures to a way to Redis: only connection arguments are taken."""

from __future__ import annotations

import difflib
import inspect
from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool, parse_url
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from .cluster import Cluster
from .single import Server

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Link", "link"]

Link = Server | Cluster

TIMEOUT = 0.25
MAX_CONNECTIONS = 50
_REDIS_OPTIONS = frozenset(inspect.signature(redis.Redis.__init__).parameters) - {"self", "connection_pool"}
# What of a configuration is used. The rest of redis-py's options (retries, RESP3, decoding, its own cache,
# health checks) would break the guarantees above, and is accepted but left alone.
_TAKEN = {
    *("host", "port", "path", "db", "username", "password", "credential_provider", "client_name"),
    *("socket_timeout", "socket_connect_timeout", "socket_keepalive", "socket_keepalive_options"),
} | {name for name in _REDIS_OPTIONS if name.startswith("ssl_")}
_DEFAULTS = {
    name: parameter.default for name, parameter in inspect.signature(redis.Redis.__init__).parameters.items()
}


def link(config: Mapping[str, Any] | str | object) -> Link:
    """Return the way to the Redis that *config* names; nothing is opened yet.

    Args:
        config: redis-py's keyword arguments; a ``redis://``, ``rediss://`` or ``unix://`` URL; or a ready
            ``redis.Redis``, ``redis.RedisCluster`` or Sentinel master client, of which only the connection
            arguments are taken.

    Raises:
        TypeError: it is none of these, or an asyncio client.
        ValueError: an unknown option, or a client that reads from replicas.
    """
    if isinstance(config, str):
        return _from_url(config)
    if isinstance(config, redis.Redis):
        return _from_client(config)
    if isinstance(config, redis.RedisCluster):
        return _from_cluster(config)
    if isinstance(config, dict):
        return _from_options(config)
    raise TypeError(
        "redis_config must be a dict, a URL, a redis.Redis, a redis.RedisCluster or None, "
        f"not {type(config).__module__}.{type(config).__name__}"
    )


def _from_url(url: str) -> Link:
    try:
        options = parse_url(url)
    except ValueError as error:
        raise ValueError(f"redis_config is not a redis://, rediss:// or unix:// URL: {error}") from None
    secure = options.pop("connection_class", None) is redis.SSLConnection
    return _from_options(
        {**options, **({"ssl": True} if secure else {})}, known=_REDIS_OPTIONS | {"path", "timeout"}
    )


def _from_options(options: Mapping[str, Any], known: frozenset[str] = _REDIS_OPTIONS) -> Link:
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            advice = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"redis_config has an unknown option: {name}{advice}")
    options = {("unix_socket_path" if name == "path" else name): value for name, value in options.items()}
    options.pop("timeout", None)
    return _from_client(redis.Redis(**options), limit=options.get("max_connections"))


def _from_client(client: redis.Redis, limit: int | None = None) -> Link:
    pool = client.connection_pool
    taken = _taken(pool.connection_kwargs)
    limit = limit or MAX_CONNECTIONS
    if not isinstance(pool, SentinelConnectionPool):
        own = ConnectionPool(connection_class=pool.connection_class, **taken)
        return Server(own.make_connection, limit, taken["socket_timeout"])
    if not pool.is_master:
        raise ValueError(
            "redis_config is a client that reads from replicas, which serve stale rows; use master_for()"
        )
    watcher = _own_sentinel(pool.sentinel_manager, taken)
    secure = issubclass(pool.connection_class, redis.SSLConnection)
    own = SentinelConnectionPool(pool.service_name, watcher, ssl=secure, **taken)
    return Server(own.make_connection, limit, taken["socket_timeout"])


def _own_sentinel(sentinel: Sentinel, taken: Mapping[str, Any]) -> Sentinel:
    """Return the same sentinels, asked without the ten retries of their ordinary clients."""
    bounded = {
        name: taken[name] for name in ("socket_timeout", "socket_connect_timeout", "retry", "protocol")
    }
    asked = [client.connection_pool.connection_kwargs for client in sentinel.sentinels]
    credentials = _taken(asked[0]) if asked else {}
    credentials = {name: value for name, value in credentials.items() if name not in {"host", "port", "db"}}
    own = Sentinel(
        [(kwargs["host"], kwargs["port"]) for kwargs in asked], sentinel_kwargs={**credentials, **bounded}
    )
    own.min_other_sentinels = sentinel.min_other_sentinels
    return own


def _from_cluster(client: redis.RedisCluster) -> Link:
    if client.read_from_replicas or client.load_balancing_strategy:
        raise ValueError(
            "redis_config is a client that reads from replicas, which serve stale rows; turn that off"
        )
    manager = client.nodes_manager
    secure = issubclass(
        manager.connection_kwargs.get("connection_class", redis.Connection), redis.SSLConnection
    )
    taken = _taken(manager.connection_kwargs)
    taken = {name: value for name, value in taken.items() if name not in {"host", "port", "db", "path"}}
    nodes = [redis.cluster.ClusterNode(node.host, node.port) for node in manager.startup_nodes.values()]

    def make_client() -> Any:
        # Two retries: one for a slot that has moved, one for a node that has gone.
        retry = Retry(NoBackoff(), 2)
        return redis.RedisCluster(startup_nodes=nodes, **{**taken, "retry": retry, "ssl": secure})

    def make_server(host: str, port: int) -> Server:
        connection = redis.SSLConnection if secure else redis.Connection
        pool = ConnectionPool(connection_class=connection, host=host, port=port, **taken)
        return Server(pool.make_connection, MAX_CONNECTIONS, taken["socket_timeout"])

    return Cluster(make_client, make_server)


def _taken(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the connection arguments among *options*, with this library's own for all the others."""
    taken = {
        name: value
        for name, value in options.items()
        if name in _TAKEN and value is not None and value is not _DEFAULTS.get(name)
    }
    if not taken.get("path"):
        taken.setdefault("host", "localhost")
        taken.setdefault("port", 6379)
    timeouts = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT}
    return {
        **timeouts,
        **taken,
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
        "redis_connect_func": _connect_whole,
        "lib_name": None,
        "lib_version": None,
    }


def _connect_whole(connection: Any) -> None:
    """Log in and select the database, or leave no half-set-up connection behind."""
    try:
        connection.on_connect()
    except BaseException:
        connection.disconnect()
        raise
