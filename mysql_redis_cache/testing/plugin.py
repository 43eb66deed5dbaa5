"""The pytest plugin: fixtures for whoever asks for them. None is used by itself, and no option is added."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from .clients import fresh_client, fresh_namespace
from .recorder import recording

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mysql_redis_cache.client import MRCClient
    from mysql_redis_cache.options import ClientOptions

    from .recorder import Recorder

__all__ = ["mrc_client", "mrc_mysql", "mrc_namespace", "mrc_options", "mrc_recorder", "mrc_redis"]


@pytest.fixture(scope="session")
def mrc_mysql() -> Any:
    """``mysql_config`` of ``mrc_client``: the environment's ``MRC_MYSQL_URL``. To be overridden."""
    return _from_environment("MRC_MYSQL_URL", "mrc_mysql")


@pytest.fixture(scope="session")
def mrc_redis() -> Any:
    """``redis_config`` of ``mrc_client``: the environment's ``MRC_REDIS_URL``. To be overridden."""
    return _from_environment("MRC_REDIS_URL", "mrc_redis")


@pytest.fixture
def mrc_options() -> ClientOptions:
    """Keyword options of ``mrc_client``: none. To be overridden."""
    return {}


@pytest.fixture
def mrc_namespace() -> str:
    """A namespace for one test, that nobody else has."""
    return fresh_namespace()


@pytest.fixture
def mrc_client(
    mrc_mysql: Any, mrc_redis: Any, mrc_options: ClientOptions, mrc_namespace: str
) -> Iterator[MRCClient]:
    """A client in that namespace, whose entries are dropped after the test."""
    options: ClientOptions = {"namespace": mrc_namespace, **mrc_options}
    with fresh_client(mrc_mysql, mrc_redis, **options) as client:
        yield client


@pytest.fixture
def mrc_recorder(mrc_client: MRCClient) -> Iterator[Recorder]:
    """What ``mrc_client`` does during the test."""
    with recording(mrc_client) as recorder:
        yield recorder


def _from_environment(name: str, fixture: str) -> str:
    url = os.environ.get(name)
    if not url:
        pytest.fail(f"set {name}, or define the fixture {fixture} in your conftest.py", pytrace=False)
    return url
