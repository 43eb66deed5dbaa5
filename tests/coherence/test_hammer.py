"""The hammer, for a moment: processes, threads, tasks, kills and drops at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.real

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 3


@pytest.mark.parametrize("mode", ["sweep", "index"])
def test_a_short_hammering_finds_nothing_stale(mode: str, mysql_url: str, redis_url: str) -> None:
    """No read is stale and none fails, whoever writes, drops, is cancelled or is killed meanwhile."""
    command = [sys.executable, "-m", "tools.hammer", "--seconds", str(SECONDS), "--mode", mode, "--json"]
    servers = {"MRC_MYSQL_URL": mysql_url, "MRC_REDIS_URL": redis_url}
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | servers, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.stdout, done.stderr
    result = json.loads(done.stdout)[mode]

    assert (result["stale"], result["errors"]) == (0, []), done.stderr
    assert done.returncode == 0, (result, done.stderr)
    assert min(result["reads"], result["drops"], result["killed"]) > 0, result
