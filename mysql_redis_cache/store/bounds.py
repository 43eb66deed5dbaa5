"""How connections are made here: within bounds of time, whole or not at all."""

from __future__ import annotations

import inspect
import logging
import re
from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection
from redis.retry import Retry

from mysql_redis_cache.keys.pairs import SURROGATE
from mysql_redis_cache.policy import LONGEST_WAIT, shown

from .replies import Parser
from .sharing import sharing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["PATIENT", "TIMEOUT", "bounded", "checked_maker"]

TIMEOUT = 0.25
"""Seconds a read waits for Redis by default: it has another way to its rows."""

PATIENT = 2.0
"""Seconds a drop or a direct write waits by default: it has none, and would fail for a moment's delay."""

logger = logging.getLogger("mysql_redis_cache.redis")

_NAME = re.compile("[!-~]*")  # what CLIENT SETNAME takes
# By which name a redis-py is told not to spend two commands on naming itself to the server.
_NAMELESS = (
    {"driver_info": None}
    if "driver_info" in inspect.signature(AbstractConnection.__init__).parameters
    else {"lib_name": None, "lib_version": None}
)


def bounded(options: Mapping[str, Any], timeout: float = TIMEOUT) -> dict[str, Any]:
    """Return connection arguments with bounds on every wait, and nothing retried behind our back.

    Args:
        options: connection arguments; a timeout of ``None`` means the default.
        timeout: that default, seconds.

    Raises:
        ValueError: a timeout that is not positive or cannot be waited, a port or database that cannot be.
    """
    taken = {name: value for name, value in options.items() if value is not None}
    for name, least, most in (("port", 1, 65_535), ("db", 0, 2**31 - 1)):
        if name in taken:
            taken[name] = _whole(name, taken[name], least, most)
    if taken.get("db"):
        taken["db"] = str(taken["db"])  # for SELECT: hiredis must not be given numbers (see single.py)
    if taken.get("ssl_keyfile") or taken.get("ssl_certfile"):
        taken.setdefault("ssl_password", "")  # without one OpenSSL would ask at the terminal, and wait
    client_name = taken.get("client_name", "")
    if not isinstance(client_name, str) or not _NAME.fullmatch(client_name):
        raise ValueError("redis_config: client_name must be a str of ASCII characters without spaces")
    for name in ("username", "password"):
        if not isinstance(taken.get(name, ""), (str, bytes)) or _is_cut(taken.get(name, "")):
            raise ValueError(f"redis_config: {name} must be a str without half surrogate pairs, or bytes")
    for name in ("socket_timeout", "socket_connect_timeout"):
        taken.setdefault(name, timeout)
        value = taken[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= LONGEST_WAIT:
            raise ValueError(f"redis_config: {name} must be positive seconds, not {shown(value)}")
    return {
        **taken,
        **_NAMELESS,
        "protocol": 2,  # under RESP3 redis-py does not look for unread replies
        "retry": Retry(NoBackoff(), 0),
        "parser_class": Parser,
        "redis_connect_func": _connect_whole,
    }


def _whole(name: str, value: object, least: int, most: int) -> int:
    number = int(value) if isinstance(value, (str, bytes)) and value.isdigit() and len(value) < 20 else value
    if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
        raise ValueError(f"redis_config: {name} must be a whole number from {least} to {most}")
    return number


def _is_cut(text: str | bytes) -> bool:
    return isinstance(text, str) and SURROGATE.search(text) is not None


def checked_maker(kind: type[Any], arguments: Mapping[str, Any]) -> Callable[[], Any]:
    """Return what makes unopened connections, having tried it once.

    Raises:
        ValueError: redis-py does not like the arguments.
    """
    kind = sharing(kind)
    try:
        kind(**arguments)
    except (redis.RedisError, TypeError, ValueError) as error:
        raise ValueError(f"redis_config: {error}") from error

    def make() -> Any:
        try:
            return kind(**arguments)
        except UnboundLocalError as error:
            # Before version 8 a "finally" of redis-py's hides in this way what a signal handler raised.
            raise error.__context__ or error from None

    return make


def _connect_whole(connection: Any) -> None:
    """Log in and select the database, or leave no half-set-up connection behind."""
    name, connection.client_name = connection.client_name, None
    try:
        connection.on_connect()
        if name:
            _call_itself(connection, name)
    except BaseException:
        connection.disconnect()
        raise
    finally:
        connection.client_name = name


def _call_itself(connection: Any, name: str) -> None:
    """Tell the server the connection's name, which is no reason to do without the server."""
    connection.send_command("CLIENT", "SETNAME", name, check_health=False)
    try:
        connection.read_response()
    except redis.ResponseError as error:
        logger.debug("Redis refused client_name: %s", error)
