"""The applications under ``examples/``, each started by its server and asked over HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tests.contrib.conftest import Browser, run_python
from tests.support.processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

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


def test_flask_under_gunicorn(serve: Callable[..., Browser], tables: None) -> None:
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

    listed = run_python(*flask, "mrc", "ls", "UserId=2")
    assert (listed.returncode, listed.stdout.count("shop:UserId=2_")) == (0, 1), listed.stderr
    dropped = run_python(*flask, "mrc", "drop", "UserId=2", "--yes")
    assert (dropped.returncode, dropped.stdout) == (0, "1\n"), dropped.stderr


def test_fastapi_under_uvicorn(serve: Callable[..., Browser], tables: None) -> None:
    """Asynchronous and blocking endpoints over one client, and a transaction around an endpoint."""
    browser = serve(
        *("-m", "uvicorn", "--port", "PORT", "--app-dir", str(EXAMPLES / "fastapi"), "shop:app"),
    )

    check_reads_and_drops(browser)
    assert browser.ask("POST", "/orders", {"user_id": 2, "total": "0"})[0] == 422
    assert browser.get("/stores/6/revenue") == {"orders": 1, "total": "9.90"}
    assert browser.get("/stats").keys() & {"hits", "misses"}
