"""The page about sharing the cache with Node works as it is written, on both sides."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING

from .peer import HERE

if TYPE_CHECKING:
    from redis import Redis

    from mysql_redis_cache import MRCClient

    from .peer import Peer

PAGE = HERE.parents[1] / "docs" / "how-to" / "share-with-node.md"
ORDERS = "SELECT id, total, paid FROM shared_orders WHERE user_id = ? AND status IN (?) ORDER BY id"
NODE_TIMEOUT = 30.0  # seconds


def blocks(language: str) -> list[str]:
    """The examples of the page in one language."""
    fenced = re.compile(rf"^```{language}\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    return fenced.findall(PAGE.read_text(encoding="utf-8"))


def run_in_node(code: str, mysql_url: str, redis_url: str) -> str:
    """Run an example as a module of its own and return what it prints."""
    answer = subprocess.run(
        ["node", "--input-type=module", "--eval", code],
        cwd=HERE,
        env=os.environ | {"TZ": "UTC", "MYSQL_URL": mysql_url, "REDIS_URL": redis_url},
        capture_output=True,
        text=True,
        timeout=NODE_TIMEOUT,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_examples_of_the_page_share_the_cache(
    client: MRCClient, npm: Peer, mysql_url: str, redis_url: str, redis_client: Redis
) -> None:
    """Node prints what Python cached; after its drop, Python reads what it wrote."""
    names = {"mysql_config": mysql_url, "redis_config": redis_url}
    for block in blocks("python"):
        exec(compile(block, str(PAGE), "exec"), names)
    entries = redis_client.dbsize()

    [example] = blocks("js")
    printed = json.loads(run_in_node(example, mysql_url, redis_url))

    assert printed == [{"id": 1, "total": 9.9, "paid": 1}, {"id": 2, "total": 20, "paid": 1}]
    assert redis_client.dbsize() < entries
    orders = client.query_with_cache(ORDERS, [123, [1, 2]], ["UserId", "Status"])
    assert orders == [{"id": 1, "total": 9.9, "paid": 1}, {"id": 2, "total": 21.5, "paid": 1}]
