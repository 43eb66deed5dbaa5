"""A follower, or somebody who writes to MySQL, in a process of its own; run by ``follow.py``.

A follower answers any question with its counts and how much memory it has used at most. A writer answers
``{"count": 1000, "per_second": 500}`` when it has committed so many updates of one row each.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ORDERS = json.loads(sys.argv[1])
sys.path[:0] = ORDERS["paths"]

WRITERS = 2


def main() -> None:
    """Do what the orders say, until the input ends."""
    answer = follower() if ORDERS["role"] == "follower" else writers()
    print(json.dumps({}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


def follower() -> Callable[[dict[str, Any]], Any]:
    """Follow in a thread; return what answers."""
    from mysql_redis_cache.follow import Follower

    own = Follower(ORDERS["mysql"], ORDERS["redis"], ORDERS["rules"], index=ORDERS["index"])
    threading.Thread(target=own.run, daemon=True).start()
    while own.stats()["lag"] != 0.0:
        time.sleep(0.01)
    return lambda _: {**own.stats(), "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def writers() -> Callable[[dict[str, Any]], Any]:
    """Return what writes."""
    import pymysql

    connections = [pymysql.connect(**ORDERS["mysql"], autocommit=True) for _ in range(WRITERS)]

    def write(connection: Any, count: int, per_second: float) -> None:
        began, chance = time.perf_counter(), random.Random()
        with connection.cursor() as cursor:
            for number in range(count):
                ahead = began + number / per_second - time.perf_counter()
                if ahead > 0:
                    time.sleep(ahead)
                cursor.execute(f"UPDATE orders SET qty = qty + 1 WHERE id = {chance.randint(*ORDERS['ids'])}")

    def write_all(question: dict[str, Any]) -> dict[str, float]:
        share = question["count"] // WRITERS, question["per_second"] / WRITERS
        threads = [threading.Thread(target=write, args=(each, *share)) for each in connections]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return {"seconds": time.perf_counter() - began}

    return write_all


if __name__ == "__main__":
    main()
