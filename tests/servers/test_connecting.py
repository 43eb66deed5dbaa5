"""Connecting to MySQL: TLS as asked for, passwords that change, and what is said where nobody gets in."""

from __future__ import annotations

import select
import socket
import sys
import threading
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import pymysql
import pytest
from pymysql import _auth

from mysql_redis_cache import DatabaseUnavailable, MRCClient
from tests.support.urls import mysql_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pymysql.connections import Connection

    from tools.private_servers import PrivateMySQL

pytestmark = pytest.mark.real

ROWS = [{"n": 1}]


def config_of(url: str, **options: Any) -> dict[str, Any]:
    return {**mysql_arguments(url), "connect_timeout": 3, **options}


def said(config: dict[str, Any] | str) -> DatabaseUnavailable:
    """What is raised where nobody gets in; the driver's public class is its cause."""
    with MRCClient(config) as client, pytest.raises(DatabaseUnavailable) as caught:
        client.query("SELECT 1 AS n")
    assert type(caught.value.__cause__).__module__ == "pymysql.err"
    assert "secret" not in str(caught.value)
    return caught.value


# TLS


@pytest.fixture(scope="module")
def plain_server() -> Iterator[PrivateMySQL]:
    """A server without TLS."""
    from tools.private_servers import PrivateMySQL

    with PrivateMySQL(("--skip-ssl",)) as server:
        yield server


ASKING_FOR_TLS: dict[str, dict[str, Any]] = {
    "unverified": {"ssl_verify_cert": False},
    "verified": {"ssl_verify_cert": True},
    "any host": {"ssl_verify_identity": False},
    "its host": {"ssl_verify_identity": True},
    "dict": {"ssl": {"check_hostname": False}},
    "ssl_mode": {"ssl_mode": "REQUIRED"},
    "ssl-mode": {"ssl-mode": "required"},
    "sslmode": {"sslmode": "verify-ca"},
    "identity": {"ssl_mode": "VERIFY_IDENTITY"},
    "with false": {"ssl_verify_cert": False, "ssl_verify_identity": False},
}


@pytest.mark.parametrize("options", ASKING_FOR_TLS.values(), ids=ASKING_FOR_TLS)
def test_a_server_without_tls_is_refused_where_tls_was_asked_for(
    plain_server: PrivateMySQL, options: dict[str, Any]
) -> None:
    """However little was asked."""
    assert "SSL is required" in str(said(config_of(plain_server.url, **options)))


@pytest.mark.parametrize(
    "options", [{}, {"ssl_disabled": True}, {"ssl_mode": "DISABLED"}, {"ssl-mode": "PREFERRED"}]
)
def test_a_server_without_tls_is_used_otherwise(plain_server: PrivateMySQL, options: dict[str, Any]) -> None:
    """As MySQL's own clients do."""
    with MRCClient(config_of(plain_server.url, **options)) as client:
        assert client.query("SELECT 1 AS n") == ROWS


# Passwords


def test_a_password_may_change_between_connections(mysql_url: str, mysql_admin: Connection[Any]) -> None:
    """A function gives the one of the moment: tokens that last minutes."""
    with mysql_admin.cursor() as cursor:
        cursor.execute("DROP USER IF EXISTS rotating")
        cursor.execute("CREATE USER rotating IDENTIFIED BY 'first'")
        given: list[str | bytes] = ["first", b"second"]
        asked: list[int] = []

        def password() -> str | bytes:
            asked.append(1)
            return given[0]

        config = config_of(mysql_url, user="rotating", password=password, maxsize=1) | {"database": None}
        with MRCClient(config) as client:
            assert asked == []
            for _ in range(3):
                assert client.query("SELECT 1 AS n") == ROWS
            assert asked == [1]
            cursor.execute("ALTER USER rotating IDENTIFIED BY 'second'")
            client._core.database.pool.drain()
            given.pop(0)
            assert client.query("SELECT 1 AS n") == ROWS
            assert asked == [1, 1]
        cursor.execute("DROP USER rotating")


def test_what_a_password_function_raises_passes_through(mysql_url: str) -> None:
    """It is the user's; of another type than text the error says so."""

    def broken() -> str:
        raise LookupError("no token")

    with MRCClient(config_of(mysql_url, password=broken)) as client:
        with pytest.raises(LookupError, match="no token"):
            client.query("SELECT 1")
        assert client.get_mysql_pool().in_use == 0
    with (
        MRCClient(config_of(mysql_url, password=lambda: 7)) as client,
        pytest.raises(TypeError, match="password must be a str, not int"),
    ):
        client.query("SELECT 1")


# Option files


def test_an_option_file_is_read_at_each_connect(mysql_url: str, tmp_path: Path) -> None:
    """What it says counts where nothing else was said, and the address in errors is its own."""
    arguments = mysql_arguments(mysql_url)
    file = tmp_path / "my.cnf"
    lines = [f"{name} = {arguments[name]}" for name in ("host", "port", "user", "password")]
    file.write_text("\n".join(["[client]", *lines, "default-character-set = latin1", "[other]", "port = 1"]))

    with MRCClient({"read_default_file": str(file), "maxsize": 1}) as client:
        assert client.query("SELECT ? AS v", ["日😀"]) == [{"v": "日😀"}]
        file.write_text("[client]\nhost=127.0.0.1\nport=1\nuser=u\n")
        assert client.query("SELECT 1 AS n") == ROWS
        client._core.database.pool.drain()
        with pytest.raises(DatabaseUnavailable, match=r"127\.0\.0\.1:1 "):
            client.query("SELECT 1")
    assert "127.0.0.1:1 " in str(said({"read_default_file": str(file), "read_default_group": "client"}))
    assert ":2 " in str(said({"read_default_file": str(file), "port": 2}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, "cannot be read: No such file", id="missing"),
        pytest.param(b"\xff\xfe[client]", "cannot be read: it is not UTF-8", id="no text"),
        pytest.param(b"password = secret\n[client]\n", "is no option file", id="no group at its start"),
        pytest.param(b"[mysqld]\nport=1\n", r"has no group \[client\]", id="no such group"),
        pytest.param(b"[client]\nport=many\n", "port must be a whole number", id="no port"),
        pytest.param(b"[client]\nssl-mode=MAYBE\n", "ssl_mode must be one of", id="no mode"),
    ],
)
def test_a_bad_option_file_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    """At the first connect: the client may be made where the file is not."""
    file = tmp_path / "my.cnf"
    if content is not None:
        file.write_bytes(content)
    with (
        MRCClient({"read_default_file": str(file)}) as client,
        pytest.raises(ValueError, match=message) as caught,
    ):
        client.query("SELECT 1")
    assert "secret" not in str(caught.value)
    assert client.get_mysql_pool().in_use == 0 if not client._core._closed else True


# Somebody else's port


GREETINGS = {
    "X protocol": bytes.fromhex("050000000b08051a00"),
    "an empty packet": b"\0\0\0\0",
    "the version's byte alone": b"\1\0\0\0\x0a",
    "a version without end": b"\4\0\0\0\x0a5.7",
    "an old protocol": b"\x06\0\0\0\x093.2\0\0",
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "Redis": b"-ERR unknown command\r\n",
    "SMTP": b"220 mail.example ESMTP\r\n",
    "nothing": b"",
    "half a greeting": b"\x4a\0\0\0\x0a8.0.36\0\x08\0\0\0abcdefgh\0\xff",
}


@pytest.mark.parametrize("greeting", GREETINGS.values(), ids=GREETINGS)
def test_a_port_of_something_else(greeting: bytes) -> None:
    """It is ``DatabaseUnavailable``, whatever greets there."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            with suppress(OSError), listener.accept()[0] as peer:
                peer.sendall(greeting)

        threading.Thread(target=greet, daemon=True).start()
        said({"host": "127.0.0.1", "port": listener.getsockname()[1], "user": "u", "connect_timeout": 2})


# Packages that are not installed


def test_the_package_for_an_account_is_named(
    mysql_url: str, mysql_admin: Connection[Any], server_flavour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what to install, as an error that followers of the load get too."""
    with mysql_admin.cursor() as cursor:
        cursor.execute("DROP USER IF EXISTS hashed")
        if server_flavour == "mysql":
            cursor.execute("CREATE USER hashed IDENTIFIED WITH caching_sha2_password BY 'secret'")
            monkeypatch.setattr(_auth, "_have_cryptography", False)
        else:  # whose server here does not have the plugin: what PyMySQL says where it is asked for
            cursor.execute("CREATE USER hashed IDENTIFIED BY 'secret'")
            monkeypatch.setattr(_auth, "scramble_native_password", lambda *_: _auth._init_nacl())
            monkeypatch.setitem(sys.modules, "nacl", None)
        config = config_of(mysql_url, user="hashed", password="secret", ssl_disabled=True) | {
            "database": None
        }
        wanted = {"mysql": "mysql-redis-cache[rsa]", "mariadb": "mysql-redis-cache[ed25519]"}[server_flavour]
        assert wanted in str(said(config))
        cursor.execute("DROP USER hashed")


# Platforms


def test_without_select_poll(mysql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows does not have it, and eventlet takes it away."""
    monkeypatch.delattr(select, "poll")
    with MRCClient(f"{mysql_url}?maxsize=1") as client:
        (first,) = client.query("SELECT CONNECTION_ID() AS n")
        for _ in range(3):
            assert client.query("SELECT CONNECTION_ID() AS n") == [first]
        with closing(pymysql.connect(**mysql_arguments(mysql_url))) as admin, admin.cursor() as cursor:
            cursor.execute(f"KILL {first['n']}")
        assert client.query("SELECT CONNECTION_ID() AS n") != [first]


# Whose number it is


def test_a_statement_is_stopped_on_its_own_server_only(
    private_mysql: Callable[..., PrivateMySQL], proxy_to: Callable[..., Any]
) -> None:
    """Behind one address another server may answer, where the number is somebody else's."""
    from mysql_redis_cache import QueryTimeout

    servers = [private_mysql(), private_mysql()]
    proxy = proxy_to(servers[0].url)
    outcome: list[Any] = []
    with MRCClient(f"{proxy.url}?query_timeout=1.5&maxsize=1") as client:
        (mine,) = client.query("SELECT CONNECTION_ID() AS n")
        victim = pymysql.connect(**mysql_arguments(servers[1].url))
        while victim.thread_id() < mine["n"]:
            victim.close()
            victim = pymysql.connect(**mysql_arguments(servers[1].url))
        assert victim.thread_id() == mine["n"]

        def innocent() -> None:
            with victim.cursor() as cursor:
                outcome.append(cursor.execute("SELECT SLEEP(3)") and cursor.fetchall())

        proxy.lead_to(servers[1].url)
        threads = [threading.Thread(target=innocent)]
        threads[0].start()
        with pytest.raises(QueryTimeout):
            client.query("SELECT SLEEP(20)")
        threads[0].join()
        victim.close()
    assert outcome == [((0,),)]
