"""``contrib.flask``: the cache of whatever application is current."""

from __future__ import annotations

import threading
from importlib import util
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import redis as redis_py
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import text

from mysql_redis_cache import AsyncMRCClient, ClosedError, MRCClient
from mysql_redis_cache.contrib.flask import MRC
from mysql_redis_cache.contrib.sqlalchemy import after_commit
from mysql_redis_cache.observe import Stats
from tests.contrib.conftest import USER
from tests.support.urls import mysql_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from click.testing import Result


@pytest.fixture
def make_app(mysql_url: str, redis_url: str, tables: None) -> Iterator[Callable[..., Flask]]:
    """Make an application: ``make_app(MRC_NAMESPACE="shop")``; its caches are closed at the end."""
    made: list[Flask] = []
    servers = {"MYSQL": mysql_url, "REDIS": f"{redis_url}?socket_timeout=10"}

    def make(**config: Any) -> Flask:
        app = Flask("shop")
        app.config.update({f"MRC_{name}": url for name, url in servers.items()} | config)
        made.append(app)
        return app

    yield make
    for app in made:
        for client in app.extensions.get("mysql_redis_cache", {}).values():
            client.close()


def read(cache: MRCClient, user: int = 1) -> Any:
    return cache.query_with_cache(USER, [user], ["UserId"])[0]["name"]


def test_calls_go_to_the_client_of_the_current_application(make_app: Callable[..., Flask]) -> None:
    """One cache for several applications: each has its own client, with the options of its config."""
    cache = MRC()
    shop = make_app(MRC_NAMESPACE="shop", MRC_INDEX=True, MRC_OPTIONS={"names": ["UserId"]})
    till = make_app(MRC_NAMESPACE="till")
    cache.init_app(shop)
    cache.init_app(till)

    with shop.app_context():
        assert (read(cache), read(cache)) == ("Ada", "Ada")
        stats = cache.stats()
        assert (stats.misses, stats.fills, stats.hits) == (1, 1, 1)
        assert cache.get_key_from_query(USER, [1], ["UserId"]).startswith("shop:UserId=1_")
        assert cache.client is shop.extensions["mysql_redis_cache"]["MRC"]
        with pytest.raises(ValueError, match="'UserID' is none of the declared ones"):
            cache.drop_outdated_cache(["UserID"], [1])
    with till.app_context():
        assert cache.stats() == Stats(pool_size=10)
        assert cache.drop_outdated_cache(["UserId"], [1]) == 0
        assert cache.get_key_from_query(USER, [1], ["UserId"]).startswith("till:UserId=1_")
    with shop.app_context():
        assert cache.drop_outdated_cache(["UserId"], [1]) == 1


def test_everything_of_a_client_works(make_app: Callable[..., Flask]) -> None:
    """Transactions of this thread, several reads at once, the pool: it is a client."""
    cache = MRC(app := make_app())
    assert isinstance(cache, MRCClient)

    with app.app_context():
        with cache.transaction() as tx:
            tx.execute("UPDATE users SET name = 'Ann' WHERE id = 1")
            assert read(cache) == "Ann"  # part of the transaction
            cache.drop_outdated_cache(["UserId"], [1])
        assert [len(rows) for rows in cache.query_many_with_cache([(USER, [1]), (USER, [9])])] == [1, 0]
        assert cache.get_mysql_pool().size == 10
        cache.write_to_cache("greeting", "hello")
        assert cache.read_from_cache("greeting") == "hello"


def test_functions_are_decorated_before_there_is_an_application(make_app: Callable[..., Flask]) -> None:
    """A module does so when it is imported; what is cached is that of the application that calls."""
    cache, calls = MRC(), []

    @cache.cached("greeting_v1", {"user_id": "UserId"}, ttl=60)
    def greeting(user_id: int) -> str:
        calls.append(user_id)
        return f"Hello {user_id}!"

    for namespace in ("shop", "till"):
        app = make_app(MRC_NAMESPACE=namespace)
        cache.init_app(app)
        with app.app_context():
            assert [greeting(1), greeting(1)] == ["Hello 1!"] * 2
            assert greeting.key(1).startswith(f"{namespace}:UserId=1_")
    assert calls == [1, 1]


def test_several_caches_of_one_application(make_app: Callable[..., Flask]) -> None:
    """Each has a prefix of its own; one without Redis reads MySQL."""
    cache, plain = MRC(), MRC(prefix="PLAIN")
    app = make_app(PLAIN_MYSQL=mysql_of(make_app), PLAIN_REDIS=None)
    cache.init_app(app)
    plain.init_app(app)

    with app.app_context():
        assert (read(cache), read(plain), read(plain)) == ("Ada",) * 3
        assert (cache.stats().misses, plain.stats().misses) == (1, 0)
    assert app.extensions["mysql_redis_cache"].keys() == {"MRC", "PLAIN"}


def mysql_of(make_app: Callable[..., Flask]) -> str:
    return str(make_app().config["MRC_MYSQL"])


def test_an_application_is_given_once(make_app: Callable[..., Flask]) -> None:
    """A second time would make a second pool of connections, of which nobody knows."""
    cache = MRC(app := make_app())

    with pytest.raises(RuntimeError, match="a cache of the prefix 'MRC' already; for a second one give"):
        cache.init_app(app)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "no MRC_MYSQL and no MRC_REDIS: set both before"),
        ({"MRC_MYSQL": "mysql://localhost"}, "app.config has no MRC_REDIS: set both before"),
        ({"MRC_MYSQL": "mysql://localhost", "MRC_REDIS": "http://localhost"}, "redis://"),
        ({"MRC_MYSQL": "mysql://localhost", "MRC_REDIS": None, "MRC_OPTIONS": "near"}, "must be a mapping"),
        ({"MRC_MYSQL": "mysql://localhost", "MRC_REDIS": None, "MRC_OPTIONS": {"ttl": 1}}, "'ttl'"),
    ],
)
def test_a_bad_config_is_refused(config: dict[str, Any], message: str) -> None:
    """At once, not at the first request."""
    app = Flask("shop")
    app.config.update(config)

    with pytest.raises((RuntimeError, TypeError, ValueError), match=message):
        MRC(app)
    assert app.extensions.get("mysql_redis_cache", {}) == {}


def test_without_an_application_it_says_so(make_app: Callable[..., Flask]) -> None:
    """Neither outside a context nor in that of an application that was never given."""
    cache = MRC()

    with pytest.raises(RuntimeError, match="application context"):
        read(cache)
    with make_app().app_context(), pytest.raises(RuntimeError, match=r"'MRC'; call init_app\(app\)"):
        read(cache)
    with pytest.raises(RuntimeError, match=r"call init_app\(app\)"):
        cache.configure("mysql://localhost")
    with pytest.raises(AttributeError, match="'MRC' object has no attribute 'querry'"):
        _ = cache.querry


def test_requests_leave_it_open(make_app: Callable[..., Flask]) -> None:
    """In threads too; it ends when it is closed."""
    cache = MRC(app := make_app())
    app.add_url_rule("/", view_func=lambda: read(cache))
    answers: list[str] = []

    asked = [threading.Thread(target=lambda: answers.append(app.test_client().get("/").text)) for _ in "123"]
    for thread in asked:
        thread.start()
    for thread in asked:
        thread.join()
    assert answers == ["Ada"] * 3
    with app.app_context():
        assert cache.stats()["fills"] == 1
        cache.close()
        with pytest.raises(ClosedError):
            read(cache)


@pytest.mark.anyio
async def test_async_code_takes_a_facade(make_app: Callable[..., Flask]) -> None:
    """It is that of one application, over the connections and counters of its client."""
    cache = MRC(app := make_app())

    with pytest.raises(RuntimeError, match="application context"):
        AsyncMRCClient(cache)
    with app.app_context():
        facade = AsyncMRCClient(cache)
        assert await facade.query_with_cache(USER, [1], ["UserId"], one=True) == {"name": "Ada"}
        assert read(cache) == "Ada"
        assert cache.stats()["hits"] == 1
        await facade.aclose()


def test_beside_flask_sqlalchemy(make_app: Callable[..., Flask]) -> None:
    """Its session's COMMIT is followed by the drops, its rollback by none."""
    cache, db = MRC(), SQLAlchemy()
    app = make_app()
    app.config["SQLALCHEMY_DATABASE_URI"] = mysql_of(make_app).replace("mysql://", "mysql+pymysql://")
    cache.init_app(app)
    db.init_app(app)

    with app.app_context():
        for name, end, expected in [
            ("Ann", db.session.commit, "Ann"),
            ("Amy", db.session.rollback, "Ann"),
            ("Eve", db.session.commit, "Eve"),
        ]:
            db.session.execute(text("UPDATE users SET name = :name WHERE id = 1"), {"name": name})
            after_commit(db.session, cache).drop_outdated_cache(["UserId"], [1])
            end()
            assert read(cache) == expected
        db.engine.dispose()


# The command line


def run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=arguments)


def test_the_command_line_is_the_application_s(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its servers and namespace, whatever the environment says; options that are typed count more."""
    monkeypatch.setenv("MRC_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("MRC_NAMESPACE", "till")
    cache = MRC(app := make_app(MRC_NAMESPACE="shop"))
    with app.app_context():
        read(cache)

    listed = run(app, "mrc", "ls")
    assert (listed.exit_code, "shop:UserId=1_" in listed.stdout) == (0, True), listed.output
    assert run(app, "mrc", "ls", "--namespace", "till").exit_code == 3
    assert run(app, "mrc", "drop", "UserId=1").exit_code == 2  # nobody can be asked
    assert run(app, "mrc", "drop", "UserId=1", "--yes").stdout == "1\n"
    assert run(app, "mrc", "nonsense").exit_code == 2
    assert "Look at a cache" in run(app, "--help").output


def test_each_cache_has_its_commands(make_app: Callable[..., Flask], redis_url: str) -> None:
    """The group is named like the prefix; configs may be mappings."""
    place = urlsplit(redis_url)
    redis = {"host": place.hostname, "port": place.port, "db": place.path[1:], "socket_timeout": 10}
    mysql = {
        name: value for name, value in mysql_arguments(mysql_of(make_app)).items() if "timeout" not in name
    }
    app = make_app(SHOP_MYSQL=mysql, SHOP_REDIS=redis)
    cache = MRC(prefix="SHOP")
    cache.init_app(app)
    with app.app_context():
        read(cache)

    assert run(app, "shop", "ls").exit_code == 0
    found = run(app, "shop", "doctor")
    assert "Redis TLS" in found.stdout
    assert "off, on this machine" in found.stdout


def test_a_ready_client_of_redis_is_named_by_an_option(
    make_app: Callable[..., Flask], redis_url: str
) -> None:
    """Its place is not known to the command line."""
    app = make_app(MRC_REDIS=redis_py.Redis.from_url(redis_url))
    MRC(app)

    refused = run(app, "mrc", "ls")
    assert (refused.exit_code, "a ready Redis; name its server by --redis" in refused.output) == (2, True)
    assert run(app, "mrc", "ls", "--redis", redis_url).exit_code == 3


def test_without_the_extra_there_are_no_commands(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The application runs all the same."""
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    app = make_app()
    MRC(app)

    assert "mrc" not in app.cli.commands
