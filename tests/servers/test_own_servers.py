"""Servers of one's own are safe from the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

from tests.support.flushing import NOTE, ours_to_flush

if TYPE_CHECKING:
    from collections.abc import Callable

    from tools.private_servers import PrivateRedis

ROOT = Path(__file__).parents[2]


class Notes(dict[str, Any]):
    """As pytest's cache."""

    def set(self, name: str, value: Any) -> None:
        self[name] = value


def test_a_database_with_keys_of_others_is_refused(redis_client: redis.Redis, redis_url: str) -> None:
    """Whoever names a database in use gets its keys back, and a word."""
    redis_client.set("UserId=1_" + "a" * 40, "of a production cache")

    with (
        pytest.raises(pytest.exit.Exception, match="holds 1 keys which these tests did not write"),
        ours_to_flush(redis_url, Notes()),
    ):
        pass

    assert redis_client.dbsize() == 1


def test_what_a_killed_run_left_is_flushed(redis_client: redis.Redis, redis_url: str) -> None:
    """The note of a run that did not reach its end tells whose keys these are."""
    notes = Notes()
    killed = ours_to_flush(redis_url, notes)
    killed.__enter__()
    redis_client.set("left", "behind")

    with ours_to_flush(redis_url, notes):
        assert redis_client.dbsize() == 1
    assert (redis_client.dbsize(), notes[NOTE]) == (0, None)


def test_a_run_refuses_it_as_a_whole(private_redis: Callable[..., PrivateRedis], tmp_path: Path) -> None:
    """No test runs, and nothing is flushed."""
    server = private_redis()
    with redis.Redis.from_url(server.url, socket_timeout=10) as client:
        client.set("session:1", "kept")
        test = "tests/servers/test_store.py"
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", test, "-o", f"cache_dir={tmp_path}"],
            cwd=ROOT,
            env=os.environ | {"MRC_TEST_REDIS_URL": server.url},
            capture_output=True,
            text=True,
            timeout=60,
        )

        assert (run.returncode, client.keys()) == (2, [b"session:1"]), run.stdout
    assert "MRC_TEST_REDIS_URL" in run.stdout + run.stderr
