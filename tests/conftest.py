"""Servers for the tests: private ones, or those that MRC_TEST_MYSQL_URL and MRC_TEST_REDIS_URL name.

No test skips because a server is missing: it fails, and says what to do.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import pymysql
import pytest
import redis
from hypothesis import settings

from tests.support.binlogs import LOGGING
from tests.support.flushing import ours_to_flush
from tests.support.proxy import Proxy
from tests.support.schemas import fresh_schema
from tests.support.urls import mysql_arguments
from tools.private_servers import PrivateMySQL, PrivateRedis
from tools.programs import describe_mysql, describe_redis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pymysql.connections import Connection


# How long one example takes says more of the machine than of the library; a whole test has its timeout.
settings.register_profile("any machine", parent=settings.default, deadline=None)
settings.load_profile("any machine")

SITE_TESTS = Path(__file__).parent / "site"


def pytest_report_header() -> list[str]:
    """Name the servers, without starting them: a run of the pure tests needs none."""
    own_mysql, own_redis = os.environ.get("MRC_TEST_MYSQL_URL"), os.environ.get("MRC_TEST_REDIS_URL")
    return [
        f"mysql: {_mysql_version(own_mysql) if own_mysql else describe_mysql()}",
        f"redis: {_redis_version(own_redis) if own_redis else describe_redis()}",
    ]


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The site's tests need a browser: they run where they are named, by ``make docs-test``."""
    if collection_path != SITE_TESTS:
        return None
    return not any(argument.startswith("tests/site") for argument in config.args) or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use the tests' Redis."""
    for item in items:
        if "redis_server_url" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.redis)


def _mysql_version(url: str) -> str:
    with closing(pymysql.connect(**mysql_arguments(url))) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT VERSION()")
        (version,) = cursor.fetchone() or ("?",)
    return f"{version} (MRC_TEST_MYSQL_URL)"


def _redis_version(url: str) -> str:
    with redis.Redis.from_url(url, socket_timeout=10) as client:
        about = client.info("server")
    name = about.get("server_name", "redis")
    return f"{name} {about.get('valkey_version', about['redis_version'])} (MRC_TEST_REDIS_URL)"


@pytest.fixture(scope="session")
def mysql_server_url() -> Iterator[str]:
    """URL of an account with every right, without a schema of its own."""
    if url := os.environ.get("MRC_TEST_MYSQL_URL"):
        yield url
        return
    with PrivateMySQL() as server:
        yield server.url


@pytest.fixture(scope="session")
def mysql_url(mysql_server_url: str) -> Iterator[str]:
    """URL of a fresh schema, dropped at the end."""
    with fresh_schema(mysql_server_url) as url:
        yield url


@pytest.fixture(scope="session")
def logging_server_url() -> Iterator[str]:
    """URL of a server that keeps a binary log, without a schema."""
    if url := os.environ.get("MRC_TEST_MYSQL_URL"):
        yield url
        return
    with PrivateMySQL(LOGGING) as server:
        yield server.url


@pytest.fixture(scope="module")
def logged_url(logging_server_url: str) -> Iterator[str]:
    """URL of a fresh schema on a server that keeps a binary log, dropped at the end."""
    with fresh_schema(logging_server_url, "mrc_log") as url:
        yield url


@pytest.fixture
def mysql_admin(mysql_url: str) -> Iterator[Connection]:
    """A raw PyMySQL connection to the schema, in autocommit: for tests to act behind the library's back."""
    with closing(pymysql.connect(**mysql_arguments(mysql_url), autocommit=True)) as connection:
        yield connection


@pytest.fixture(scope="session")
def server_flavour(mysql_server_url: str) -> str:
    """Either ``mariadb`` or ``mysql``."""
    return "mariadb" if "mariadb" in _mysql_version(mysql_server_url).lower() else "mysql"


@pytest.fixture(scope="session")
def redis_server_url(pytestconfig: pytest.Config) -> Iterator[str]:
    """URL of the Redis for the whole run; tests take ``redis_url``."""
    if url := os.environ.get("MRC_TEST_REDIS_URL"):
        with ours_to_flush(url, getattr(pytestconfig, "cache", None)):
            yield url
        return
    with PrivateRedis() as server:
        yield server.url


@pytest.fixture
def redis_url(redis_server_url: str) -> str:
    """URL of a Redis database, empty at the start of the test.

    Only the database that the URL names is flushed: the others of a server of one's own are not ours.
    """
    with redis.Redis.from_url(redis_server_url, socket_timeout=10) as client:
        client.flushdb()
    return redis_server_url


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    """A raw redis-py client (bytes in, bytes out): for tests to look inside."""
    with redis.Redis.from_url(redis_url, socket_timeout=10, decode_responses=False) as client:
        yield client


@pytest.fixture
def private_redis() -> Iterator[Callable[..., PrivateRedis]]:
    """Start a Redis of the test's own: ``server = private_redis("--maxmemory", "10mb")``.

    It can be stopped, killed, frozen and restarted, and is gone after the test.
    """
    with ExitStack() as servers:
        yield lambda *options, port=None: servers.enter_context(PrivateRedis(options, port))


@pytest.fixture
def private_mysql() -> Iterator[Callable[..., PrivateMySQL]]:
    """Start a MariaDB or MySQL of the test's own: ``server = private_mysql("--max-connections=5")``."""
    with ExitStack() as servers:
        yield lambda *options, port=None: servers.enter_context(PrivateMySQL(options, port))


@pytest.fixture
def proxy_to() -> Iterator[Callable[..., Proxy]]:
    """Put a misbehaving proxy before a server: ``proxy = proxy_to(redis_url)``, then ``proxy.url``."""
    with ExitStack() as proxies:
        yield lambda target, **settings: proxies.enter_context(Proxy(target, **settings))
