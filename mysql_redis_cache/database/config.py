"""Where MySQL is and how to talk to it: a dict or a ``mysql://`` URL, checked as a whole before any use."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from mysql_redis_cache.keys.pairs import SURROGATE
from mysql_redis_cache.policy import LONGEST_WAIT, shown

__all__ = ["MySQLConfig", "parse_mysql_config"]

_TRUTHS = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}


_CHARACTER_SETS_SET = re.compile(
    r"""\b(?:names|charset|character\s+set|character_set_client\s*=)\s*['"]?(\w+)""", re.IGNORECASE
)


@dataclass(frozen=True)
class MySQLConfig:
    """A checked configuration.

    Attributes:
        arguments: for PyMySQL's ``connect``, all timeouts among them.
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

    @property
    def address(self) -> str:
        """Return where the server is, for messages: ``host:port`` or the path of a socket."""
        arguments = self.arguments
        return (
            arguments.get("unix_socket")
            or f"{arguments.get('host', 'localhost')}:{arguments.get('port', 3306)}"
        )


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
        given = {_known(name): value for name, value in config.items() if value is not None}
    else:
        raise TypeError(f"mysql_config must be a dict or a mysql:// URL, not {type(config).__name__}")
    options = _DEFAULTS | {name: _OPTIONS[name](name, value) for name, value in _with_database(given).items()}
    minsize, maxsize, pool_timeout = (options.pop(name) for name in ("minsize", "maxsize", "pool_timeout"))
    query_timeout = options.pop("query_timeout", None)
    if minsize > maxsize:
        raise ValueError(f"minsize={minsize} is greater than maxsize={maxsize}")
    if "ssl_ca" in options:
        options.setdefault("ssl_verify_cert", True)  # as in MySQL's own clients; PyMySQL would not look
    if "ssl_key" in options or "ssl_cert" in options:
        options.setdefault("ssl_key_password", "")  # without one OpenSSL would ask at the terminal, and wait
    if "unix_socket" in options and not any(name.startswith("ssl") for name in options):
        options["ssl_disabled"] = True  # what stays on the machine needs no encryption
    return MySQLConfig(options, minsize, maxsize, pool_timeout, query_timeout)


def _known(name: object) -> str:
    if isinstance(name, str) and name in _OPTIONS:
        return name
    if isinstance(name, str) and name in _REFUSED:
        raise ValueError(f"mysql_config option {name!r} is refused: {_REFUSED[name]}")
    nearest = get_close_matches(str(name), _OPTIONS, n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"known are {', '.join(sorted(_OPTIONS))}"
    raise ValueError(f"unknown mysql_config option {name!r}; {hint}")


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
    options: dict[str, object] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if _known(name) in options:
            raise ValueError(f"mysql_config URL gives {name!r} twice")
        options[name] = value
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


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # may be none
    except ValueError:
        return None
    return parts


# --- the options -------------------------------------------------------------------------------------------


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"mysql_config {name} must be a str, not {type(value).__name__}")
    if SURROGATE.search(value):
        raise ValueError(f"mysql_config {name} holds a lone surrogate, which UTF-8 cannot carry")
    return value


def _password(name: str, value: object) -> bytes:
    """MySQL hashes the bytes that were typed, and those are UTF-8; PyMySQL by itself would send Latin-1."""
    return value if isinstance(value, bytes) else _text(name, value).encode()


def _truth(name: str, value: object) -> bool:
    truth = _TRUTHS.get(value.lower()) if isinstance(value, str) else value
    if truth is not True and truth is not False:
        raise ValueError(f"mysql_config {name} must be true or false, not {value!r}")
    return truth


def _whole(low: int, high: int) -> Callable[[str, object], int]:
    def check(name: str, value: object) -> int:
        number = int(value) if isinstance(value, str) and value.isdecimal() else value
        if not isinstance(number, int) or isinstance(number, bool) or not low <= number <= high:
            raise ValueError(
                f"mysql_config {name} must be a whole number from {low} to {high}, not {shown(value)}"
            )
        return number

    return check


def _seconds(name: str, value: object) -> float:
    try:
        seconds = float(value) if isinstance(value, (str, int, float)) and value is not True else math.nan
    except (ValueError, OverflowError):
        seconds = math.nan
    if not 0 < seconds <= LONGEST_WAIT:
        raise ValueError(
            f"mysql_config {name} must be a number of seconds above 0, at most {LONGEST_WAIT:g}, "
            f"not {shown(value)}"
        )
    return seconds


def _charset(name: str, value: object) -> str:
    if str(value).lower() not in {"utf8mb4", "utf8", "utf8mb3"}:
        raise ValueError(
            f"mysql_config {name}={value!r} is refused: only utf8mb4 carries every text, and values are "
            "escaped for it; the server converts columns in other character sets by itself"
        )
    return "utf8mb4"


def _init_command(name: str, value: object) -> str:
    command = _text(name, value)
    for character_set in _CHARACTER_SETS_SET.findall(command):
        _charset(name, character_set)
    return command


def _autocommit(name: str, value: object) -> bool:
    if not _truth(name, value):
        raise ValueError(
            "mysql_config autocommit=False is refused: a pooled connection without it reads one old snapshot "
            "for ever, and its writes get lost; use transaction() to group statements"
        )
    return True


def _unchecked(name: str, value: object) -> object:  # noqa: ARG001 - PyMySQL checks these
    return value


def _path(name: str, value: object) -> str:
    if value == "":  # PyMySQL would take it for no option at all, and verify nothing
        raise ValueError(f"mysql_config {name} is empty; leave it out, or give a path")
    return _text(name, value)


def _ssl(name: str, value: object) -> object:
    if isinstance(value, (str, bool)):
        raise TypeError(
            f"mysql_config {name} must be a dict or an ssl.SSLContext; or use ssl_ca, ssl_verify_cert, …"
        )
    if not isinstance(value, Mapping):
        return value
    if not value or not _SSL_KEYS.issuperset(value):  # PyMySQL would leave out what it does not know
        given = ", ".join(map(str, value)) or "nothing"
        raise ValueError(f"mysql_config {name} may have {', '.join(sorted(_SSL_KEYS))}, but has {given}")
    return dict(value)


_OPTIONS: dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(["host", "user", "database", "db", "unix_socket", "collation"], _text),
    **dict.fromkeys(["sql_mode", "bind_address", "program_name"], _text),
    "init_command": _init_command,
    **dict.fromkeys(["read_default_file", "read_default_group"], _text),
    **dict.fromkeys(["ssl_ca", "ssl_cert", "ssl_key"], _path),
    **dict.fromkeys(["ssl_key_password", "server_public_key", "auth_plugin_map"], _unchecked),
    **dict.fromkeys(["ssl_disabled", "ssl_verify_cert", "ssl_verify_identity", "local_infile"], _truth),
    **dict.fromkeys(["connect_timeout", "read_timeout", "write_timeout"], _seconds),
    **dict.fromkeys(["pool_timeout", "query_timeout"], _seconds),
    "charset": _charset,
    "password": _password,
    "port": _whole(1, 65_535),
    "client_flag": _whole(0, 2**32 - 1),
    "max_allowed_packet": _whole(1024, 2**30),
    "minsize": _whole(0, 10_000),
    "maxsize": _whole(1, 10_000),
    "autocommit": _autocommit,
    "ssl": _ssl,
}

_SSL_KEYS = frozenset({"ca", "capath", "cert", "key", "password", "cipher", "check_hostname", "verify_mode"})

_REFUSED = {
    "conv": "what rows hold is fixed, so that hit and miss are equal",
    "cursorclass": "rows are dicts here; pass a class to cursor() of a connection of get_mysql_pool()",
    "use_unicode": "text columns are str, binary ones bytes",
    "defer_connect": "connections are always opened when they are first needed",
    "compress": "PyMySQL does not support it",
    "named_pipe": "PyMySQL does not support it",
    "binary_prefix": "bytes are always sent as X'…'",
    "passwd": "write password",
}

_DEFAULTS: dict[str, Any] = {
    "charset": "utf8mb4",
    "connect_timeout": 10.0,
    "read_timeout": 60.0,
    "write_timeout": 60.0,
    "autocommit": True,
    "minsize": 1,
    "maxsize": 10,
    "pool_timeout": 10.0,
}
