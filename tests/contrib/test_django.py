"""The Django app, in the example project: under Django's own test runner with each driver, and over HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from tests.support.drivers import has_mysqlclient
from tests.support.processes import ROOT, ServingProcess, eventually
from tests.support.urls import mysql_arguments, with_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

EXAMPLE = ROOT / "examples" / "django"
GUNICORN = ["-m", "gunicorn", "--bind", "127.0.0.1:PORT", "--workers", "2", "--threads", "2", "--preload"]
SECONDS = 100.0


@pytest.fixture
def project(mysql_server_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The example's environment, with a schema of its own; gives the schema's URL."""
    schema = f"mrc_django_{uuid.uuid4().hex[:12]}"
    url = with_database(mysql_server_url, schema)
    for name, value in {
        "MYSQL_URL": url,
        "REDIS_URL": redis_url,
        "PYTHONPATH": os.pathsep.join([str(EXAMPLE), str(ROOT)]),
        "DJANGO_SETTINGS_MODULE": "shop.settings",
    }.items():
        monkeypatch.setenv(name, value)
    server = pymysql.connect(**mysql_arguments(mysql_server_url), autocommit=True)
    with closing(server), server.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {schema} CHARACTER SET utf8mb4")
        yield url
        cursor.execute(f"DROP DATABASE {schema}")


@pytest.fixture(params=["PyMySQL", "mysqlclient"])
def driver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the example use a driver."""
    if request.param == "mysqlclient" and not has_mysqlclient():
        pytest.skip("mysqlclient is not installed")
    monkeypatch.setenv("MYSQL_DRIVER", request.param)


def manage(*arguments: str) -> str:
    """Run ``manage.py``; warnings are errors."""
    command = [sys.executable, "-W", "error", str(EXAMPLE / "manage.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.usefixtures("project", "driver")
@pytest.mark.parametrize("tests", ["tests.contrib.django_cases", "shop"])
def test_under_django_s_own_runner(tests: str) -> None:
    """What the app promises, and what a project's own tests look like."""
    assert "OK" in manage("test", tests, "--noinput")


@pytest.mark.usefixtures("project")
def test_the_panel_for_debug_toolbar(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the example, with a toolbar."""
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.contrib.django_panel_settings")
    assert "OK" in manage("test", "tests.contrib.django_panel_cases", "--noinput", "--debug-mode")


@pytest.mark.usefixtures("project")
def test_the_example_is_in_order() -> None:
    """Its settings are checked, its migrations are its models."""
    assert "no issues" in manage("check")
    assert "No changes" in manage("makemigrations", "--check", "--dry-run")


@pytest.fixture
def get(project: str, tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    """The example under gunicorn, loaded before its workers are forked; asked for a path, it gives JSON."""
    manage("migrate")
    mysql = pymysql.connect(**mysql_arguments(project), autocommit=True)
    with closing(mysql), mysql.cursor() as cursor:
        cursor.execute("INSERT INTO shop_user VALUES (123, 'Ada', 6)")
        cursor.execute("INSERT INTO shop_order VALUES (7, 'new', 9.90, '2026-01-02 03:04:05', 123)")
    arguments = [*GUNICORN, "--no-control-socket", "shop.wsgi:application"]
    with ServingProcess(tmp_path, arguments) as server:

        def ask(path: str) -> Any:
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=SECONDS) as response:
                return json.load(response)

        def answers() -> bool:
            try:
                return bool(ask("/totals"))
            except urllib.error.HTTPError:
                raise
            except OSError:
                return False

        eventually(answers, "an answer")
        yield ask


def test_the_example_over_http(get: Callable[[str], Any]) -> None:
    """Whichever worker wrote, the other one's readers see it at once; blocking and async views alike."""
    user = {"id": 123, "name": "Ada", "store_id": 6, "orders": [{"id": 7, "total": "9.90"}]}

    for number in range(4):
        name = f"Ada {number}"
        assert get(f"/users/123/rename?name=Ada%20{number}") == {"renamed": 123}
        assert [get("/users/123") for _ in range(4)] == [user | {"name": name}] * 4
        assert get("/users/123/async")["name"] == name
    assert get("/totals") == {"new": 1}
    assert get("/users/123/pay") == {"paid": 1}
    assert [get("/totals") for _ in range(4)] == [{"paid": 1}] * 4
    with pytest.raises(urllib.error.HTTPError) as caught:
        get("/users/7")
    caught.value.close()
    assert caught.value.code == 404
    assert sum(get("/stats").get("hits", 0) for _ in range(8)) > 0
