"""Under servers that fork their workers: right answers, own connections, nothing left behind."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
from celery import Celery

from tests.support.processes import ROOT, ServingProcess, eventually, is_alive
from tools.private_servers import PrivateRedis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from celery.result import AsyncResult
    from pymysql.connections import Connection

    Serve = Callable[[list[str]], ServingProcess]

# The long form: MRC_CHAOS_REQUESTS=2000 pytest tests/chaos/test_process_servers.py --timeout 600
REQUESTS = int(os.environ.get("MRC_CHAOS_REQUESTS", "40"))
WORKERS = 2
MAXSIZE = 4

GUNICORN = [
    *("-m", "gunicorn", "--bind", "127.0.0.1:PORT", "--workers", str(WORKERS), "--threads", "3"),
    *("--graceful-timeout", "20", "--no-control-socket", "tests.support.served:app"),
]
UWSGI = [
    *(str(Path(sys.executable).parent / "uwsgi"), "--http-socket", "127.0.0.1:PORT", "--master"),
    *("--processes", str(WORKERS), "--module", "tests.support.served:app", "--need-app", "--die-on-term"),
]
CELERY = [
    *("-m", "celery", "--app", "tests.support.tasks", "worker", "--pool", "prefork", "--loglevel", "WARNING"),
    *("--concurrency", str(WORKERS), "--max-tasks-per-child", "20", "--without-mingle", "--without-gossip"),
]


@pytest.fixture(scope="module")
def cache() -> Iterator[str]:
    """A Redis that nobody else is connected to."""
    with PrivateRedis() as server:
        yield server.url


@pytest.fixture
def served(mysql_url: str, mysql_admin: Connection, cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the served application needs: its environment and its table."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("SERVED_MYSQL", f"{mysql_url}?maxsize={MAXSIZE}&pool_timeout=10")
    monkeypatch.setenv("SERVED_REDIS", f"{cache}?socket_timeout=5&socket_connect_timeout=5")
    monkeypatch.setenv("SERVED_BEFORE_FORK", "no")
    with mysql_admin.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS served (id INT PRIMARY KEY, name VARCHAR(40))")
        cursor.executemany("REPLACE INTO served VALUES (%s, %s)", [(n, f"name {n}") for n in range(10)])
    with redis.Redis.from_url(cache) as admin:
        admin.flushall()


@pytest.fixture
def connected(cache: str, mysql_admin: Connection) -> Iterator[Callable[[], tuple[int, int]]]:
    """Count the connections of the servers' processes to MySQL and to the cache."""

    def to_mysql() -> set[int]:
        with mysql_admin.cursor() as cursor:
            cursor.execute("SELECT id FROM information_schema.processlist WHERE db = DATABASE()")
            return {number for (number,) in cursor.fetchall()}

    others = to_mysql()  # this process's, of tests before
    with redis.Redis.from_url(cache) as admin:

        def count() -> tuple[int, int]:
            mysql = len(to_mysql() - others)
            return mysql, sum(one["db"] == "0" for one in admin.client_list()) - 1  # Celery's are in another

        yield count


@pytest.fixture
def serve(served: None, tmp_path: Path, connected: Callable[[], tuple[int, int]]) -> Iterator[Serve]:
    """Start a server; at the end it stops in order and leaves no process and no connection."""
    servers: list[ServingProcess] = []

    def start(arguments: list[str]) -> ServingProcess:
        server = ServingProcess(tmp_path, arguments).__enter__()
        servers.append(server)
        server.await_answer()
        return server

    yield start
    for server in servers:
        server.__exit__()
    eventually(lambda: connected() == (0, 0), "no connection is left")


class Truth:
    """What the answers must hold, over all processes that gave them."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {}
        self.mysql: dict[int, set[int]] = defaultdict(set)
        self.redis: dict[int, set[int]] = defaultdict(set)
        self.pids: set[int] = set()

    def check(self, given: dict[str, Any]) -> int:
        """Raise unless an answer is the asked process's own and right; return its process."""
        pid, number = given["pid"], given["number"]
        name = self.names.get(number % 10, f"name {number % 10}")
        assert given["shared"] == [{"id": number % 10, "name": name}]
        ((direct),) = given["direct"]
        assert (direct["owner"], direct["number"]) == (pid, number)
        assert given["own"] == [{"owner": pid, "number": number}]
        assert given["many"] == [[{"owner": pid, "number": number + step}] for step in (1, 2)]
        self.pids.add(pid)
        self.mysql[direct["connection"]].add(pid)
        self.redis[given["redis"]].add(pid)
        if before := given["parent"]:
            self.mysql[before["connection"]].add(before["pid"])
            self.redis[before["redis"]].add(before["pid"])
        return int(pid)

    def check_connections(self) -> None:
        """Raise if two processes used one connection."""
        assert {key: pids for key, pids in self.mysql.items() if len(pids) > 1} == {}
        assert {key: pids for key, pids in self.redis.items() if len(pids) > 1} == {}


def ask_all(server: ServingProcess, truth: Truth) -> None:
    """Ask many times at once, until all workers have answered."""
    with ThreadPoolExecutor(8) as threads:
        for answer in threads.map(lambda number: server.ask("answer", number), range(REQUESTS)):
            truth.check(answer)
        for number in range(REQUESTS, 20 * REQUESTS):
            if len(truth.pids) >= WORKERS:
                break
            truth.check(server.ask("answer", number))
    assert len(truth.pids) == WORKERS
    truth.check_connections()


def check_together(server: ServingProcess, truth: Truth) -> None:
    """All workers share one load of a cold key; and a write that one of them made, all read."""
    with ThreadPoolExecutor(8) as threads:
        cold = list(threads.map(lambda _: server.ask("cold"), range(8)))
        assert len({answer["value"] for answer in cold}) == 1, cold
        truth.names[3] = server.ask("rename", 3)["name"]
        for answer in threads.map(lambda _: server.ask("answer", 3), range(12)):
            truth.check(answer)


def check_log(server: ServingProcess) -> None:
    """No thread of any process met an error or warned."""
    log = server.log.read_text()
    assert "Traceback" not in log, log
    assert "Redis is failing" not in log, log


def reload_under_load(server: ServingProcess, truth: Truth) -> None:
    """Replace all workers while requests run: none fails, none hangs."""
    before, stop = frozenset(truth.pids), threading.Event()
    truth.pids = set()

    def ask(start: int) -> None:
        for number in itertools.count(start, 8):
            truth.check(server.ask("answer", number))
            if stop.is_set():
                return

    with ThreadPoolExecutor(8) as threads:
        running = [threads.submit(ask, start) for start in range(8)]
        try:
            server.send(signal.SIGHUP)
            eventually(lambda: not any(map(is_alive, before)), "the old workers are gone")
            eventually(lambda: len(truth.pids - before) == WORKERS, "all new workers answer")
        finally:
            stop.set()
        for future in running:
            future.result()


@pytest.mark.parametrize("warm", [False, True], ids=["each worker loads", "preload, client in use"])
def test_gunicorn(
    serve: Serve, connected: Callable[[], tuple[int, int]], monkeypatch: Any, warm: bool
) -> None:
    """Threaded workers, forked before or in the midst of the client's work, and replaced under load."""
    monkeypatch.setenv("SERVED_BEFORE_FORK", "busy" if warm else "no")
    server, truth = serve([*GUNICORN, *["--preload"] * warm]), Truth()
    ask_all(server, truth)
    check_together(server, truth)
    reload_under_load(server, truth)
    truth.check_connections()
    processes = WORKERS + warm
    mysql, redis_connections = connected()
    assert mysql <= processes * MAXSIZE
    assert redis_connections <= processes * 16
    assert server.ask("background")["done"]
    server.stop()

    assert not any(map(is_alive, truth.pids))
    check_log(server)


@pytest.mark.parametrize(
    ("options", "before"),
    [
        ([], "used"),
        (["--threads", "3"], "used"),
        # Not without lazy-apps: uWSGI forks while a thread runs Python, and the worker waits for it for ever.
        (["--threads", "3", "--lazy-apps"], "busy"),
    ],
    ids=["as it comes", "threaded workers", "threaded workers, lazy apps"],
)
def test_uwsgi(serve: Serve, monkeypatch: Any, options: list[str], before: str) -> None:
    """It forks without running Python's hooks; the first call in a worker notices."""
    monkeypatch.setenv("SERVED_BEFORE_FORK", before)
    server, truth = serve([*UWSGI, *options]), Truth()
    ask_all(server, truth)
    check_together(server, truth)
    assert server.ask("background")["done"]
    server.stop()

    assert not any(map(is_alive, truth.pids))
    check_log(server)


@pytest.fixture
def call(served: None, cache: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., AsyncResult]]:
    """Send a task of ``tests.support.tasks``: its name, then its arguments."""
    broker = cache.removesuffix("/0") + "/1"
    monkeypatch.setenv("SERVED_BROKER", broker)
    with Celery(broker=broker, backend=broker) as app:
        yield lambda name, *args, **how: app.send_task(f"tests.support.tasks.{name}", args, **how)


def test_celery(
    call: Callable[..., AsyncResult],
    connected: Callable[[], tuple[int, int]],
    tmp_path: Path,
    monkeypatch: Any,
) -> None:
    """The prefork pool, forked in the midst of the client's work; its time limit strikes reads anywhere.

    Children are replaced after every twenty tasks, while the others work.
    """
    monkeypatch.setenv("SERVED_BEFORE_FORK", "busy")
    truth = Truth()
    with ServingProcess(tmp_path, CELERY) as worker:
        answers = [call("answer", number) for number in range(REQUESTS)]
        limited = [call("read_on", number, soft_time_limit=0.3) for number in range(6)]
        limited.append(call("wait_for_mysql", soft_time_limit=0.3))
        answers += [call("answer", number) for number in range(REQUESTS)]
        for result in answers:
            truth.check(result.get(timeout=60))
        for result in limited:
            result.get(timeout=60)
        truth.check_connections()
        assert len(truth.pids) > WORKERS  # children were replaced
        idle = [call("in_use") for _ in range(2 * WORKERS)]
        assert {result.get(timeout=60) for result in idle} == {0}
        # Once in some seventy runs, on a very busy machine, Celery's warm shutdown did not end.
        worker.stop(signal.SIGTERM, signal.SIGQUIT)

        eventually(lambda: not any(map(is_alive, truth.pids)), "its processes are gone")
        check_log(worker)
    eventually(lambda: connected() == (0, 0), "no connection is left")
