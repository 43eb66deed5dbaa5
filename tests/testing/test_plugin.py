"""The pytest plugin: fixtures for those who ask, and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import redis

USERS_TESTS = """
import pytest
from mysql_redis_cache.testing import Recorder

QUERY = "SELECT 1 AS n"
seen = []


@pytest.fixture
def mrc_options():
    return {"index": True}


@pytest.mark.parametrize("number", range(6))
def test_each_has_a_clean_cache(mrc_client, mrc_recorder, mrc_namespace, number):
    assert isinstance(mrc_recorder, Recorder)
    assert mrc_client.query_with_cache(QUERY) == mrc_client.query_with_cache(QUERY) == [{"n": 1}]
    mrc_recorder.assert_reads(hits=1, loads=1)
    assert mrc_client.get_key_from_query(QUERY).startswith(f"{mrc_namespace}:")
    seen.append(mrc_namespace)
    assert len(set(seen)) == len(seen)
    print("namespace", mrc_namespace)
"""


def run(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a user's tests, in another process."""
    (folder / "test_app.py").write_text(USERS_TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-rP", "-p", "no:cacheprovider", *options]
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "MRC_"))}
    return subprocess.run(
        command, cwd=folder, env=own | environment, capture_output=True, text=True, timeout=100, check=False
    )


def test_each_test_and_worker_has_a_namespace(
    tmp_path: Path, mysql_url: str, redis_url: str, redis_client: redis.Redis
) -> None:
    """All different, and empty in the end."""
    result = run(tmp_path, "-n", "2", MRC_MYSQL_URL=mysql_url, MRC_REDIS_URL=redis_url)

    assert "6 passed" in result.stdout, result.stdout
    printed = re.findall("^namespace test-gw[01]-(.*)$", result.stdout, re.MULTILINE)
    assert len(set(printed)) == 6
    assert redis_client.keys("test-*:*") == []


def test_nothing_is_automatic(tmp_path: Path) -> None:
    """Who asks for nothing gets nothing; who asks and has named no server is told what to do."""
    (tmp_path / "test_other.py").write_text("def test_it(request): print('fixtures', request.fixturenames)")
    result = run(tmp_path)

    assert "1 passed, 6 errors" in result.stdout
    assert not re.search("fixtures .*mrc_", result.stdout)
    assert "set MRC_MYSQL_URL, or define the fixture mrc_mysql in your conftest.py" in result.stdout
