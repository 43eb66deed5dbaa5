"""MySQL's configuration: a dict or a URL, checked before any use."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from mysql_redis_cache.database.config import MySQLConfig, parse_mysql_config

DEFAULTS = {
    "charset": "utf8mb4",
    "connect_timeout": 10.0,
    "read_timeout": 60.0,
    "write_timeout": 60.0,
    "autocommit": True,
}


def arguments(config: Any) -> dict[str, Any]:
    return dict(parse_mysql_config(config).arguments)


def test_defaults_bound_every_wait() -> None:
    """Nothing waits for ever, and a small pool suffices."""
    config = parse_mysql_config({})

    assert dict(config.arguments) == DEFAULTS
    assert (config.minsize, config.maxsize, config.pool_timeout) == (1, 10, 10.0)
    assert config.address == "localhost:3306"


DICTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "db is database": ({"db": "shop"}, {"database": "shop"}),
    "db and database that agree": ({"db": "shop", "database": "shop"}, {"database": "shop"}),
    "None is not given": ({"db": None, "port": None, "ssl": None}, {}),
    "numbers as text, as the environment has them": ({"port": "3307"}, {"port": 3307}),
    "password goes as UTF-8": ({"password": "pässword"}, {"password": "pässword".encode()}),
    "password as bytes": ({"password": b"x"}, {"password": b"x"}),
    "a socket needs no TLS": ({"unix_socket": "/run/s"}, {"unix_socket": "/run/s", "ssl_disabled": True}),
    "a socket with TLS": (
        {"unix_socket": "/s", "ssl_ca": "/ca"},
        {"unix_socket": "/s", "ssl_ca": "/ca", "ssl_verify_cert": True},
    ),
    "an authority is asked": ({"ssl_ca": "/ca"}, {"ssl_ca": "/ca", "ssl_verify_cert": True}),
    "an authority is not asked": (
        {"ssl_ca": "/ca", "ssl_verify_cert": False},
        {"ssl_ca": "/ca", "ssl_verify_cert": False},
    ),
    "nobody is asked for a key's password": (
        {"ssl_key": "/key"},
        {"ssl_key": "/key", "ssl_key_password": ""},
    ),
    "autocommit": ({"autocommit": True}, {}),
    "a collation by command": (
        {"init_command": "SET NAMES utf8mb4 COLLATE utf8mb4_bin"},
        {"init_command": "SET NAMES utf8mb4 COLLATE utf8mb4_bin"},
    ),
    "old name of the character set": ({"charset": "utf8"}, {}),
    "tls dict": ({"ssl": {"ca": "/ca"}}, {"ssl": {"ca": "/ca"}}),
    "ssl_mode": ({"ssl_mode": "REQUIRED"}, {"ssl_verify_cert": False}),
    "ssl-mode, in any case": ({"ssl-mode": "required"}, {"ssl_verify_cert": False}),
    "sslmode, as hosting services spell it": ({"sslmode": "verify-ca"}, {"ssl_verify_cert": True}),
    "ssl_mode of a host": (
        {"ssl_mode": "VERIFY_IDENTITY", "ssl_ca": "/ca"},
        {"ssl_ca": "/ca", "ssl_verify_cert": True, "ssl_verify_identity": True},
    ),
    "an authority that is named is asked": (
        {"ssl_mode": "REQUIRED", "ssl_ca": "/ca"},
        {"ssl_ca": "/ca", "ssl_verify_cert": True},
    ),
    "ssl_mode without TLS": ({"ssl_mode": "DISABLED"}, {"ssl_disabled": True}),
    "ssl_mode of no account": ({"ssl_mode": "PREFERRED"}, {}),
    "found rows": ({"client_flag": 2}, {"client_flag": 2}),
    "flags that PyMySQL sets anyway": ({"client_flag": 1 << 17}, {"client_flag": 1 << 17}),
    "modes": ({"sql_mode": "ANSI_QUOTES, STRICT_ALL_TABLES"}, {"sql_mode": "ANSI_QUOTES, STRICT_ALL_TABLES"}),
}


@pytest.mark.parametrize(("config", "expected"), DICTS.values(), ids=DICTS)
def test_dicts(config: dict[str, Any], expected: dict[str, Any]) -> None:
    """Options are PyMySQL's, and ``db``."""
    assert arguments(config) == DEFAULTS | expected


def test_a_tls_context_is_passed_on() -> None:
    """As PyMySQL takes it."""
    context = ssl.create_default_context()

    assert arguments({"ssl": context})["ssl"] is context


def test_the_pool_is_configured_beside_the_connection() -> None:
    """Under the names the peers have."""
    config = parse_mysql_config({"minsize": 2, "maxsize": 4, "pool_timeout": 1})

    assert (config.minsize, config.maxsize, config.pool_timeout) == (2, 4, 1.0)
    assert dict(config.arguments) == DEFAULTS


URLS: dict[str, tuple[str, dict[str, Any]]] = {
    "all parts": (
        "mysql://app:pw@db.example:3307/shop",
        {"user": "app", "password": b"pw", "host": "db.example", "port": 3307, "database": "shop"},
    ),
    "percent-encoded": (
        "mysql://a%40b:p%2F%3A%40%23%25%C3%A9@h/my%20shop",
        {"user": "a@b", "password": "p/:@#%é".encode(), "host": "h", "database": "my shop"},
    ),
    "nothing": ("mysql://", {}),
    "ipv6": ("mysql://u@[::1]:3306/", {"user": "u", "host": "::1", "port": 3306}),
    "options": (
        "mysql://h/d?charset=utf8mb4&connect_timeout=2.5&ssl_verify_cert=true&ssl_ca=%2Fca.pem",
        {
            "host": "h",
            "database": "d",
            "connect_timeout": 2.5,
            "ssl_verify_cert": True,
            "ssl_ca": "/ca.pem",
        },
    ),
    "socket": (
        "mysql://u@/d?unix_socket=%2Frun%2Fmysql.sock",
        {"user": "u", "database": "d", "unix_socket": "/run/mysql.sock", "ssl_disabled": True},
    ),
    "db as option": ("mysql://h?db=d", {"host": "h", "database": "d"}),
}


@pytest.mark.parametrize(("url", "expected"), URLS.values(), ids=URLS)
def test_urls(url: str, expected: dict[str, Any]) -> None:
    """Parts are percent-decoded, options are of the types a dict would have."""
    assert arguments(url) == DEFAULTS | expected


def test_a_url_configures_the_pool() -> None:
    """Numbers in a URL are text first."""
    config = parse_mysql_config("mysql://h?minsize=0&maxsize=3&pool_timeout=0.5")

    assert (config.minsize, config.maxsize, config.pool_timeout) == (0, 3, 0.5)


REFUSED: dict[str, tuple[Any, str]] = {
    "unknown": ({"hots": "h"}, r"unknown mysql_config option 'hots'; did you mean 'host'\?"),
    "unknown in a URL": ("mysql://h?max_size=3", r"option 'max_size'; did you mean 'maxsize'\?"),
    "like nothing": ({"zzz": 1}, "unknown mysql_config option 'zzz'; known are"),
    "not a name": ({1: 1}, "unknown mysql_config option 1"),
    "passwd": ({"passwd": "x"}, "'passwd' is refused: write password"),
    "two databases": ({"db": "a", "database": "b"}, "db='a' and database='b'"),
    "two databases in a URL": ("mysql://h/a?db=b", "db='b' and database='a'|twice"),
    "twice in a URL": ("mysql://h?charset=a&charset=b", "'charset' twice"),
    "another character set": ({"charset": "gbk"}, "charset='gbk' is refused: only utf8mb4"),
    "another character set by command": (
        {"init_command": "SET NAMES 'gbk'"},
        "only utf8mb4 carries every text",
    ),
    "another client's character set": (
        {"init_command": "SET @@session.character_set_client = sjis"},
        "only utf8mb4 carries every text",
    ),
    "no autocommit": ({"autocommit": False}, "autocommit=False is refused: .*snapshot"),
    "cursor class": ({"cursorclass": object}, "'cursorclass' is refused: rows are dicts"),
    "conversions": ({"conv": {}}, "'conv' is refused"),
    "not unicode": ({"use_unicode": False}, "'use_unicode' is refused"),
    "port": ({"port": 0}, "port must be a whole number from 1 to 65535"),
    "port of the wrong type": ({"port": 3306.0}, "port must be a whole number"),
    "port true": ({"port": True}, "port must be a whole number"),
    "no size": ({"maxsize": 0}, "maxsize must be a whole number from 1"),
    "sizes the wrong way round": ({"minsize": 5, "maxsize": 2}, "minsize=5 is greater than maxsize=2"),
    "no timeout": ({"read_timeout": 0}, "read_timeout must be a number of seconds above 0"),
    "nan": ({"pool_timeout": float("nan")}, "pool_timeout must be a number of seconds"),
    "endless": ({"connect_timeout": float("inf")}, "connect_timeout must be a number of seconds"),
    "longer than a socket waits": ({"connect_timeout": 1e10}, "connect_timeout must be .* at most 2e"),
    "an int beyond floats": ({"query_timeout": 10**400}, "query_timeout must be a number of seconds"),
    "an int beyond text": ({"pool_timeout": 10**5000}, "pool_timeout must be .* not so large an int"),
    "a count beyond text": ({"maxsize": 10**5000}, "maxsize must be .* not so large an int"),
    "timeout true": ({"connect_timeout": True}, "connect_timeout must be a number of seconds"),
    "timeout text": ("mysql://h?connect_timeout=soon", "connect_timeout must be a number of seconds"),
    "truth": ("mysql://h?ssl_disabled=maybe", "ssl_disabled must be true or false, not 'maybe'"),
    "authority nowhere": ({"ssl_ca": ""}, "ssl_ca is empty; leave it out, or give a path"),
    "TLS with nothing": ({"ssl": {}}, "ssl may have ca, capath, .*, but has nothing"),
    "TLS with unknown keys": ({"ssl": {"ca": "/ca", "verify_cert": True}}, "but has ca, verify_cert"),
    "password with a slash": ("mysql://app:12/s3cr@h/d", "not a valid URL; percent-encode"),
    "password with a question mark": ("mysql://app:1?s3cr@h/d", "not a valid URL; percent-encode"),
    "password with a hash": ("mysql://app:1#s3cr@h/d", "not a valid URL; percent-encode"),
    "a flag that changes how replies are read": (
        {"client_flag": 1 << 24 | 2},
        "client_flag has DEPRECATE_EOF, which is refused",
    ),
    "compression": ({"client_flag": 1 << 5}, "client_flag has COMPRESS, which"),
    "tracking": ({"client_flag": 1 << 23}, "client_flag has SESSION_TRACK, which"),
    "TLS by a flag": ({"client_flag": 1 << 11}, "client_flag has SSL, which"),
    "optional metadata": ({"client_flag": 1 << 25}, "client_flag has OPTIONAL_RESULTSET_METADATA, which"),
    "attributes": ("mysql://h?client_flag=134217728", "client_flag has QUERY_ATTRIBUTES, which"),
    "a mode with a quote": ({"sql_mode": "'; DROP TABLE t"}, "sql_mode must be names"),
    "an unknown ssl_mode": ({"sslmode": "prefer"}, "ssl_mode must be one of DISABLED, PREFERRED, REQUIRED"),
    "ssl_mode twice": ({"sslmode": "REQUIRED", "ssl-mode": "REQUIRED"}, "gives 'ssl_mode' twice"),
    "ssl_mode twice in a URL": ("mysql://h?sslmode=REQUIRED&ssl_mode=DISABLED", "gives 'ssl_mode' twice"),
    "no TLS and an authority": ({"ssl_disabled": True, "ssl_ca": "/ca"}, "asks for no TLS.* and has ssl_ca"),
    "preferred and verified": ({"ssl_mode": "PREFERRED", "ssl_verify_cert": True}, "does not insist on it"),
    "modes that contradict": (
        {"ssl_mode": "VERIFY_IDENTITY", "ssl_verify_identity": False},
        "has ssl_mode=VERIFY_IDENTITY and another value of",
    ),
    "two forms": ({"ssl": {"ca": "/ca"}, "ssl_verify_cert": True}, "write all in one form"),
    "a key's password alone": ({"ssl_key_password": "x"}, "has ssl_key_password, but neither ssl_key nor"),
    "another scheme": ("mysql+pymysql://h", r"must begin with mysql://, not mysql\+pymysql://"),
    "no scheme": ("localhost", r"must begin with mysql://, not \(nothing\)://"),
}


@pytest.mark.parametrize(("config", "message"), REFUSED.values(), ids=REFUSED)
def test_bad_options_are_named(config: Any, message: str) -> None:
    """Before anything is connected to."""
    with pytest.raises(ValueError, match=message):
        parse_mysql_config(config)


WRONG_TYPES: dict[str, tuple[Any, str]] = {
    "config": (["h"], "mysql_config must be a dict or a mysql:// URL, not list"),
    "none": (None, "not NoneType"),
    "host": ({"host": 1}, "host must be a str, not int"),
    "password": ({"password": 1234}, "password must be a str, not int"),
    "tls": ({"ssl": True}, "ssl must be a dict or an ssl.SSLContext"),
}


@pytest.mark.parametrize(("config", "message"), WRONG_TYPES.values(), ids=WRONG_TYPES)
def test_options_of_the_wrong_type_are_type_errors(config: Any, message: str) -> None:
    """They are named as well."""
    with pytest.raises(TypeError, match=message):
        parse_mysql_config(config)


LEAKY = [
    "mysql://app:se#cret@h/d",
    "mysql://app:se/cret@h/d",
    "mysql://app:secret@h:port/d",
    "mysql://app:secret@[h/d",
    "postgres://app:secret@h/d",
    "mysql://app:secret@h/d?what=1",
    {"password": "secret", "port": -1},
]


@pytest.mark.parametrize("config", LEAKY)
def test_errors_never_hold_the_password(config: Any) -> None:
    """Not even a part of it, nor in a chained error."""
    with pytest.raises(ValueError) as caught:
        parse_mysql_config(config)

    assert "cret" not in f"{caught.value} {caught.value.__cause__}"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_repr_never_shows_the_password() -> None:
    """A configuration may end up in a log."""
    config = parse_mysql_config("mysql://app:secret@h/d")

    assert isinstance(config, MySQLConfig)
    assert "secret" not in repr(config)


def test_a_password_may_be_asked_for() -> None:
    """Each time it is needed, and not before."""
    given = iter(["first", b"second", "thi\u00e9rd"])
    config = parse_mysql_config({"password": lambda: next(given)})

    passwords = [config.resolved().arguments["password"] for _ in range(3)]

    assert passwords == [b"first", b"second", "thi\u00e9rd".encode()]
    assert callable(config.arguments["password"])


def test_an_option_file_decides_what_is_not_given() -> None:
    """So nothing is passed that would overrule it."""
    given = arguments({"read_default_file": "/etc/my.cnf"})

    assert "host" not in given
    assert "port" not in given
