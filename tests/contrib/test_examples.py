"""The applications under ``examples/``, each started by its server and asked over HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from celery import Celery

from tests.contrib.conftest import Browser, run_python
from tests.support.processes import ROOT, eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from pymysql.connections import Connection

    from tests.support.proxy import Proxy
    from tools.private_servers import PrivateRedis

EXAMPLES = ROOT / "examples"


def check_reads_and_drops(browser: Browser) -> None:
    """What is cached is served, and is new after each write, in every process of the server."""
    ada = {"id": 1, "name": "Ada", "store_id": 6}
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(browser.get, ["/users/1"] * 8)) == [ada] * 8
    assert [user["name"] for user in browser.get("/stores/6/users")] == ["Ada", "Bob"]
    assert browser.get("/stores/6/revenue") == {"orders": 0, "total": "0.00"}

    assert browser.ask("PUT", "/users/1", {"name": "Ann"}) == (200, {"renamed": 1})
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(browser.get, ["/users/1"] * 8))
    assert answers == [ada | {"name": "Ann"}] * 8
    assert [user["name"] for user in browser.get("/stores/6/users")] == ["Ann", "Bob"]
    assert browser.ask("POST", "/orders", {"user_id": 2, "total": "9.90"})[0] == 201
    assert browser.get("/stores/6/revenue") == {"orders": 1, "total": "9.90"}
    assert browser.ask("GET", "/users/9")[0] == 404
    assert browser.ask("PUT", "/users/9", {"name": "Nobody"})[0] == 404


def test_flask_under_gunicorn(serve: Callable[..., Browser]) -> None:
    """Two workers, Flask-SQLAlchemy beside the cache, and the command line of the application."""
    flask = ("-m", "flask", "--app", str(EXAMPLES / "flask" / "shop"))
    browser = serve(
        *("-m", "gunicorn", "--bind", "127.0.0.1:PORT", "--workers", "2", "--threads", "2"),
        *("--no-control-socket", "--chdir", str(EXAMPLES / "flask"), "shop:create_app()"),
    )

    assert run_python(*flask, "init-db").returncode == 0
    check_reads_and_drops(browser)
    assert browser.get("/users/2/greeting") == {"greeting": "Hello Bob!"}
    assert browser.get("/stats").keys() & {"hits", "misses"}

    dropped = run_python(*flask, "mrc", "drop", "UserId=2", "--yes")
    assert (dropped.returncode, dropped.stdout) == (0, "1\n"), dropped.stderr


def test_fastapi_under_uvicorn(serve: Callable[..., Browser]) -> None:
    """Asynchronous and blocking endpoints over one client, and a transaction around an endpoint."""
    browser = serve(
        *("-m", "uvicorn", "--port", "PORT", "--app-dir", str(EXAMPLES / "fastapi"), "shop:app"),
    )

    check_reads_and_drops(browser)
    assert browser.ask("POST", "/orders", {"user_id": 2, "total": "0"})[0] == 422
    assert browser.get("/stores/6/revenue") == {"orders": 1, "total": "9.90"}
    assert browser.get("/stats").keys() & {"hits", "misses"}


def test_celery_s_prefork_pool(
    mysql_admin: Connection,
    redis_url: str,
    name_of: Callable[..., str],
    private_redis: Callable[..., PrivateRedis],
    proxy_to: Callable[..., Proxy],
    serve: Callable[..., Browser],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A task's drop fails after its COMMIT, since Redis is away, and is repeated until that is back."""
    broker, way = private_redis().url, proxy_to(redis_url)
    monkeypatch.setenv("BROKER_URL", broker)
    monkeypatch.setenv("REDIS_URL", way.url)
    serve(
        *(
            "-m",
            "celery",
            "--workdir",
            str(EXAMPLES / "celery"),
            "--app",
            "shop",
            "worker",
            "--concurrency",
            "1",
        ),
        *("--without-mingle", "--without-gossip", "--without-heartbeat"),
        listens=False,
    )

    def is_renamed() -> bool:
        with mysql_admin.cursor() as cursor:
            cursor.execute("SELECT name FROM users WHERE id = 1")
            return cursor.fetchone() == ("Ann",)

    assert name_of() == "Ada"
    way.stop()
    with Celery("shop", broker=broker) as celery:
        celery.send_task("shop.rename", [1, "Ann"])
    eventually(is_renamed, "the task has committed")
    assert name_of() == "Ada"
    way.start()
    eventually(lambda: name_of() == "Ann", "the drop is repeated")
