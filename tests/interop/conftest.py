"""Fixtures for interop: the npm package in a process of its own, on the servers of the other tests."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from mysql_redis_cache import MRCClient, MRCServer

from .peer import Peer, install, why_node_is_missing

if TYPE_CHECKING:
    from collections.abc import Iterator


def _leave_out(reason: str) -> None:
    """Skip, in one line of the summary; fail where node must be there."""
    if os.environ.get("CI") == "true" or os.environ.get("MRC_REQUIRE_NODE") == "1":
        pytest.fail(f"the interop tests need node: {reason}", pytrace=False)
    pytest.skip(f"the interop tests were left out: {reason}")


@pytest.fixture(scope="session", name="npm_process")
def _npm_process() -> Iterator[Peer]:
    """The npm package, installed from the lock file, in a running process."""
    reason = why_node_is_missing()
    if reason is not None:
        _leave_out(reason)
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
