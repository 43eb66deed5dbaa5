"""Nothing tells a password or a parameter's value: no error, no chain of errors, no log line, no repr."""

from __future__ import annotations

import gc
import logging
import traceback
import warnings
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import anyio
import pymysql
import pytest
import redis
from redis.cluster import RedisCluster
from redis.sentinel import Sentinel

from mysql_redis_cache import (
    AsyncMRCClient,
    AsyncMRCServer,
    InvalidationFailed,
    MRCClient,
    MRCServer,
    QueryTimeout,
)
from tests.support.cluster import cluster_port, eventually
from tests.support.proxy import Proxy
from tests.support.urls import mysql_arguments
from tools.private_servers import PrivateRedis, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Each part is looked for: what is cut at a special character must not tell the rest.
PASSWORD = "xQ7openpw/8Zsesame@pw9K"
ENCODED = "xQ7openpw%2F8Zsesame%40pw9K"
VALUE = "vW4param'value,\\Jd5"
SECRETS = ("xQ7open", "8Zsesame", "pw9K", "vW4param", "Jd5")

SOON = {"socket_timeout": 0.1, "socket_connect_timeout": 0.1}
SELECT = "SELECT ? AS v"
LIST = "SELECT v FROM (SELECT 'a' AS v) AS a WHERE v IN (?)"


class Ears:
    """Listens to everything a process says of itself."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def note(self, *things: object) -> None:
        """Note what *things* look like to whoever prints them."""
        self.heard += [form(thing) for thing in things for form in (str, repr)]

    def note_error(self, error: BaseException) -> None:
        """Note an error with all those it came from, as printed, and as a traceback."""
        self.heard.append("".join(traceback.format_exception(error)))
        seen: set[int] = set()
        ahead: list[BaseException | None] = [error]
        while ahead:
            one = ahead.pop()
            if one is None or id(one) in seen:
                continue
            seen.add(id(one))
            self.note(one, one.args)
            ahead += [one.__cause__, one.__context__]

    def note_record(self, record: logging.LogRecord) -> None:
        self.heard.append(logging.Formatter("%(name)s %(threadName)s %(message)s").format(record))
        self.note(record.args)

    def told(self) -> list[str]:
        """What was told that nobody should know."""
        return [text for text in self.heard if any(secret in text for secret in SECRETS)]


@pytest.fixture
def ears(capfd: pytest.CaptureFixture[str]) -> Iterator[Ears]:
    """All loggers, warnings, and both outputs."""
    ears = Ears()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            ears.note_record(record)

    handler, root = Handler(), logging.getLogger()
    loggers = [root, *map(logging.getLogger, logging.root.manager.loggerDict)]
    levels = {logger: logger.level for logger in loggers}
    root.addHandler(handler)
    for logger in levels:
        logger.setLevel(logging.DEBUG)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        yield ears
    root.removeHandler(handler)
    for logger, level in levels.items():
        logger.setLevel(level)
    ears.note(*[warning.message for warning in warned], *capfd.readouterr())
    assert ears.heard
    assert ears.told() == []


class Servers(NamedTuple):
    """Servers whose passwords are something else than ``PASSWORD``, and addresses without any."""

    mysql_port: int
    redis_port: int
    socket: str
    strange_port: int
    cluster: RedisCluster
    dead: int


@pytest.fixture(scope="module")
def servers(mysql_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """One Redis with a password, one that knows no AUTH and no GET, and a cluster of one node."""
    path = f"/tmp/mrc-secrets-{free_port()}.sock"  # a long path would not fit
    port = cluster_port()
    renamed = [("--rename-command", name, f"{name}2") for name in ("AUTH", "GET", "EVALSHA", "EVAL")]
    with ExitStack() as stack:
        locked = stack.enter_context(PrivateRedis(("--requirepass", "another", "--unixsocket", path)))
        odd = stack.enter_context(PrivateRedis([word for words in renamed for word in words]))
        node = stack.enter_context(PrivateRedis(("--cluster-enabled", "yes"), port))
        with redis.Redis(port=node.port) as admin:
            admin.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            admin.config_set("cluster-announce-ip", "127.0.0.1")
            eventually(lambda: admin.cluster("INFO")["cluster_state"] == "ok", "the cluster")
            admin.config_set("requirepass", PASSWORD)
        with RedisCluster(host="127.0.0.1", port=node.port, password=PASSWORD) as cluster:
            with redis.Redis(port=node.port, password=PASSWORD) as admin:
                admin.config_set("requirepass", "another")
            place = urlsplit(mysql_url)
            yield Servers(place.port or 3306, locked.port, path, odd.port, cluster, free_port())


def everything(ears: Ears, mysql_config: Any, redis_config: Any) -> None:
    """Use all that a client and a server have, and note what comes of it."""
    try:
        with MRCClient(mysql_config, redis_config) as client, MRCServer(redis_config) as server:
            for call in (
                lambda: client.query_with_cache(SELECT, [VALUE], ["Value"]),
                lambda: client.query_many_with_cache([(SELECT, [VALUE], ["Value"]), ("SELECT 1",)]),
                lambda: client.get_many(LIST, [VALUE, 7], key="v", name="Value"),
                lambda: client.read_from_cache(SELECT, [VALUE], ["Value"]),
                lambda: client.write_to_cache(SELECT, VALUE, [VALUE], ["Value"]),
                lambda: client.query(SELECT, [VALUE]),
                lambda: client.execute("DO ?", [VALUE]),
                lambda: client.drop_query(SELECT, [VALUE], ["Value"]),
                lambda: client.drop_outdated_cache(["Value"], [VALUE]),
                lambda: server.drop_outdated_cache(["Value"], [VALUE], retry_for=0.01),
                lambda: client.get_mysql_pool().connection().__enter__(),
                lambda: in_transaction(client),
            ):
                try:
                    call()
                except Exception as error:
                    ears.note_error(error)
            ears.note(client, server, client.stats(), client.get_mysql_pool(), *vars(client._core).values())
            ears.note(client.get_mysql_pool().connection(), client._core.options, client.transaction())
        for closed in (client.query, server.drop_outdated_cache):
            try:
                closed(SELECT, [VALUE])
            except Exception as error:
                ears.note_error(error)
    except Exception as error:  # a configuration that is refused
        ears.note_error(error)


def collect(fault: str) -> None:
    """Drivers leave a socket that could not be connected to the garbage collector, which complains."""
    if "socket" in fault:
        gc.collect()


def in_transaction(client: MRCClient) -> None:
    with client.transaction() as tx:
        tx.drop_outdated_cache(["Value"], [VALUE])
        tx.execute("DO ?", [VALUE])


async def facade(ears: Ears, mysql_config: Any, redis_config: Any) -> None:
    try:
        async with (
            AsyncMRCClient(mysql_config, redis_config) as client,
            AsyncMRCServer(redis_config) as server,
        ):
            ears.note(client, server)
            for call in (client.query_with_cache, client.query, client.read_from_cache):
                try:
                    await call(SELECT, [VALUE])
                except Exception as error:
                    ears.note_error(error)
            await server.drop_outdated_cache(["Value"], [VALUE])
    except Exception as error:
        ears.note_error(error)


# What goes wrong at Redis

REDIS: dict[str, Callable[[Servers], Any]] = {
    "dict": lambda at: {"port": at.redis_port, "password": PASSWORD},
    "dict with a user": lambda at: {"port": at.redis_port, "username": "app", "password": PASSWORD},
    "URL": lambda at: f"redis://:{ENCODED}@127.0.0.1:{at.redis_port}/0",
    "URL with a user": lambda at: f"redis://app:{ENCODED}@127.0.0.1:{at.redis_port}/0",
    "client": lambda at: redis.Redis(port=at.redis_port, password=PASSWORD),
    "credential provider": lambda at: {
        "port": at.redis_port,
        "credential_provider": redis.UsernamePasswordCredentialProvider("app", PASSWORD),
    },
    "socket": lambda at: {"unix_socket_path": at.socket, "password": PASSWORD},
    "socket URL": lambda at: f"unix://:{ENCODED}@{at.socket}?db=0",
    "no socket": lambda at: f"unix://:{ENCODED}@/no/such/socket",
    "cluster": lambda at: at.cluster,
    "refused": lambda at: {"port": at.dead, "password": PASSWORD},
    "unknown host": lambda at: f"redis://:{ENCODED}@no.such.host.invalid:{at.dead}",
    "no AUTH there": lambda at: {"port": at.strange_port, "password": PASSWORD},
    "no AUTH with a user there": lambda at: f"redis://app:{ENCODED}@127.0.0.1:{at.strange_port}",
    "no GET there": lambda at: {"port": at.strange_port},
    "TLS that is none": lambda at: f"rediss://:{ENCODED}@127.0.0.1:{at.redis_port}?socket_timeout=0.05",
    "locked key": lambda at: {
        "port": at.redis_port,
        "ssl": True,
        "socket_timeout": 0.05,
        "ssl_certfile": "/",
        "ssl_keyfile": "/",
        "ssl_password": PASSWORD,
    },
    "sentinels that are none": lambda at: sentinels(at.redis_port),
    "sentinels that are away": lambda at: sentinels(at.dead),
    "database": lambda at: {"port": at.strange_port, "db": 99},
}


def sentinels(port: int) -> redis.Redis:
    own: dict[str, Any] = {"password": PASSWORD, **SOON}
    master: redis.Redis = Sentinel([("127.0.0.1", port)], sentinel_kwargs=own, **own).master_for("shop")
    return master


@pytest.mark.parametrize("fault", REDIS)
def test_failures_of_redis(fault: str, servers: Servers, mysql_url: str, ears: Ears) -> None:
    """Whatever is wrong, in whichever form the password was given."""
    plain = f"{mysql_url}?ssl_disabled=true"  # a TLS context takes longer than the rest
    everything(ears, plain, REDIS[fault](servers))
    anyio.run(facade, ears, plain, REDIS[fault](servers))
    collect(fault)


@pytest.mark.parametrize("way", ["cut", "frozen", "garbled"])
def test_a_redis_that_fails_underway(way: str, private_redis: Any, mysql_url: str, ears: Ears) -> None:
    """It has taken the password, and then hangs up, says nothing or says nonsense."""
    server = private_redis("--requirepass", PASSWORD)
    with Proxy(server.port) as proxy:
        config = {"port": proxy.port, "password": PASSWORD, **SOON}
        with MRCClient(mysql_url, config) as client:
            client.query_with_cache(SELECT, [VALUE], ["Value"])
            break_off(proxy, way)
            for _ in range(4):
                assert client.query_with_cache(SELECT, [VALUE], ["Value"]) == [{"v": VALUE}]
            with pytest.raises(ConnectionError) as caught:
                client.drop_outdated_cache(["Value"], [VALUE])
            ears.note_error(caught.value)
            with pytest.raises(InvalidationFailed) as failed:
                in_transaction(client)
            ears.note_error(failed.value)


def break_off(proxy: Proxy, way: str) -> None:
    if way == "cut":
        proxy.stop()
    elif way == "frozen":
        proxy.pause("replies")
    else:
        proxy.corrupt(lambda data: b"?" + data)


# What goes wrong at MySQL

MYSQL: dict[str, Callable[[Servers], Any]] = {
    "dict": lambda at: account(at.mysql_port),
    "bytes": lambda at: account(at.mysql_port, password=PASSWORD.encode()),
    "URL": lambda at: f"mysql://app:{ENCODED}@127.0.0.1:{at.mysql_port}/shop",
    "password as an option": lambda at: f"mysql://app@127.0.0.1:{at.mysql_port}/shop?password={ENCODED}",
    "refused": lambda at: account(at.dead),
    "unknown host": lambda at: account(at.dead, host="no.such.host.invalid"),
    "not MySQL": lambda at: account(at.redis_port, connect_timeout=0.05),
    "no socket": lambda at: account(1, unix_socket="/no/such/socket"),
    "TLS that is none": lambda at: account(at.mysql_port, ssl_disabled=None, ssl_verify_identity=True),
    "locked key": lambda at: account(
        at.mysql_port, ssl_disabled=None, ssl_cert="/", ssl_key="/", ssl_key_password=PASSWORD
    ),
    "command at connecting": lambda at: account(at.mysql_port, init_command="NONSENSE"),
}


NO_TLS = {"ssl_disabled": True}


def account(port: int, **options: Any) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": port, "user": "app", "password": PASSWORD, **NO_TLS, **options}


@pytest.mark.parametrize("fault", MYSQL)
def test_failures_of_mysql(fault: str, servers: Servers, redis_url: str, ears: Ears) -> None:
    """Whatever is wrong, in whichever form the password was given."""
    everything(ears, MYSQL[fault](servers), redis_url)
    anyio.run(facade, ears, MYSQL[fault](servers), redis_url)
    collect(fault)


@pytest.mark.parametrize("way", ["cut", "frozen", "garbled"])
def test_a_mysql_that_fails_underway(
    way: str, servers: Servers, mysql_server_url: str, redis_url: str, ears: Ears
) -> None:
    """It has taken the password, and then hangs up, says nothing or says nonsense."""
    with pymysql.connect(**mysql_arguments(mysql_server_url)) as admin:
        admin.cursor().execute("CREATE USER IF NOT EXISTS 'secretive'@'%%' IDENTIFIED BY %s", (PASSWORD,))
    with Proxy(servers.mysql_port) as proxy:
        waits = dict.fromkeys(["connect_timeout", "read_timeout"], 0.2)
        config = account(proxy.port, user="secretive", ssl_disabled=True, **waits)
        with MRCClient(config, redis_url) as client:
            assert client.query(SELECT, [VALUE]) == [{"v": VALUE}]
            break_off(proxy, way)
            for ask in (client.query, client.query_with_cache, client.execute):
                with pytest.raises(ConnectionError) as caught:
                    ask("DO ?" if ask == client.execute else SELECT, [VALUE])
                ears.note_error(caught.value)


def test_a_statement_that_is_stopped(mysql_url: str, ears: Ears) -> None:
    """``query_timeout`` tells its limit."""
    with MRCClient(f"{mysql_url}?query_timeout=0.1") as client, pytest.raises(QueryTimeout) as caught:
        client.query("SELECT SLEEP(5), ?", [VALUE])
    ears.note_error(caught.value)


# What is refused before anything is sent

CONFIGS = [
    pytest.param({"user": "app", "password": PASSWORD, "hots": "h"}, {}, id="mysql: unknown option"),
    pytest.param({"password": PASSWORD, "port": "x"}, {}, id="mysql: bad port"),
    pytest.param({"password": ["x", PASSWORD]}, {}, id="mysql: password of another type"),
    pytest.param({"password": "\udc80" + PASSWORD}, {}, id="mysql: half of a surrogate pair"),
    pytest.param({"passwd": PASSWORD}, {}, id="mysql: another's word"),
    pytest.param({"ssl": {"key_password": PASSWORD}}, {}, id="mysql: unknown key of ssl"),
    pytest.param({"ssl": PASSWORD}, {}, id="mysql: ssl of another type"),
    pytest.param([PASSWORD], {}, id="mysql: another type"),
    pytest.param(f"mysql://app:{PASSWORD}@h/d", {}, id="mysql: not percent-encoded"),
    pytest.param(f"mysql://app:1{PASSWORD}@h/d", {}, id="mysql: cut behind a port"),
    pytest.param(f"mysql://app:{PASSWORD.replace('/', '?')}@h/d", {}, id="mysql: question mark"),
    pytest.param(f"mysql://app:{PASSWORD.replace('/', '#')}@h/d", {}, id="mysql: hash"),
    pytest.param(f"mysql://app:{PASSWORD.replace('/', '[')}@h/d", {}, id="mysql: bracket"),
    pytest.param(f"mysql://app:{ENCODED}@h:x/d", {}, id="mysql: bad port in a URL"),
    pytest.param(f"mysql://app:{ENCODED}@h/d?hots=1", {}, id="mysql: unknown option in a URL"),
    pytest.param(f"mysql://app:{ENCODED}@h/d?charset=latin1", {}, id="mysql: bad value in a URL"),
    pytest.param(f"mysql://app:{ENCODED}@h/d?password=x", {}, id="mysql: two passwords"),
    pytest.param(f"mysql+pymysql://app:{ENCODED}@h/d", {}, id="mysql: scheme"),
    pytest.param(f"app:{ENCODED}@h/d", {}, id="mysql: no scheme"),
    pytest.param({}, {"password": PASSWORD, "hosst": "h"}, id="redis: unknown option"),
    pytest.param({}, {"passwd": PASSWORD}, id="redis: another's word"),
    pytest.param({}, {"password": PASSWORD, "port": "x"}, id="redis: bad port"),
    pytest.param({}, {"password": PASSWORD, "socket_timeout": -1}, id="redis: bad timeout"),
    pytest.param({}, {"password": PASSWORD, "max_connections": 0}, id="redis: bad limit"),
    pytest.param({}, {"password": PASSWORD, "ssl": True, "ssl_cert_reqs": "x"}, id="redis: bad TLS"),
    pytest.param({}, {"password": "\udc80" + PASSWORD}, id="redis: half of a surrogate pair"),
    pytest.param({}, {"password": ["x", PASSWORD]}, id="redis: password of another type"),
    pytest.param({}, {"credential_provider": PASSWORD}, id="redis: no credential provider"),
    pytest.param({}, [PASSWORD], id="redis: another type"),
    pytest.param({}, redis.ConnectionPool(password=PASSWORD), id="redis: a pool"),
    pytest.param({}, redis.asyncio.Redis(password=PASSWORD), id="redis: an asyncio client"),
    pytest.param({}, f"redis://:{PASSWORD}@h", id="redis: not percent-encoded"),
    pytest.param({}, f"redis://:1{PASSWORD}@h", id="redis: cut behind a port"),
    pytest.param({}, f"redis://:{PASSWORD.replace('/', '?')}@h", id="redis: question mark"),
    pytest.param({}, f"redis://:{PASSWORD.replace('/', '#')}@h", id="redis: hash"),
    pytest.param({}, f"redis://:{ENCODED}@h:x", id="redis: bad port in a URL"),
    pytest.param({}, f"redis://:{ENCODED}@h?hosst=1", id="redis: unknown option in a URL"),
    pytest.param({}, f"redis://:{ENCODED}@h?socket_timeout=x", id="redis: bad value in a URL"),
    pytest.param({}, f"http://:{ENCODED}@h", id="redis: scheme"),
    pytest.param({}, f":{ENCODED}@h", id="redis: no scheme"),
]


@pytest.mark.parametrize(("mysql_config", "redis_config"), CONFIGS)
def test_refused_configurations(mysql_config: Any, redis_config: Any, ears: Ears) -> None:
    """At once, or when they are first used; in either way without quoting them."""
    if isinstance(mysql_config, dict):
        mysql_config = {"host": "127.0.0.1", "port": 1, **mysql_config}
    if isinstance(redis_config, dict):
        redis_config = {"host": "127.0.0.1", "port": 1, **redis_config}
    everything(ears, mysql_config, redis_config)


PARAMS = [
    pytest.param([VALUE, VALUE], ["Value"], id="too many"),
    pytest.param([VALUE + "\udc80"], ["Value"], id="half of a surrogate pair"),
    pytest.param([{VALUE: VALUE}], ["Value"], id="dict"),
    pytest.param([[VALUE, [VALUE, [VALUE, {VALUE}]]]], ["Value"], id="nested"),
    pytest.param([{VALUE}], ["Value"], id="set"),
    pytest.param([[VALUE, float("nan")]], ["Value"], id="not a number"),
    pytest.param([[VALUE, []]], ["Value"], id="empty list"),
    pytest.param([[VALUE, datetime(2026, 1, 1, tzinfo=UTC)]], ["Value"], id="aware datetime"),
    pytest.param([[VALUE, Decimal("NaN")]], ["Value"], id="Decimal that is none"),
    pytest.param([object()], ["Value"], id="object"),
    pytest.param(VALUE, ["Value"], id="str"),
    pytest.param({"Value": VALUE}, ["Value"], id="dict for a list"),
    pytest.param([VALUE], ["Value", "Other"], id="too many names"),
    pytest.param([VALUE], ["Val=ue"], id="bad name"),
]


@pytest.mark.parametrize(("params", "names"), PARAMS)
def test_refused_params(params: Any, names: Any, mysql_url: str, redis_url: str, ears: Ears) -> None:
    """The error tells type and place."""
    with MRCClient(mysql_url, redis_url) as client:
        for call in (
            lambda: client.query_with_cache(SELECT, params, names),
            lambda: client.query_many_with_cache([(SELECT, params, names)]),
            lambda: client.get_many(LIST, params, key="v", name="Value"),
            lambda: client.get_many(LIST, [VALUE], key="v", name=names[0]),
            lambda: client.with_cache(lambda: object(), SELECT, params, names),
            lambda: client.with_cache(lambda: {"a": [VALUE, {VALUE}]}, SELECT),
            lambda: client.write_to_cache(SELECT, [{VALUE}], params, names),
            lambda: client.query(SELECT, params),
            lambda: client.execute("DO ?", params),
            lambda: client.drop_outdated_cache(names, params),
            lambda: client.drop_query(SELECT, params, names),
        ):
            with suppress(redis.RedisError):
                try:
                    call()
                except Exception as error:
                    if not isinstance(error, pymysql.Error):  # the server's own words
                        ears.note_error(error)
        ears.note(client.stats())


def test_corrupt_entries(mysql_url: str, redis_url: str, redis_client: redis.Redis, ears: Ears) -> None:
    """The line in the log tells the digest of the key alone."""
    with MRCClient(mysql_url, redis_url) as client:
        redis_client.set(client.get_key_from_query(SELECT, [VALUE], ["Value"]), f'["{VALUE}')
        assert client.query_with_cache(SELECT, [VALUE], ["Value"]) == [{"v": VALUE}]
        assert client.stats()["corrupt_entries"] == 1
