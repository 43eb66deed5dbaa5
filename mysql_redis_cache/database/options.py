"""The options of ``mysql_config``: which there are, what each may be, and what is refused by name."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from pymysql.constants import CLIENT

from mysql_redis_cache.keys.pairs import SURROGATE
from mysql_redis_cache.policy import LONGEST_WAIT, shown

__all__ = ["DEFAULTS", "checked", "completed", "known"]

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


def known(name: object) -> str:
    """Return the name of an option as it is called here.

    Raises:
        ValueError: there is no such option, or it is refused; the message says which was meant, or why.
    """
    if isinstance(name, str) and name in _ALIASES:
        return _ALIASES[name]
    if isinstance(name, str) and name in _OPTIONS:
        return name
    if isinstance(name, str) and name in _REFUSED:
        raise ValueError(f"mysql_config option {name!r} is refused: {_REFUSED[name]}")
    nearest = get_close_matches(str(name), _OPTIONS, n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"known are {', '.join(sorted(_OPTIONS))}"
    raise ValueError(f"unknown mysql_config option {name!r}; {hint}")


def checked(options: Mapping[str, object]) -> dict[str, Any]:
    """Return known *options* with their values checked, and converted where they come as text.

    Raises:
        ValueError: one is refused or out of range, or two contradict each other.
        TypeError: one is of the wrong type.
    """
    return _with_mode({name: _OPTIONS[name](name, value) for name, value in options.items()})


def completed(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return *options* with what follows from them.

    Raises:
        ValueError: one makes no sense without another.
    """
    options = dict(options)
    if "ssl_ca" in options:
        options.setdefault("ssl_verify_cert", True)  # as in MySQL's own clients; PyMySQL would not look
    if "ssl_key" in options or "ssl_cert" in options:
        options.setdefault("ssl_key_password", "")  # without one OpenSSL would ask at the terminal, and wait
    elif "ssl_key_password" in options:
        raise ValueError("mysql_config has ssl_key_password, but neither ssl_key nor ssl_cert")
    if "unix_socket" in options and not any(name.startswith("ssl") for name in options):
        options["ssl_disabled"] = True  # what stays on the machine needs no encryption
    return options


def _with_mode(options: dict[str, Any]) -> dict[str, Any]:
    """Say ``ssl_mode`` in the other options for TLS."""
    mode = options.pop("ssl_mode", None)
    others = [name for name in sorted(options) if name.startswith("ssl") and name != "ssl_disabled"]
    if others and (options.get("ssl_disabled") or mode in {"DISABLED", "PREFERRED"}):
        raise ValueError(
            f"mysql_config asks for no TLS, or does not insist on it, and has {others[0]}; keep one"
        )
    if "ssl" in others and (len(others) > 1 or mode):
        raise ValueError("mysql_config has ssl and other options for TLS; write all in one form")
    if mode == "REQUIRED":  # an authority that is named is asked
        return options if "ssl_ca" in options else _MODES[mode] | options
    wanted = {} if mode is None else _MODES[mode]
    if any(options.setdefault(name, value) != value for name, value in wanted.items()):
        raise ValueError(
            f"mysql_config has ssl_mode={mode} and another value of {' or '.join(wanted)}; keep one"
        )
    return options


# --- the options -------------------------------------------------------------------------------------------


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"mysql_config {name} must be a str, not {type(value).__name__}")
    if SURROGATE.search(value):
        raise ValueError(f"mysql_config {name} holds a lone surrogate, which UTF-8 cannot carry")
    return value


def _password(name: str, value: object) -> bytes | Callable[[], object]:
    """MySQL hashes the bytes that were typed, and those are UTF-8; PyMySQL by itself would send Latin-1."""
    if callable(value):
        return value
    return value if isinstance(value, bytes) else _text(name, value).encode()


def _mode(name: str, value: object) -> str:
    mode = _text(name, value).upper().replace("-", "_")
    if mode not in _MODES:
        raise ValueError(f"mysql_config {name} must be one of {', '.join(_MODES)}, not {value!r}")
    return mode


def _sql_mode(name: str, value: object) -> str:
    modes = _text(name, value)
    if re.fullmatch(r"[\w, ]*", modes) is None:
        raise ValueError(f"mysql_config {name} must be names with commas between them, not {value!r}")
    return modes


def _time_zone(name: str, value: object) -> str:
    zone = _text(name, value)
    if re.fullmatch(r"[A-Za-z0-9_/+:.-]{1,64}", zone) is None:
        raise ValueError(f"mysql_config {name} must be an offset such as '+00:00', or a name, not {value!r}")
    return zone


def _client_flag(name: str, value: object) -> int:
    """Only what changes nothing about how replies are read, or what the connection asks for by itself."""
    flags = _whole(0, 2**32 - 1)(name, value)
    refused = [bit for bit in range(32) if flags >> bit & 1 and not _FLAGS >> bit & 1]
    if refused:
        names = ", ".join(_FLAG_NAMES.get(bit, f"1 << {bit}") for bit in refused)
        raise ValueError(f"mysql_config {name} has {names}, which is refused: {_FLAGS_REFUSED}")
    return flags


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
    **dict.fromkeys(["bind_address", "program_name"], _text),
    "sql_mode": _sql_mode,
    "time_zone": _time_zone,
    "ssl_mode": _mode,
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
    "client_flag": _client_flag,
    "max_allowed_packet": _whole(1024, 2**30),
    "minsize": _whole(0, 10_000),
    "maxsize": _whole(1, 10_000),
    "autocommit": _autocommit,
    "ssl": _ssl,
}

# As MySQL's clients spell it, and as the addresses do that hosting services hand out.
_ALIASES = dict.fromkeys(["ssl-mode", "sslmode"], "ssl_mode")
# https://dev.mysql.com/doc/refman/9.0/en/connection-options.html#option_general_ssl-mode
_MODES: dict[str, dict[str, bool]] = {
    "DISABLED": {"ssl_disabled": True},
    "PREFERRED": {},
    "REQUIRED": {"ssl_verify_cert": False},
    "VERIFY_CA": {"ssl_verify_cert": True},
    "VERIFY_IDENTITY": {"ssl_verify_cert": True, "ssl_verify_identity": True},
}

# https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html
_NO_SCHEMA, _ODBC, _IGNORE_SIGPIPE, _HANDLE_EXPIRED_PASSWORDS = 1 << 4, 1 << 6, 1 << 12, 1 << 22
_FLAGS = (
    CLIENT.CAPABILITIES
    | (CLIENT.FOUND_ROWS | CLIENT.IGNORE_SPACE | CLIENT.INTERACTIVE | CLIENT.MULTI_STATEMENTS)
    | (CLIENT.LOCAL_FILES | CLIENT.PS_MULTI_RESULTS | CLIENT.CONNECT_WITH_DB)
    | (_NO_SCHEMA | _ODBC | _IGNORE_SIGPIPE | _HANDLE_EXPIRED_PASSWORDS)
)
_FLAG_NAMES = {
    5: "COMPRESS",
    11: "SSL",
    23: "SESSION_TRACK",
    24: "DEPRECATE_EOF",
    25: "OPTIONAL_RESULTSET_METADATA",
    26: "ZSTD_COMPRESSION_ALGORITHM",
    27: "QUERY_ATTRIBUTES",
    28: "MULTI_FACTOR_AUTHENTICATION",
    30: "SSL_VERIFY_SERVER_CERT",
    31: "REMEMBER_OPTIONS",
}
_FLAGS_REFUSED = (
    "it would change how replies must be read; TLS has options of its own, and SESSION_TRACK and "
    "DEPRECATE_EOF are asked for by themselves"
)

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

DEFAULTS: dict[str, Any] = {
    "charset": "utf8mb4",
    "connect_timeout": 10.0,
    "read_timeout": 60.0,
    "write_timeout": 60.0,
    "autocommit": True,
    "minsize": 1,
    "maxsize": 10,
    "pool_timeout": 10.0,
}
