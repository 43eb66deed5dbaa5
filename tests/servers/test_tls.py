"""TLS to both servers: whom nobody vouches for is refused, in words that help, and told nothing."""

from __future__ import annotations

import logging
import ssl
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import anyio
import pymysql
import pytest
import redis

from mysql_redis_cache import AsyncMRCClient, CacheUnavailable, DatabaseUnavailable, MRCClient, MRCServer
from mysql_redis_cache.runtime import tls
from tests.support.certificates import DAY, Authority, Issued
from tests.support.counted import counted
from tests.support.proxy import Proxy
from tests.support.urls import mysql_arguments, patient
from tools.private_servers import PrivateMySQL, PrivateRedis, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ROWS = [{"n": 1}]
KEY_PASSWORD = "0f the key"


class Papers(NamedTuple):
    """Certificates of all kinds; the authority that clients are told of has issued all but the stranger's."""

    authority: Path
    right: Issued
    client: Issued
    locked: Issued
    elsewhere: Issued
    expired: Issued
    stranger: Issued


class Place(NamedTuple):
    """A server with TLS.

    Attributes:
        port: where it speaks TLS.
        url: how an administrator reaches it without.
        present: has it show another certificate to those who connect from now on.
    """

    port: int
    url: str
    present: Callable[[Issued], None]


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    folder = tmp_path_factory.mktemp("papers")
    authority = Authority(folder)
    return Papers(
        authority=authority.file,
        right=authority.issue("right"),
        client=authority.issue("client", ("a client",)),
        locked=authority.issue("locked", ("a client",), password=KEY_PASSWORD.encode()),
        elsewhere=authority.issue("elsewhere", ("elsewhere.example",)),
        expired=authority.issue("expired", until=-1 * DAY),
        stranger=Authority(folder, "nobody we know").issue("stranger"),
    )


@pytest.fixture(scope="module")
def mysql_place(papers: Papers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("mysql")
    shown = Issued(folder / "certificate.pem", folder / "key.pem")
    show(papers.right, shown)
    files = [f"--ssl-cert={shown.certificate}", f"--ssl-key={shown.key}", f"--ssl-ca={papers.authority}"]
    with PrivateMySQL(files) as server:

        def present(issued: Issued) -> None:
            show(issued, shown)
            with pymysql.connect(**mysql_arguments(server.url), ssl_disabled=True) as admin:
                mariadb = "MariaDB" in admin.get_server_info()
                admin.cursor().execute("FLUSH SSL" if mariadb else "ALTER INSTANCE RELOAD TLS")

        yield Place(server.port, server.url, present)


@pytest.fixture(scope="module")
def redis_place(papers: Papers) -> Iterator[Place]:
    port = free_port()
    files = ("--tls-cert-file", papers.right.certificate, "--tls-key-file", papers.right.key)
    asked = ("--tls-ca-cert-file", papers.authority, "--tls-auth-clients", "no")
    with PrivateRedis(("--tls-port", str(port), *map(str, files + asked))) as server:

        def present(issued: Issued) -> None:
            with redis.Redis.from_url(server.url) as admin:
                admin.config_set("tls-cert-file", str(issued.certificate), "tls-key-file", str(issued.key))

        yield Place(port, server.url, present)


def show(issued: Issued, shown: Issued) -> None:
    for new, file in zip(issued, shown, strict=True):
        file.write_bytes(new.read_bytes())


@pytest.fixture(autouse=True)
def _back_to_the_right_one(request: pytest.FixtureRequest, papers: Papers) -> Iterator[None]:
    yield
    for name in ("mysql_place", "redis_place"):
        if name in request.fixturenames:
            request.getfixturevalue(name).present(papers.right)
    if "redis_place" in request.fixturenames:
        with redis.Redis.from_url(request.getfixturevalue("redis_place").url) as admin:
            admin.flushall()


def mysql_config(place: Place, papers: Papers, **options: Any) -> dict[str, Any]:
    account = {"host": "127.0.0.1", "port": place.port, "user": "mrc", "password": "mrc"}
    return {**account, "ssl_ca": str(papers.authority), "ssl_verify_identity": True, **options}


def redis_config(place: Place, papers: Papers, **options: Any) -> dict[str, Any]:
    asked = {"ssl": True, "ssl_ca_certs": str(papers.authority)}
    return {"port": place.port, "socket_timeout": 5, "socket_connect_timeout": 5, **asked, **options}


@pytest.fixture
def opened() -> Iterator[Callable[..., MRCClient]]:
    """Make clients that are closed after the test."""
    with ExitStack() as clients:
        yield lambda *configs: clients.enter_context(MRCClient(*configs))


def read(client: MRCClient) -> Any:
    return client.query_with_cache("SELECT ? AS n", [1], ["Id"], 60)


# The right certificate


@pytest.mark.parametrize("form", ["dict", "URL"])
def test_both_servers_over_tls(
    form: str, mysql_place: Place, redis_place: Place, papers: Papers, opened: Callable[..., MRCClient]
) -> None:
    """With the authority's file named, in either form of configuration; then a drop."""
    configs: tuple[Any, Any] = (mysql_config(mysql_place, papers), redis_config(redis_place, papers))
    if form == "URL":
        asked = f"ssl_ca={papers.authority}&ssl_verify_identity=true"
        configs = (
            f"mysql://mrc:mrc@localhost:{mysql_place.port}/?{asked}",
            patient(f"rediss://localhost:{redis_place.port}/0?ssl_ca_certs={papers.authority}"),
        )
    client = opened(*configs)

    assert read(client) == read(client) == ROWS
    assert counted(client.stats()) == {"misses": 1, "fills": 1, "hits": 1}
    assert client.query("SHOW STATUS LIKE 'Ssl_cipher'")[0]["Value"]
    with MRCServer(configs[1]) as server:
        assert server.drop_outdated_cache(["Id"], [1]) == 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_facade_over_tls(backend: str, mysql_place: Place, redis_place: Place, papers: Papers) -> None:
    """The same from an event loop, many reads at once."""

    async def main() -> None:
        async with AsyncMRCClient(
            mysql_config(mysql_place, papers), redis_config(redis_place, papers)
        ) as client:
            for _ in range(2):
                async with anyio.create_task_group() as tasks:
                    for number in range(20):
                        tasks.start_soon(client.query_with_cache, "SELECT ? AS n", [number], ["Facade"])
            stats = client.stats()
            assert (stats["fills"], stats["hits"], stats["cache_failures"]) == (20, 20, 0)
            assert await client.drop_outdated_cache(["Facade"], [7]) == 1

    anyio.run(main, backend=backend)


def test_a_context_is_made_once_a_minute(
    redis_place: Place, mysql_place: Place, papers: Papers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes longer to make than to connect; but certificates get renewed while a process lives."""
    made = []
    make = ssl.create_default_context
    monkeypatch.setattr(
        ssl, "create_default_context", lambda *args, **kw: made.append(1) or make(*args, **kw)
    )
    with MRCClient(mysql_config(mysql_place, papers), redis_config(redis_place, papers)) as client:
        link, pool = client._core.links[0], client._core.database.pool
        assert link is not None
        with link.pinned(), link.pinned(), pool.connection(), pool.connection():  # type: ignore[union-attr]
            assert made == [1, 1]
            monkeypatch.setattr(tls, "LIFE", -1.0)
            with link.pinned(), pool.connection():  # type: ignore[union-attr]
                assert made == [1] * 4


# Wrong ones

UNKNOWN = "no known authority vouches for the certificate: name the authority's file with ssl_ca"
OTHER_HOST = "the certificate is for another host: connect to a name it holds"
OUT_OF_TIME = "the certificate is out of its time: renew it on the server"
WRONG = [
    pytest.param("stranger", UNKNOWN, id="stranger"),
    pytest.param("elsewhere", OTHER_HOST, id="elsewhere"),
    pytest.param("expired", OUT_OF_TIME, id="expired"),
]


@pytest.mark.parametrize(("name", "message"), WRONG)
def test_mysql_with_a_wrong_certificate_is_refused(
    name: str, message: str, mysql_place: Place, papers: Papers, opened: Callable[..., MRCClient]
) -> None:
    """The error says what to do; nothing is told to that server; with the right one the client goes on."""
    mysql_place.present(getattr(papers, name))
    with Proxy(mysql_place.port) as proxy:
        heard = overheard(proxy)
        client = opened(mysql_config(mysql_place, papers, port=proxy.port))
        with pytest.raises(DatabaseUnavailable, match=message):
            client.query("SELECT 'a secret'")
        assert not told(heard, b"mrc", b"secret")
        mysql_place.present(papers.right)
        assert client.query("SELECT 1 AS n") == ROWS


@pytest.mark.parametrize(("name", "message"), WRONG)
def test_redis_with_a_wrong_certificate_is_passed_by(
    name: str,
    message: str,
    mysql_url: str,
    redis_place: Place,
    papers: Papers,
    opened: Callable[..., MRCClient],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Reads go to MySQL, one warning names the reason, a drop raises it; nothing is told to that server."""
    redis_place.present(getattr(papers, name))
    with Proxy(redis_place.port) as proxy:
        heard = overheard(proxy)
        client = opened(mysql_url, redis_config(redis_place, papers, port=proxy.port, password="s3cret"))
        assert [read(client) for _ in range(8)] == [ROWS] * 8
        with pytest.raises(CacheUnavailable, match=message):
            client.drop_outdated_cache(["Id"], [1])
        assert not told(heard, b"AUTH", b"s3cret", b"Id=1")
    (warning,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert message in warning.getMessage()


def test_caching_begins_when_redis_gets_the_right_certificate(
    redis_place: Place, mysql_url: str, papers: Papers, opened: Callable[..., MRCClient]
) -> None:
    """Nobody has to restart anything."""
    redis_place.present(papers.expired)
    client = opened(mysql_url, redis_config(redis_place, papers))
    read(client)  # one failure does not open the breaker
    redis_place.present(papers.right)

    assert read(client) == read(client) == ROWS
    assert client.stats()["hits"] >= 1


def test_a_named_authority_is_asked(
    mysql_place: Place, papers: Papers, opened: Callable[..., MRCClient]
) -> None:
    """``ssl_ca`` alone verifies the certificate, as with MySQL's own clients, but not the host."""
    client = opened(mysql_config(mysql_place, papers, ssl_verify_identity=None))
    mysql_place.present(papers.stranger)
    with pytest.raises(DatabaseUnavailable, match=UNKNOWN):
        client.query("SELECT 1 AS n")
    mysql_place.present(papers.elsewhere)
    assert client.query("SELECT 1 AS n") == ROWS


def test_the_host_is_checked_against_the_systems_authorities_too(
    mysql_place: Place, papers: Papers, opened: Callable[..., MRCClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``ssl_verify_identity`` without ``ssl_ca``: else anybody's certificate from anywhere would do."""
    monkeypatch.setenv("SSL_CERT_FILE", str(papers.authority))  # stands for the system's
    client = opened(mysql_config(mysql_place, papers, ssl_ca=None))
    assert client.query("SELECT 1 AS n") == ROWS
    client = opened(mysql_config(mysql_place, papers, ssl_ca=None))
    mysql_place.present(papers.elsewhere)
    with pytest.raises(DatabaseUnavailable, match=OTHER_HOST):
        client.query("SELECT 1 AS n")


def test_a_server_without_tls_is_told_nothing(
    mysql_place: Place, redis_place: Place, papers: Papers, opened: Callable[..., MRCClient]
) -> None:
    """Whoever asks for TLS gets it or an error: somebody in between could pretend that there is none."""
    with Proxy(mysql_place.port) as proxy:
        proxy.corrupt(without_tls)
        heard = overheard(proxy)
        client = opened(
            mysql_config(mysql_place, papers, port=proxy.port),
            redis_config(redis_place, papers, port=urlsplit(redis_place.url).port, socket_timeout=0.25),
        )
        with pytest.raises(DatabaseUnavailable, match="SSL is required"):
            client.query("SELECT 1")
        assert not heard
        with pytest.raises(CacheUnavailable):
            client.drop_outdated_cache(["Id"], [1])


def without_tls(greeting: bytes) -> bytes:
    """Clear the bit CLIENT_SSL (0x0800) in the server's greeting, behind its version and 13 bytes more."""
    place = greeting.index(b"\0", 5) + 1 + 4 + 8 + 1
    if greeting[4] != 10:
        return greeting
    return greeting[: place + 1] + bytes([greeting[place + 1] & ~0x08]) + greeting[place + 2 :]


def overheard(proxy: Proxy) -> bytearray:
    """What clients say through *proxy*, as somebody in between hears it."""
    heard = bytearray()

    def listen(data: bytes) -> bytes:
        heard.extend(data)
        return data

    proxy.corrupt(listen, "requests")
    return heard


def told(heard: bytearray, *words: bytes) -> list[bytes]:
    """Which of *words* can be read."""
    return [word for word in words if word in heard]


# Certificates of clients


@pytest.fixture
def demanding_redis(redis_place: Place) -> Iterator[Place]:
    """Wants to know with whom it speaks."""
    with redis.Redis.from_url(redis_place.url) as admin:
        admin.config_set("tls-auth-clients", "yes")
        yield redis_place
        admin.config_set("tls-auth-clients", "no")


@pytest.mark.parametrize("name", ["client", "locked"])
def test_redis_wants_a_certificate_of_the_client(
    name: str, demanding_redis: Place, mysql_url: str, papers: Papers, opened: Callable[..., MRCClient]
) -> None:
    """With one it works, also where a password unlocks the key; without, the error says what is wanted."""
    own: Issued = getattr(papers, name)
    options = {"ssl_certfile": str(own.certificate), "ssl_keyfile": str(own.key)}
    if name == "locked":
        options["ssl_password"] = KEY_PASSWORD
    client = opened(mysql_url, redis_config(demanding_redis, papers, **options))
    assert read(client) == read(client) == ROWS
    assert client.stats()["hits"] == 1

    client = opened(mysql_url, redis_config(demanding_redis, papers))
    # A server that has hung up before it is asked anything says nothing of this.
    wanted = r"the server wants a certificate of the client: ssl_certfile|EOF|reset|Broken pipe"
    with pytest.raises(CacheUnavailable, match=wanted):
        client.drop_outdated_cache(["Id"], [1])


@pytest.mark.parametrize("name", ["client", "locked"])
def test_mysql_wants_a_certificate_of_the_client(
    name: str, mysql_place: Place, papers: Papers, opened: Callable[..., MRCClient]
) -> None:
    """With one it works, also where a password unlocks the key; without, the server denies access."""
    with pymysql.connect(**mysql_arguments(mysql_place.url)) as admin:
        admin.cursor().execute("CREATE USER IF NOT EXISTS 'known'@'%' IDENTIFIED BY 'mrc' REQUIRE X509")
    own: Issued = getattr(papers, name)
    options = {"user": "known", "ssl_cert": str(own.certificate), "ssl_key": str(own.key)}
    if name == "locked":
        options["ssl_key_password"] = KEY_PASSWORD
    assert opened(mysql_config(mysql_place, papers, **options)).query("SELECT 1 AS n") == ROWS
    with pytest.raises(DatabaseUnavailable, match="Access denied"):
        opened(mysql_config(mysql_place, papers, user="known")).query("SELECT 1")


FILES = [
    pytest.param({"authority": "/no/such/file"}, "No such file", id="missing"),
    pytest.param({"authority": "/"}, "Is a directory", id="folder"),
    pytest.param({"locked": True}, "PEM lib", id="locked key"),
]


@pytest.mark.parametrize(("files", "message"), FILES)
def test_files_that_are_of_no_use(
    files: dict[str, Any],
    message: str,
    mysql_place: Place,
    redis_place: Place,
    papers: Papers,
    opened: Callable[..., MRCClient],
    capfd: pytest.CaptureFixture[str],
) -> None:
    """An error that says so; nobody is asked for a password at a terminal."""
    authority = files.get("authority", str(papers.authority))
    certificate, key = map(str, papers.locked)
    own = {"ssl_cert": certificate, "ssl_key": key} if "locked" in files else {}
    own_redis = {"ssl_certfile": certificate, "ssl_keyfile": key} if "locked" in files else {}
    client = opened(
        mysql_config(mysql_place, papers, ssl_ca=authority, **own),
        redis_config(redis_place, papers, ssl_ca_certs=authority, **own_redis),
    )
    with pytest.raises(DatabaseUnavailable, match=rf"the files of ssl_ca, ssl_cert and ssl_key.*{message}"):
        client.query("SELECT 1")
    with pytest.raises(CacheUnavailable, match=message):
        client.drop_outdated_cache(["Id"], [1])
    assert "pass phrase" not in "".join(capfd.readouterr())


def test_a_session_is_reset_over_tls(
    mysql_place: Place, papers: Papers, opened: Callable[..., MRCClient]
) -> None:
    """Several commands go out at once, and each has its answer."""
    client = opened(mysql_config(mysql_place, papers, maxsize=1, init_command="SET @begun = 7"))
    look = "SELECT @begun AS b, @a AS a, CONNECTION_ID() AS i"
    as_new = client.query(look)
    for _ in range(5):
        client.execute("SET @a = 1")
        assert client.query(look) == as_new
