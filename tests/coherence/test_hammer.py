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
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.cluster import PrivateCluster, slot_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.real

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 3
CLUSTER = ("--mode", "cluster")


@pytest.mark.parametrize("mode", ["sweep", "index"])
def test_a_short_hammering_finds_nothing_stale(mode: str, mysql_url: str, redis_url: str) -> None:
    """No read is stale and none fails, whoever writes, drops, is cancelled or is killed meanwhile."""
    with hammering(mysql_url, redis_url, "--mode", mode) as process:
        check(mode, process)


def test_nothing_is_stale_on_a_cluster_whose_slots_move(mysql_url: str) -> None:
    """The same on a Redis Cluster, while the slots of the entries go from node to node."""
    with PrivateCluster() as cluster, hammering(mysql_url, cluster.nodes[0].server.url, *CLUSTER) as process:
        moves = 0
        while process.poll() is None:
            moves += move_a_slot(cluster)
            time.sleep(0.3)  # moves without a pause would have the drops give up, which they say
        check("cluster", process)

    assert moves > 0


@pytest.mark.parametrize("mode", ["near", "strict"])
def test_near_caches_give_nothing_older_than_they_promise(mode: str, mysql_url: str, redis_url: str) -> None:
    """Nothing where the drops are; elsewhere for the heartbeat at most, or nothing where they are strict.

    Whoever is stopped or cut off meanwhile.
    """
    with hammering(mysql_url, redis_url, "--mode", mode) as process:
        result = told(mode, process)

    assert (result["stale_here"], result["too_old"], result["errors"]) == (0, 0, []), result
    assert process.returncode == 0, result
    assert min(result["near_hits"], result["drops"], result["losses"], result["stops"]) > 0, result


def test_near_caches_that_hear_nothing_are_found_out(mysql_url: str, redis_url: str) -> None:
    """The same, where nobody listens to what Redis pushes."""
    with hammering(mysql_url, redis_url, "--mode", "near", "--spoil", "pushes") as process:
        result = told("near", process)

    assert process.returncode == 1
    assert min(result["stale_here"], result["too_old"]) > 0, result


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
def hammering(mysql_url: str, redis_url: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Hammer in another process."""
    command = [sys.executable, "-m", "tools.hammer", "--seconds", str(SECONDS), *options, "--json"]
    servers = {"MRC_TEST_MYSQL_URL": mysql_url, "MRC_TEST_REDIS_URL": redis_url}
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | servers, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def told(mode: str, process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return what the hammer printed."""
    printed, complaints = process.communicate(timeout=110)
    assert printed, complaints
    result: dict[str, Any] = json.loads(printed)[mode]
    return result


def check(mode: str, process: subprocess.Popen[str]) -> None:
    """Check what the hammer printed."""
    result = told(mode, process)

    assert (result["stale"], result["errors"]) == (0, []), result
    assert process.returncode == 0, result
    assert min(result["reads"], result["drops"], result["killed"]) > 0, result
