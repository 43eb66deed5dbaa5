"""What a user may say about Redis, and what is made of it; nothing here opens a connection."""

from __future__ import annotations

import socket
from collections import OrderedDict
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
import redis
import redis.asyncio
from redis.retry import Retry
from redis.sentinel import Sentinel

from mysql_redis_cache.store import Server, link

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SECRET = "s3cr/et@pa:ss"


@pytest.fixture(autouse=True)
def _no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a configuration says, making a link of it connects to nothing."""

    def refuse(*args: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def connection(config: object) -> Any:
    """A connection as it would be opened, unopened."""
    made = link(config)
    assert isinstance(made, Server)
    return made._connections._make()


FORMS = [
    pytest.param({"host": "db1", "port": 6380, "db": 3}, id="dict"),
    pytest.param(OrderedDict(host="db1", port=6380, db=3), id="ordered dict"),
    pytest.param(MappingProxyType({"host": "db1", "port": 6380, "db": 3}), id="mapping"),
    pytest.param("redis://db1:6380/3", id="URL"),
    pytest.param("redis://db1:6380?db=3", id="URL with an option"),
    pytest.param(redis.Redis(host="db1", port=6380, db=3), id="client"),
    pytest.param(redis.Redis.from_url("redis://db1:6380/3"), id="client from a URL"),
    pytest.param(
        redis.Redis(connection_pool=redis.BlockingConnectionPool(host="db1", port=6380, db=3)), id="pool"
    ),
    pytest.param(redis.StrictRedis("db1", 6380, 3), id="positional client"),
]


@pytest.mark.parametrize("config", FORMS)
def test_every_form_names_a_server(config: object) -> None:
    """Where to, however it is said."""
    made = connection(config)

    assert (made.host, made.port, made.db) == ("db1", 6380, "3")


@pytest.mark.parametrize("config", FORMS)
def test_every_form_is_bounded(config: object) -> None:
    """A quarter second for each wait, no retries, RESP2, bytes: whatever redis-py's own defaults are."""
    made = connection(config)

    assert (made.socket_timeout, made.socket_connect_timeout) == (0.25, 0.25)
    assert made.retry._retries == 0
    assert int(made.protocol) == 2
    assert made.encoder.decode_responses is False


@pytest.mark.parametrize("config", [{}, "redis://", redis.Redis()], ids=["dict", "URL", "client"])
def test_the_default_server_is_the_usual_one(config: object) -> None:
    """As redis-py has it."""
    made = connection(config)

    assert (made.host, made.port, made.db) == ("localhost", 6379, 0)


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({"username": "app", "password": SECRET, "client_name": "shop"}, id="dict"),
        pytest.param("redis://app:s3cr%2Fet%40pa%3Ass@localhost?client_name=shop", id="URL"),
        pytest.param(redis.Redis(username="app", password=SECRET, client_name="shop"), id="client"),
    ],
)
def test_who_we_are_is_taken(config: object) -> None:
    """User, password, percent-encoded in a URL, and the name in CLIENT LIST."""
    made = connection(config)

    assert (made.username, made.password, made.client_name) == ("app", SECRET, "shop")


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({"unix_socket_path": "/run/redis.sock", "db": 2}, id="dict"),
        pytest.param("unix:///run/redis.sock?db=2", id="URL"),
        pytest.param(redis.Redis(unix_socket_path="/run/redis.sock", db=2), id="client"),
    ],
)
def test_unix_sockets(config: object) -> None:
    """A path instead of a host."""
    made = connection(config)

    assert (made.path, made.db, made.socket_timeout) == ("/run/redis.sock", "2", 0.25)


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({"ssl": True, "ssl_ca_certs": "/etc/ca.pem", "ssl_check_hostname": True}, id="dict"),
        pytest.param("rediss://localhost?ssl_ca_certs=/etc/ca.pem&ssl_check_hostname=true", id="URL"),
        pytest.param(redis.Redis(ssl=True, ssl_ca_certs="/etc/ca.pem", ssl_check_hostname=True), id="client"),
    ],
)
def test_tls_options_are_taken(config: object) -> None:
    """Who may be on the other end is the user's word."""
    made = connection(config)

    assert isinstance(made, redis.SSLConnection)
    assert (made.ca_certs, made.check_hostname) == ("/etc/ca.pem", True)


@pytest.mark.parametrize(
    ("options", "expected"),
    [("", True), ("?ssl_check_hostname=false", False), ("?ssl_cert_reqs=none", False)],
)
def test_the_host_is_checked_unless_somebody_says_otherwise(options: str, expected: bool) -> None:
    """By default, too, under redis-py 5, which would not."""
    assert connection(f"rediss://localhost{options}").check_hostname is expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        pytest.param({"socket_timeout": 5, "socket_connect_timeout": 2}, (5, 2), id="dict"),
        pytest.param("redis://?socket_timeout=5&socket_connect_timeout=2", (5, 2), id="URL"),
        pytest.param(redis.Redis(socket_timeout=1, socket_connect_timeout=2), (1, 2), id="client"),
        pytest.param({"socket_timeout": None}, (0.25, 0.25), id="none is not for ever"),
        pytest.param(redis.Redis(socket_timeout=None), (0.25, 0.25), id="client without"),
    ],
)
def test_timeouts_may_be_said(config: object, expected: tuple[float, float]) -> None:
    """Longer or shorter, but there is always one."""
    made = connection(config)

    assert (made.socket_timeout, made.socket_connect_timeout) == expected


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"decode_responses": True, "encoding": "latin-1"}, id="decoding"),
        pytest.param({"protocol": 3}, id="RESP3"),
        pytest.param({"health_check_interval": 30}, id="health checks"),
        pytest.param({"retry": Retry(None, 10), "retry_on_error": [OSError]}, id="retry policy"),
        pytest.param({"single_connection_client": False, "max_connections": 7}, id="its pool"),
    ],
)
@pytest.mark.parametrize("form", [dict, lambda **options: redis.Redis(**options)], ids=["dict", "client"])
def test_what_would_break_guarantees_is_accepted_and_left_alone(form: Any, options: dict[str, Any]) -> None:
    """A configuration used elsewhere works here too, and is as safe as any other."""
    made = connection(form(**options))

    assert made.encoder.decode_responses is False
    assert int(made.protocol) == 2
    assert made.retry._retries == 0
    assert made.health_check_interval == 0


def test_a_single_connection_opens_nothing_either() -> None:
    """redis-py would connect at once."""
    assert connection({"single_connection_client": True}).host == "localhost"


def test_the_number_of_connections_may_be_said() -> None:
    """As redis-py calls it; fifty otherwise."""
    assert [link(config)._connections._limit for config in ({"max_connections": 7}, {})] == [7, 50]  # type: ignore[union-attr]
    assert link("redis://?max_connections=7")._connections._limit == 7  # type: ignore[union-attr]


READY = {
    "client": lambda **options: redis.Redis(**options),
    "URL": lambda **options: redis.Redis.from_url("redis://", **options),
    "pool": lambda **options: redis.Redis(connection_pool=redis.ConnectionPool(**options)),
    "pool that waits": lambda **options: redis.Redis(connection_pool=redis.BlockingConnectionPool(**options)),
    "Sentinel": lambda **options: Sentinel([("localhost", 26379)]).master_for("shop", **options),
}


@pytest.mark.parametrize("make", READY.values(), ids=READY)
def test_the_number_of_connections_of_a_ready_client_counts(make: Callable[..., redis.Redis]) -> None:
    """If its maker said one; redis-py's own defaults differ from version to version."""
    limits = [link(make(**options))._connections._limit for options in ({"max_connections": 7}, {})]  # type: ignore[union-attr]

    assert limits == [7, 50]


def test_more_connections_may_be_made_in_time_than_at_once() -> None:
    """A server that restarts now and then must not use up the client."""
    make = link({})._connections._make  # type: ignore[union-attr]

    assert len({id(make()) for _ in range(300)}) > 0


@pytest.mark.parametrize(
    ("config", "message"),
    [
        pytest.param({"hosst": "x"}, r"unknown option: hosst; did you mean host\?", id="misspelt"),
        pytest.param(
            {"passwd": "x"}, r"unknown option: passwd; did you mean password\?", id="another's word"
        ),
        pytest.param({"database": 1}, "unknown option: database", id="node's word"),
        pytest.param({"socket": {"host": "x", "port": 1}}, "unknown option: socket", id="node's form"),
        pytest.param({"url": "redis://"}, "unknown option: url", id="node's URL"),
        pytest.param({"connection_pool": None}, "unknown option: connection_pool", id="pool in a dict"),
        pytest.param({1: 2}, "unknown option: 1", id="no name"),
        pytest.param("redis://?hosst=x", r"unknown option: hosst; did you mean host\?", id="in a URL"),
        pytest.param({"socket_timeout": 0}, "socket_timeout must be positive seconds, not 0", id="no time"),
        pytest.param(
            {"socket_connect_timeout": -1}, "socket_connect_timeout must be positive", id="negative"
        ),
        pytest.param({"socket_timeout": float("nan")}, "socket_timeout must be positive", id="not a number"),
        pytest.param(
            {"client_name": "web 1"}, "client_name must be a str of ASCII", id="a name with a space"
        ),
        pytest.param(
            {"client_name": "wéb"}, "client_name must be a str of ASCII", id="a name with an accent"
        ),
        pytest.param({"client_name": 7}, "client_name must be a str of ASCII", id="a number for a name"),
        pytest.param({"max_connections": 0}, "max_connections must be a positive int, not 0", id="no room"),
        pytest.param({"max_connections": "7"}, "max_connections must be a positive int, not '7'", id="text"),
        pytest.param({"port": "six"}, "port must be a whole number from 1 to 65535", id="bad port"),
        pytest.param({"port": 65_536}, "port must be a whole number from 1 to 65535", id="no port"),
        pytest.param({"port": float("inf")}, "port must be a whole number", id="endless port"),
        pytest.param({"port": True}, "port must be a whole number", id="port true"),
        pytest.param({"db": -1}, "db must be a whole number from 0", id="negative database"),
        pytest.param({"db": 1.5}, "db must be a whole number from 0", id="half a database"),
        pytest.param({"db": "one"}, "db must be a whole number from 0", id="database in words"),
        pytest.param({"db": 10**5000}, "db must be a whole number from 0", id="huge database"),
        pytest.param({"socket_timeout": 1e10}, "socket_timeout must be positive", id="longer than it waits"),
        pytest.param({"socket_timeout": float("inf")}, "socket_timeout must be positive", id="endless"),
        pytest.param({"socket_timeout": True}, "socket_timeout must be positive", id="time true"),
        pytest.param({"socket_timeout": 10**5000}, "not so large an int", id="more than Python prints"),
        pytest.param(
            {"ssl": True, "ssl_cert_reqs": "maybe"}, "redis_config: Invalid SSL", id="bad TLS option"
        ),
        pytest.param("http://localhost", "not a redis://, rediss:// or unix:// URL", id="scheme"),
        pytest.param("localhost:6379", "not a redis://, rediss:// or unix:// URL", id="no scheme"),
        pytest.param("", "not a redis://, rediss:// or unix:// URL", id="empty"),
        pytest.param("redis://localhost?db=x", "a part of it has a bad value", id="bad db in a URL"),
    ],
)
def test_bad_configurations_are_named(config: Any, message: str) -> None:
    """The option and the nearest known one, before anything is sent."""
    with pytest.raises(ValueError, match=message):
        link(config)


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(None, id="None"),
        pytest.param(6379, id="port"),
        pytest.param(b"redis://", id="bytes"),
        pytest.param([("host", "x")], id="pairs"),
        pytest.param(redis.ConnectionPool(), id="pool"),
        pytest.param(Sentinel([("x", 26379)]), id="Sentinel, not its master client"),
    ],
)
def test_other_types_are_refused(config: object) -> None:
    """The message lists what there may be, and names what there is."""
    with pytest.raises(TypeError, match=f"must be a dict, a URL, .* not .*{type(config).__name__}"):
        link(config)


@pytest.mark.parametrize(
    "kind", [redis.asyncio.Redis, redis.asyncio.StrictRedis], ids=["Redis", "StrictRedis"]
)
def test_asyncio_clients_are_refused(kind: Any) -> None:
    """They cannot be used in threads; the advice is the blocking one."""
    with pytest.raises(TypeError, match=r"redis\.asyncio\.client\.Redis; pass a blocking redis\.Redis"):
        link(kind())


def test_a_client_that_reads_from_replicas_is_refused() -> None:
    """What replicas serve may be older than a drop."""
    sentinel = Sentinel([("x", 26379)])

    with pytest.raises(ValueError, match=r"reads from replicas, which serve stale rows; use master_for\(\)"):
        link(sentinel.slave_for("shop"))


def test_a_master_client_is_taken_with_what_its_sentinels_need() -> None:
    """The same sentinels with the same credentials, but asked once and within a quarter second."""
    sentinel = Sentinel(
        [("s1", 26379), ("s2", 26380)], 1, {"password": "knock", "socket_timeout": 5}, password=SECRET, db=3
    )
    made = connection(sentinel.master_for("shop", ssl=True, ssl_ca_certs="/etc/ca.pem"))
    asked = [client.connection_pool for client in made.connection_pool.sentinel_manager.sentinels]

    assert isinstance(made, redis.SSLConnection)
    assert (made.password, made.db, made.ca_certs, made.socket_timeout) == (SECRET, "3", "/etc/ca.pem", 0.25)
    assert made.connection_pool.sentinel_manager.min_other_sentinels == 1
    for pool, host in zip(asked, ("s1", "s2"), strict=True):
        kwargs: Mapping[str, Any] = pool.connection_kwargs
        assert (kwargs["host"], kwargs["password"], kwargs["socket_connect_timeout"]) == (host, "knock", 0.25)
        assert pool.make_connection().retry._retries == 0


SECRETIVE = [
    pytest.param({"password": SECRET, "hosst": "x"}, id="unknown option"),
    pytest.param({"password": SECRET, "socket_timeout": -1}, id="bad value"),
    pytest.param({"password": SECRET, "port": "x"}, id="bad port"),
    pytest.param(
        {"password": SECRET, "credential_provider": redis.UsernamePasswordCredentialProvider("a", SECRET)},
        id="two ways to log in",
    ),
    pytest.param(f"redis://:{SECRET}@localhost", id="not percent-encoded"),
    pytest.param("redis://:s3cr:et@localhost:et", id="bad port in a URL"),
    pytest.param("redis://:12/s3cret@localhost", id="slash in a URL"),
    pytest.param("redis://:12?s3cret@localhost", id="question mark in a URL"),
    pytest.param("redis://:12#s3cret@localhost", id="hash in a URL"),
    pytest.param("http://:s3cr@localhost", id="bad scheme"),
    pytest.param("redis://:s3cr@localhost?nope=1", id="unknown option in a URL"),
    pytest.param("redis://[s3cr", id="no URL at all"),
]


@pytest.mark.parametrize("config", SECRETIVE)
def test_no_error_tells_a_password(config: object) -> None:
    """Not even a piece of one that was not percent-encoded."""
    with pytest.raises(ValueError) as caught:
        link(config)  # type: ignore[arg-type]
    error: BaseException | None = caught.value
    while error is not None and not (error.__suppress_context__ and error.__cause__ is None):
        assert "s3cr" not in f"{error}{error!r}"
        assert "et@" not in str(error)
        error = error.__cause__ or error.__context__
    assert "s3cr" not in f"{caught.value}"


@pytest.mark.parametrize("config", [{"password": SECRET}, "redis://:s3cr@localhost"], ids=["dict", "URL"])
def test_no_repr_tells_a_password(config: Any) -> None:
    """Of the link, or of the connections it makes."""
    made = link(config)

    assert "s3cr" not in f"{made!r}{made._connections!r}{connection(config)!r}"  # type: ignore[union-attr]
