"""Fixtures for interop: the npm package in a process of its own, on the servers of the other tests."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from mysql_redis_cache import MRCClient, MRCServer

from .peer import HERE, Peer, install, why_node_is_missing

if TYPE_CHECKING:
    from collections.abc import Iterator


LEFT_OUT = pytest.StashKey[str]()


def _is_required() -> bool:
    return os.environ.get("CI") == "true" or os.environ.get("MRC_REQUIRE_NODE") == "1"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave these tests out where node is missing, unless it is required: then they fail."""
    reason = why_node_is_missing()
    if reason is None or _is_required():
        return
    ours = [item for item in items if HERE in item.path.parents]
    config.stash[LEFT_OUT] = f"{len(ours)} interop tests were left out: {reason}"
    config.hook.pytest_deselected(items=ours)
    items[:] = [item for item in items if HERE not in item.path.parents]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say in one line what was left out."""
    if LEFT_OUT in config.stash:
        terminalreporter.write_line(config.stash[LEFT_OUT], yellow=True)


@pytest.fixture(scope="session", name="npm_process")
def _npm_process() -> Iterator[Peer]:
    """The npm package, installed from the lock file, in a running process."""
    reason = why_node_is_missing()
    if reason is not None:
        pytest.fail(f"the interop tests need node: {reason}", pytrace=False)
    install()
    with Peer() as peer:
        yield peer


@pytest.fixture(name="npm")
def _npm(npm_process: Peer, mysql_url: str, redis_url: str) -> Peer:
    """The npm package's client and server, connected to this test's servers."""
    npm_process.connect(mysql_url, redis_url)
    return npm_process


@pytest.fixture(name="client")
def _client(npm: Peer, mysql_url: str, redis_url: str) -> Iterator[MRCClient]:
    """Our client on the same servers; `npm` comes first, since without node there is nothing to do."""
    with MRCClient(mysql_url, redis_url) as client:
        yield client


@pytest.fixture(name="server")
def _server(npm: Peer, redis_url: str) -> Iterator[MRCServer]:
    """Our server on the same Redis."""
    with MRCServer(redis_url) as server:
        yield server
