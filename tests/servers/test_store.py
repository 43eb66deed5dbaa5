"""One Redis server: how it is reached, what a failure costs, and that no reply goes astray."""

from __future__ import annotations

import gc
import os
import random
import re
import threading
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import redis

from mysql_redis_cache.errors import CacheUnavailable
from mysql_redis_cache.store import Refused, Server, link
from mysql_redis_cache.store.scripts import RELEASE
from tests.support.alarms import Interrupted, alarms
from tests.support.certificates import Certificates, make_certificates
from tests.support.forks import in_child
from tests.support.pools import living
from tests.support.recording import commands, recorded
from tests.support.waiting import wait_until
from tools.private_servers import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.proxy import Proxy
    from tools.private_servers import PrivateRedis

pytestmark = pytest.mark.real

# What a wait of a quarter second may take on a busy machine; redis-py would take four seconds or more.
PATIENCE = 1.0


@pytest.fixture
def server(redis_url: str) -> Iterator[Server]:
    """A link to the tests' Redis."""
    with linked(redis_url) as made:
        yield made


@contextmanager
def linked(config: Any) -> Iterator[Server]:
    made = link(config)
    assert isinstance(made, Server)
    with closing(made):
        yield made


@contextmanager
def failing(within: float = PATIENCE, match: str | None = None) -> Iterator[None]:
    """The block raises ``CacheUnavailable`` within so many seconds."""
    began = time.monotonic()
    with pytest.raises(CacheUnavailable, match=match):
        yield
    assert time.monotonic() - began < within


def opened(made: Server) -> int:
    """How many connections are open, lent or idle."""
    return len(living(made._connections))


# How it is reached


def forms(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    host, port, db = parts.hostname or "", parts.port or 6379, int(parts.path.strip("/") or 0)
    return {
        "URL": url,
        "dict": {"host": host, "port": port, "db": db},
        "client": redis.Redis(host, port, db),
        "decoding client": redis.Redis(host, port, db, decode_responses=True, protocol=3),
        "pool": redis.Redis(connection_pool=redis.BlockingConnectionPool.from_url(url)),
    }


@pytest.mark.parametrize("form", ["URL", "dict", "client", "decoding client", "pool"])
def test_every_form_reaches_its_database(form: str, redis_url: str, redis_client: redis.Redis) -> None:
    """The same keys, as bytes, whatever the form says about decoding."""
    redis_client.set("key", b"\xff\x00")
    config = forms(redis_url)[form]
    with linked(config) as made:
        assert made.call(b"GET", b"key") == b"\xff\x00"
        assert made.get_many([b"key", b"none"]) == [b"\xff\x00", None]
    if isinstance(config, redis.Redis):
        assert config.get("none") is None  # closing the link has not closed the client
        config.close()


def test_a_unix_socket(private_redis: Callable[..., PrivateRedis], tmp_path: Any) -> None:
    """By path, in each form."""
    path = f"/tmp/mrc-{os.getpid()}-{free_port()}.sock"  # a long path would not fit
    private_redis("--unixsocket", path)
    for config in ({"unix_socket_path": path}, f"unix://{path}", redis.Redis(unix_socket_path=path)):
        with linked(config) as made:
            assert made.call(b"PING") == b"PONG"


def test_user_password_and_database(private_redis: Callable[..., PrivateRedis]) -> None:
    """Percent-encoded in a URL; a wrong one fails at once and is told to nobody."""
    server = private_redis("--user", "app", "on", ">s3cr/et@x", "~*", "+@all", "--requirepass", "other")
    place = f"127.0.0.1:{server.port}"
    with linked(f"redis://app:s3cr%2Fet%40x@{place}/3") as made:
        made.call(b"SET", b"key", b"here")
        assert b"db=3" in made.call(b"CLIENT", b"INFO")
        assert b"user=app" in made.call(b"CLIENT", b"INFO")
    for account in ("app:n0tthis@", "nobody:n0tthis@", ":n0tthis@", ""):
        with linked(f"redis://{account}{place}") as made, failing(match="Auth") as _:
            try:
                made.call(b"GET", b"key")
            finally:
                assert opened(made) == 0
    with linked(f"redis://app:n0tthis@{place}") as made, pytest.raises(CacheUnavailable) as caught:
        made.call(b"GET", b"key")
    told = f"{caught.value!r}{caught.value.__cause__!r}{made!r}{made._connections!r}"
    assert "n0tthis" not in told


def test_a_database_that_is_not_there(private_redis: Callable[..., PrivateRedis]) -> None:
    """Nothing is read from database 0 instead."""
    server = private_redis("--databases", "2")
    with linked(server.url) as made:
        made.call(b"SET", b"key", b"of database 0")
    with linked(f"redis://127.0.0.1:{server.port}/2") as made:
        for _ in range(3):
            with failing(match="DB index is out of range"):
                made.call(b"GET", b"key")
        assert opened(made) == 0


def test_tls(private_redis: Callable[..., PrivateRedis], certificates: Certificates) -> None:
    """Over TLS with a real certificate; a certificate nobody vouches for is refused."""
    port = free_port()
    certificate = ("--tls-cert-file", str(certificates.server), "--tls-key-file", str(certificates.key))
    private_redis("--tls-port", str(port), *certificate, "--tls-ca-cert-file", str(certificates.authority),
                  "--tls-auth-clients", "no")  # fmt: skip
    url = f"rediss://127.0.0.1:{port}/1"
    with linked(f"{url}?ssl_ca_certs={certificates.authority}") as made:
        made.call(b"SET", b"key", b"secret")
        assert made.call(b"GET", b"key") == b"secret"
    with linked({"port": port, "ssl": True, "ssl_ca_certs": str(certificates.authority)}) as made:
        assert made.call(b"PING") == b"PONG"
    with linked(url) as made, failing(within=1, match="(?i)certificate"):
        made.call(b"PING")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


# What one command costs


def test_a_call_is_one_command(redis_url: str, proxy_to: Callable[..., Proxy]) -> None:
    """The first opens the connection and selects the database; after that a command is a command."""
    proxy = proxy_to(redis_url)
    with linked(proxy.url) as made:
        made.call(b"GET", b"warm")
        trips = proxy.round_trips
        with recorded(proxy) as seen:
            made.call(b"GET", b"key")

        assert seen == [[b"GET", b"key"]]
        assert proxy.round_trips == trips + 1
        assert proxy.connections == 1


def test_opening_sends_no_more_than_it_must(redis_url: str, proxy_to: Callable[..., Proxy]) -> None:
    """Neither HELLO nor CLIENT SETINFO: a new connection costs what SELECT costs, where there is one."""
    proxy = proxy_to(redis_url)
    with linked(proxy.url) as made, recorded(proxy) as seen:
        made.call(b"GET", b"key")

    assert set(commands(seen)) <= {"SELECT", "GET"}


def test_several_commands_are_one_round_trip(redis_url: str, proxy_to: Callable[..., Proxy]) -> None:
    """A refused one is returned in its place."""
    proxy = proxy_to(redis_url)
    with linked(proxy.url) as made:
        made.call(b"GET", b"warm")
        trips = proxy.round_trips
        replies = made.calls([(b"SET", b"a", b"1"), (b"LPUSH", b"a", b"x"), (b"GET", b"a")])

        assert proxy.round_trips == trips + 1
        assert replies[::2] == [b"OK", b"1"]
        assert isinstance(replies[1], Refused)
        assert opened(made) == 1


def test_a_script_is_sent_once(redis_url: str, proxy_to: Callable[..., Proxy]) -> None:
    """After that its hash is enough, until the server forgets it."""
    proxy = proxy_to(redis_url)
    with linked(proxy.url) as made:
        made.call(b"SCRIPT", b"FLUSH")
        sent = []
        for _ in range(3):
            with recorded(proxy) as seen:
                assert made.script(RELEASE, (b"K", b"{K}:lease"), b"token") == 0
            sent.append(commands(seen))

    assert sent == [["EVALSHA", "EVAL"], ["EVALSHA"], ["EVALSHA"]]


def test_unknown_scripts_among_several_cost_one_more_round_trip(
    redis_url: str, proxy_to: Callable[..., Proxy]
) -> None:
    """However many there are."""
    proxy = proxy_to(redis_url)
    with linked(proxy.url) as made:
        made.call(b"SET", b"{b}:lease", b"token")
        made.call(b"SCRIPT", b"FLUSH")
        trips = proxy.round_trips
        runs = [(RELEASE, (key, b"{%b}:lease" % key), (b"token",)) for key in (b"a", b"b", b"c")]

        assert made.scripts(runs) == [0, 1, 0]
        assert proxy.round_trips == trips + 2
        assert made.scripts(runs) == [0, 0, 0]
        assert proxy.round_trips == trips + 3


# What a failure costs


def test_a_refused_port_costs_nothing() -> None:
    """Nobody listens: the error comes at once, without retries."""
    with linked(f"redis://127.0.0.1:{free_port()}") as made:
        for _ in range(5):
            with failing(within=0.2, match="Redis is not available: ConnectionError"):
                made.call(b"GET", b"key")


@pytest.mark.parametrize("options", ["/0", "/1", "/1?client_name=x"], ids=["plain", "database", "name"])
def test_a_silent_server_costs_a_quarter_second(
    options: str, redis_url: str, proxy_to: Callable[..., Proxy]
) -> None:
    """At the first contact, whatever there is to be said at the start."""
    proxy = proxy_to(redis_url)
    proxy.pause()
    with linked(f"redis://127.0.0.1:{proxy.port}{options}") as made:
        with failing(match="Timeout"):
            made.call(b"GET", b"key")
        assert opened(made) == 0


def test_a_server_that_falls_silent_costs_a_quarter_second_a_call(
    redis_url: str, proxy_to: Callable[..., Proxy]
) -> None:
    """The connection is gone with the unread reply; when the server speaks again a new one serves."""
    proxy = proxy_to(redis_url)
    with linked(proxy.url) as made:
        made.call(b"SET", b"key", b"value")
        proxy.pause("replies")
        for _ in range(2):
            with failing(match="Timeout"):
                made.call(b"GET", b"late")
        proxy.resume()

        assert [made.call(b"GET", b"key") for _ in range(3)] == [b"value"] * 3


@pytest.mark.parametrize("size", range(0, 12, 3))
def test_a_reply_cut_short_is_no_reply(size: int, redis_url: str, proxy_to: Callable[..., Proxy]) -> None:
    """Wherever the connection breaks, the next command has its own reply on another."""
    proxy = proxy_to(redis_url)
    with linked(proxy.url) as made:
        made.call(b"SET", b"key", b"0123456789")
        proxy.cut_after(size)
        with failing():
            made.call(b"GET", b"key")

        assert made.call(b"GET", b"other") is None
        assert made.call(b"GET", b"key") == b"0123456789"


def test_a_reply_that_is_no_redis_is_an_outage(redis_url: str, proxy_to: Callable[..., Proxy]) -> None:
    """Garbage ends the connection, and reaches nobody."""
    proxy = proxy_to(redis_url)
    with linked(proxy.url) as made:
        made.call(b"PING")
        proxy.corrupt(lambda data: b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with failing():
            made.call(b"GET", b"key")
        proxy.corrupt(None)

        assert made.call(b"PING") == b"PONG"


def test_idle_connections_that_the_server_closed_are_replaced(
    private_redis: Callable[..., PrivateRedis],
) -> None:
    """A restart between two calls is nobody's failure."""
    server = private_redis()
    with linked(server.url) as made:
        made.calls([(b"PING",)] * 3)
        with made.pinned(), made.pinned(), made.pinned():
            pass
        server.restart()

        assert [made.call(b"PING") for _ in range(5)] == [b"PONG"] * 5


def test_a_killed_connection_costs_one_call_at_most(redis_url: str) -> None:
    """CLIENT KILL of a connection in use fails that use alone."""
    with linked(redis_url) as made:
        with failing(), made.pinned() as pinned:
            made.call(b"CLIENT", b"KILL", b"ID", pinned.call(b"CLIENT", b"ID"))
            pinned.call(b"PING")

        assert made.call(b"PING") == b"PONG"
        assert opened(made) == 1


def test_all_connections_in_use(redis_url: str) -> None:
    """The wait for one is bounded like any other."""
    message = r"no Redis connection became free within 0\.25 s \(all 2 are in use\)"
    config = f"{redis_url}?max_connections=2"
    with linked(config) as made, made.pinned(), made.pinned(), failing(match=message):
        made.call(b"PING")


# What Redis refuses


def test_a_command_for_another_type(server: Server, redis_client: redis.Redis) -> None:
    """The connection is none the worse."""
    redis_client.lpush("key", "x")
    with pytest.raises(Refused, match="Redis refused a command: WRONGTYPE") as caught:
        server.call(b"GET", b"key")

    assert caught.value.is_wrong_type
    assert not caught.value.is_unknown_script
    assert server.get_many([b"key", b"none"]) == [None, None]
    assert opened(server) == 1


def test_a_full_server(private_redis: Callable[..., PrivateRedis]) -> None:
    """It still answers reads and deletes."""
    server = private_redis("--maxmemory", "1", "--maxmemory-policy", "noeviction")
    with linked(server.url) as made:
        with pytest.raises(Refused, match="maxmemory"):
            made.call(b"SET", b"key", b"x")

        assert made.call(b"GET", b"key") is None
        assert made.call(b"UNLINK", b"key") == 0
        assert opened(made) == 1


@pytest.mark.parametrize("several", [False, True], ids=["one command", "several"])
def test_a_replica_is_left_at_once(several: bool, private_redis: Callable[..., PrivateRedis]) -> None:
    """After a failover the name leads elsewhere: connections to the demoted server serve stale rows."""
    server, command = private_redis(), (b"SET", b"key", b"x")
    with linked(server.url) as made, redis.Redis.from_url(server.url) as admin:
        with made.pinned(), made.pinned():
            pass
        assert opened(made) == 2
        admin.replicaof("127.0.0.1", free_port())
        with pytest.raises(Refused, match="read only replica"):
            raise made.calls([(b"PING",), command])[1] if several else made.call(*command)
        assert opened(made) == 0
        admin.replicaof("NO", "ONE")

        assert made.call(*command) == b"OK"


def test_an_unknown_command_is_not_quoted_with_its_arguments(
    private_redis: Callable[..., PrivateRedis],
) -> None:
    """They hold parameter values."""
    server = private_redis("--rename-command", "UNLINK", "")
    with linked(server.url) as made, pytest.raises(Refused, match="unknown command 'UNLINK'") as caught:
        made.call(b"UNLINK", b"Name=Jane Doe_62bd946f00d3fecce0ff65800faae755215e31c6")

    assert "Jane" not in str(caught.value)


def test_a_command_without_permission(private_redis: Callable[..., PrivateRedis]) -> None:
    """Refused like anything else."""
    server = private_redis("--user", "reader", "on", "nopass", "~*", "+get", "+select")
    with linked(f"redis://reader:x@127.0.0.1:{server.port}") as made:
        with pytest.raises(Refused, match="permission"):
            made.call(b"SET", b"key", b"x")
        assert made.call(b"GET", b"key") is None


def test_too_many_clients(private_redis: Callable[..., PrivateRedis]) -> None:
    """A server that takes no more connections is not available."""
    server = private_redis("--maxclients", "1")
    with linked(server.url) as first, linked(server.url) as second:
        first.call(b"PING")
        with failing(match="max number of clients|Connection"):
            second.call(b"PING")


def test_a_server_that_is_loading(private_redis: Callable[..., PrivateRedis]) -> None:
    """It will be available; now it is not. The key count makes the load last long enough to be seen."""
    server = private_redis("--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024")
    with redis.Redis.from_url(server.url) as admin:
        admin.mset({f"key:{number}": "x" * 100 for number in range(1000)})
        admin.save()
    server.kill()
    start, seen = threading.Thread(target=server.start), set()
    start.start()
    with linked(server.url) as made:
        while start.is_alive():
            try:
                made.call(b"GET", b"key:1")
            except CacheUnavailable as error:
                seen.add(str(error))
                time.sleep(0.01)
        start.join()

        assert made.call(b"GET", b"key:1") == b"x" * 100
    assert any("loading" in message for message in seen)


# No reply goes astray


# What an interrupted connect() leaves behind is closed by the garbage collector, with a warning.
interruptible = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


def can_lend(made: Server, count: int) -> bool:
    """Whether so many connections can be had at one time."""
    with ExitStack() as lent, suppress(CacheUnavailable):
        for _ in range(count):
            lent.enter_context(made.pinned())
        return True
    return False


@interruptible
def test_no_interrupted_connection_is_used_again(redis_url: str, redis_client: redis.Redis) -> None:
    """Whatever a signal handler interrupts, every reply belongs to its command, and no connection leaks."""
    values = {b"key:%d" % number: b"value:%d" % number for number in range(50)}
    redis_client.mset(values)  # type: ignore[arg-type]
    names, chance = list(values), random.Random(3)
    wrong, right, interrupted = [], 0, 0
    give_up = time.monotonic() + 60
    with linked(f"{redis_url}?max_connections=3") as made, alarms() as alarm:
        while (interrupted < 2500 or right < 1000) and time.monotonic() < give_up:
            try:
                alarm(chance.uniform(2e-5, 1.2e-3))
                for _ in range(5):
                    some = chance.sample(names, 3)
                    asked = chance.choice(["one", "many", "pipeline"])
                    if asked == "one":
                        replies, some = [made.call(b"GET", some[0])], some[:1]
                    elif asked == "many":
                        replies = made.get_many(some)
                    else:
                        replies = made.calls([(b"GET", name) for name in some])
                    if replies != [values[name] for name in some]:
                        wrong.append((some, replies))
                    right += 1
                alarm(0)
            except Interrupted:
                interrupted += 1
        alarm(0)

        assert wrong == []
        assert interrupted >= 2500
        assert right >= 1000
        gc.collect()  # what an exception's frames hold ends with them
        assert wait_until(lambda: can_lend(made, 3))


@interruptible
def test_an_interrupted_handshake_leaves_no_connection_in_the_wrong_database(
    private_redis: Callable[..., PrivateRedis],
) -> None:
    """One that has not said SELECT yet would read database 0."""
    server = private_redis()
    with linked(server.url) as made:
        made.call(b"SET", b"key", b"of database 0")
    wrong, interrupted, chance = [], 0, random.Random(5)
    give_up = time.monotonic() + 60
    with linked(f"redis://127.0.0.1:{server.port}/1") as made, alarms() as alarm:
        made.call(b"SET", b"key", b"of database 1")
        while interrupted < 1500 and time.monotonic() < give_up:
            made.drain()
            try:
                alarm(chance.uniform(2e-5, 8e-4))
                reply = made.call(b"GET", b"key")
                alarm(0)
                if reply != b"of database 1":
                    wrong.append(reply)
            except Interrupted:
                interrupted += 1
        alarm(0)

    assert wrong == []
    assert interrupted >= 1500


@interruptible
def test_numbers_may_be_interrupted(server: Server) -> None:
    """hiredis ends the process if a handler raises while it packs a number, so it is never given one."""
    chance, give_up, interrupted = random.Random(11), time.monotonic() + 60, 0
    with alarms() as alarm:
        while interrupted < 1500 and time.monotonic() < give_up:
            try:
                alarm(chance.uniform(2e-5, 4e-4))
                for _ in range(100):
                    server.calls([(b"EXPIRE", b"none", 1_000_000_007)] * 20)
                alarm(0)
            except Interrupted:
                interrupted += 1

    assert interrupted >= 1500


def test_an_exception_among_pinned_commands_ends_the_connection(server: Server) -> None:
    """Nobody knows what was still to be read."""
    with alarms() as alarm, pytest.raises(Interrupted), server.pinned() as pinned:  # noqa: PT012
        alarm(0.02)
        pinned.call(b"BLPOP", b"nothing", b"0.2")
    assert opened(server) == 0

    assert server.call(b"PING") == b"PONG"


def test_kept_exceptions_do_not_use_up_the_connections(
    redis_url: str, proxy_to: Callable[..., Proxy]
) -> None:
    """Each holds the frames, and so the connection, in which it was raised."""
    proxy = proxy_to(redis_url)
    kept = []
    with linked(f"{proxy.url}?max_connections=2&socket_timeout=1") as made:
        made.call(b"PING")
        proxy.pause("replies")
        for _ in range(3):
            with pytest.raises(CacheUnavailable, match="not available") as caught:
                made.call(b"GET", b"key")
            kept.append(caught.value)
        proxy.resume()

        assert made.call(b"PING") == b"PONG"
    assert len(kept) == 3


def test_threads_get_their_own_replies(redis_url: str, redis_client: redis.Redis) -> None:
    """More threads than connections, and no mix-up."""
    redis_client.mset({f"key:{number}": f"value:{number}" for number in range(16)})
    wrong: list[object] = []
    with linked(f"{redis_url}?max_connections=4&socket_timeout=5") as made:

        def work(number: int) -> None:
            for _ in range(150):
                reply = made.call(b"GET", b"key:%d" % number)
                if reply != b"value:%d" % number:
                    wrong.append((number, reply))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert opened(made) <= 4

    assert wrong == []


# Forks and closing


def test_children_have_connections_of_their_own(redis_url: str, redis_client: redis.Redis) -> None:
    """Parent and children, forked while threads are busy, never see each other's replies."""
    redis_client.mset({f"key:{number}": f"value:{number}" for number in range(10)})
    stop, wrong = threading.Event(), []
    with linked(redis_url) as made:

        def work() -> None:
            while not stop.is_set():
                number = random.randrange(10)
                if made.call(b"GET", b"key:%d" % number) != b"value:%d" % number:
                    wrong.append(number)

        def child() -> list[Any]:
            replies = [made.call(b"GET", b"key:%d" % number) for number in range(10)]
            return [replies == [b"value:%d" % number for number in range(10)], made.call(b"CLIENT", b"ID")]

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        told = [in_child(child) for _ in range(8)]
        stop.set()
        for thread in threads:
            thread.join(10)
        own = made.call(b"CLIENT", b"ID")

    assert [right for right, _ in told] == [True] * 8
    assert len({own, *(number for _, number in told)}) == 9
    assert wrong == []


def test_draining_closes_and_a_later_call_opens_anew(server: Server) -> None:
    """What close_redis_connection() promises."""
    first = server.call(b"CLIENT", b"ID")
    server.drain()
    assert opened(server) == 0

    assert server.call(b"CLIENT", b"ID") > first


def test_a_closed_link_keeps_no_connection(redis_url: str) -> None:
    """What is still to be done, such as giving back a lease, is done over one that closes right after."""
    made = link(redis_url)
    made.call(b"PING")
    made.close()

    assert made.call(b"PING") == b"PONG"
    assert opened(made) == 0  # type: ignore[arg-type]


def test_errors_say_what_happened_where() -> None:
    """The kind of failure, the address, and the cause below."""
    port = free_port()
    with linked(f"redis://:s3cret@127.0.0.1:{port}") as made, pytest.raises(CacheUnavailable) as caught:
        made.call(b"GET", b"Name=Jane")

    assert re.search(rf"Redis is not available: ConnectionError: .*127\.0\.0\.1:{port}", str(caught.value))
    assert isinstance(caught.value.__cause__, redis.ConnectionError)
    assert not {"s3cret", "Jane"} & set(re.split(r"\W+", str(caught.value)))
