"""The hammer, for a moment: processes, threads, tasks, kills and drops at once."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.cluster import PrivateCluster, slot_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.real

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 3


@pytest.mark.parametrize("mode", ["sweep", "index"])
def test_a_short_hammering_finds_nothing_stale(mode: str, mysql_url: str, redis_url: str) -> None:
    """No read is stale and none fails, whoever writes, drops, is cancelled or is killed meanwhile."""
    with hammering(mode, mysql_url, redis_url) as process:
        check(mode, process)


def test_nothing_is_stale_on_a_cluster_whose_slots_move(mysql_url: str) -> None:
    """The same on a Redis Cluster, while the slots of the entries go from node to node."""
    with PrivateCluster() as cluster, hammering("cluster", mysql_url, cluster.nodes[0].server.url) as process:
        moves = 0
        while process.poll() is None:
            moves += move_a_slot(cluster)
            time.sleep(0.3)  # moves without a pause would have the drops give up, which they say
        check("cluster", process)

    assert moves > 0


def move_a_slot(cluster: PrivateCluster) -> int:
    """Move the slot of some entry of the hammer's to another primary; return how many were moved."""
    entries = [key for key in cluster.all_keys() if key.startswith(b"hammer")]
    if not entries:
        return 0
    slot = slot_of(random.choice(entries))
    owner = cluster.owner(slot)
    cluster.move(slot, random.choice([node for node in cluster.primaries if node is not owner]))
    return 1


@contextmanager
def hammering(mode: str, mysql_url: str, redis_url: str) -> Iterator[subprocess.Popen[str]]:
    """Hammer in another process."""
    command = [sys.executable, "-m", "tools.hammer", "--seconds", str(SECONDS), "--mode", mode, "--json"]
    servers = {"MRC_TEST_MYSQL_URL": mysql_url, "MRC_TEST_REDIS_URL": redis_url}
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | servers, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def check(mode: str, process: subprocess.Popen[str]) -> None:
    """Check what the hammer printed."""
    printed, complaints = process.communicate(timeout=110)
    assert printed, complaints
    result = json.loads(printed)[mode]

    assert (result["stale"], result["errors"]) == (0, []), complaints
    assert process.returncode == 0, (result, complaints)
    assert min(result["reads"], result["drops"], result["killed"]) > 0, result
