"""Where MySQL is and how to talk to it: a dict or a ``mysql://`` URL, checked as a whole before any use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from mysql_redis_cache.observe import Server
from mysql_redis_cache.values import session_zone

from .optionfile import read_option_file
from .options import DEFAULTS, checked, completed, known

if TYPE_CHECKING:
    from datetime import tzinfo

__all__ = ["MySQLConfig", "parse_mysql_config"]


@dataclass(frozen=True)
class MySQLConfig:
    """A checked configuration.

    Attributes:
        arguments: the options of a connection, all timeouts among them.
        minsize: how many idle connections are kept however long they are idle.
        maxsize: how many connections there may be.
        pool_timeout: how many seconds a call waits for one of them to become free.
        query_timeout: how many seconds a statement may take, from sending it to the end of its reply.
    """

    arguments: Mapping[str, Any] = field(repr=False)
    minsize: int
    maxsize: int
    pool_timeout: float
    query_timeout: float | None = None

    def resolved(self) -> MySQLConfig:
        """Return it as it is now: with what its option file says, and the password if that is asked for.

        Raises:
            ValueError: the option file cannot be read, or what it says is of no use.
            TypeError: the password that was asked for is neither str nor bytes.
        """
        options = dict(self.arguments)
        file, group = options.pop("read_default_file", None), options.pop("read_default_group", None)
        if file is not None or group is not None:
            options = completed(checked(read_option_file(file, group)) | options)
        password = options.get("password")
        if callable(password):
            options |= checked({"password": password()})
        return replace(self, arguments=options)

    def in_zone(self, zone: tzinfo | None) -> MySQLConfig:
        """Return it with the sessions in *zone*, unless it names another ``time_zone``.

        Raises:
            ValueError: the server has no name for the zone.
        """
        if zone is None or "time_zone" in self.arguments:
            return self
        return replace(self, arguments={**self.arguments, "time_zone": session_zone(zone)})

    @property
    def address(self) -> str:
        """Return where the server is, for messages: ``host:port`` or the path of a socket."""
        arguments = self.arguments
        if "read_default_file" in arguments and "host" not in arguments and "unix_socket" not in arguments:
            return f"the address in {arguments['read_default_file']}"
        return (
            arguments.get("unix_socket")
            or f"{arguments.get('host', 'localhost')}:{arguments.get('port', 3306)}"
        )

    def server(self, version: str = "") -> Server:
        """Return where the server is, for those who tell of it, by the *version* that it greets with."""
        arguments, system = self.arguments, "mariadb" if "MariaDB" in version else "mysql"
        socket, database = arguments.get("unix_socket"), arguments.get("database")
        if socket is not None:
            return Server(system, socket, None, database)
        return Server(system, arguments.get("host", "localhost"), arguments.get("port", 3306), database)


def parse_mysql_config(config: Mapping[str, object] | str) -> MySQLConfig:
    """Check a configuration.

    Args:
        config: a dict of options, or ``mysql://user:password@host:port/database?option=value`` with special
            characters percent-encoded. Options are PyMySQL's (but not ``cursorclass``, ``conv`` and others
            that would change what rows hold), ``db`` for ``database``, and ``minsize`` (default 1),
            ``maxsize`` (10), ``pool_timeout`` (10 s). Defaults here: ``host`` localhost, ``port`` 3306,
            ``charset`` utf8mb4, ``connect_timeout`` 10 s, which covers the greeting too, ``read_timeout`` and
            ``write_timeout`` 60 s, for each wait for the network. ``query_timeout`` (none by default): the
            seconds a statement may take as a whole; then it is stopped on the server and raises
            ``QueryTimeout``. It does not count for COMMIT, nor for connections of ``get_mysql_pool()``.
            ``time_zone`` is that of the sessions, ``+00:00`` or a name. ``password`` may be a function
            without arguments, called for each connection. ``ssl_mode`` is what MySQL's clients call so; with
            it or any other ``ssl_…`` option that asks for TLS a server without it is refused.

    Returns:
        The configuration.

    Raises:
        ValueError: an option is unknown, refused or out of range; the message names it, never its value if
            that could be a password.
        TypeError: *config* is neither a mapping nor a str, or an option is of the wrong type.
    """
    if isinstance(config, str):
        given = _url_options(config)
    elif isinstance(config, Mapping):
        given = _named_once((known(name), value) for name, value in config.items() if value is not None)
    else:
        raise TypeError(f"mysql_config must be a dict or a mysql:// URL, not {type(config).__name__}")
    options = DEFAULTS | checked(_with_database(given))
    minsize, maxsize, pool_timeout = (options.pop(name) for name in ("minsize", "maxsize", "pool_timeout"))
    query_timeout = options.pop("query_timeout", None)
    if minsize > maxsize:
        raise ValueError(f"minsize={minsize} is greater than maxsize={maxsize}")
    if not {"read_default_file", "read_default_group"} & options.keys():
        options = completed(options)
    return MySQLConfig(options, minsize, maxsize, pool_timeout, query_timeout)


def _with_database(options: dict[str, object]) -> dict[str, object]:
    """Give ``db`` its full name."""
    if "db" not in options:
        return options
    database = options.pop("db")
    if options.setdefault("database", database) != database:
        raise ValueError(f"mysql_config has db={database!r} and database={options['database']!r}; keep one")
    return options


def _url_options(url: str) -> dict[str, object]:
    """Take a URL apart. Errors do not quote it, nor chain those that do: it holds the password."""
    parts = _split(url)
    if parts is None or "@" in parts.path + parts.query + parts.fragment:  # there a password went on
        raise ValueError(
            "mysql_config is not a valid URL; percent-encode special characters in user and password"
        )
    if parts.scheme != "mysql":
        raise ValueError(f"mysql_config URL must begin with mysql://, not {parts.scheme or '(nothing)'}://")
    query = parse_qsl(parts.query, keep_blank_values=True)
    options = _named_once((known(name), value) for name, value in query)
    located = {
        "host": parts.hostname,
        "port": parts.port,
        "user": parts.username and unquote(parts.username),
        "password": parts.password and unquote(parts.password),
        "database": unquote(parts.path.strip("/")),
    }
    for name, part in located.items():
        if part and options.setdefault(name, part) != part:
            raise ValueError(f"mysql_config URL gives {name!r} twice")
    return options


def _named_once(options: Iterable[tuple[str, object]]) -> dict[str, object]:
    once: dict[str, object] = {}
    for name, value in options:
        if name in once:
            raise ValueError(f"mysql_config gives {name!r} twice")
        once[name] = value
    return once


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # may be none
    except ValueError:
        return None
    return parts
