"""Loads that take longer than anybody wants to wait: one more for all who gave up, and not one each."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.client.drivers import until

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

CALLERS = 40


class Slow:
    """A function that lasts until it is told to end; each call gives its number."""

    def __init__(self) -> None:
        self.calls = 0
        self.may_end = threading.Event()
        self._lock = threading.Lock()

    def __call__(self) -> int:
        with self._lock:
            self.calls += 1
            mine = self.calls
        assert self.may_end.wait(20)
        return mine


async def read_together(client: Any, slow: Slow, loads: int) -> Counter[int]:
    """Have many ask; let the loads end once there are so many."""

    async def release() -> None:
        await until(lambda: slow.calls == loads, f"{loads} loads")
        await anyio.sleep(0.2)  # for those that should not begin
        slow.may_end.set()

    async def ask() -> Any:
        return await client.with_cache(slow, "slow")

    async with anyio.create_task_group() as tasks:
        if client.is_blocking:
            threading.Thread(target=anyio.run, args=(release,)).start()
        else:
            tasks.start_soon(release)
        return Counter(await client.together([ask] * CALLERS))


async def test_those_who_give_up_share_one_more_load(make_client: Callable[..., Any]) -> None:
    """The first goes on, and gives its rows to whoever leads it; all others get those of the second."""
    slow = Slow()
    client = make_client(wait_timeout=0.3)

    assert await read_together(client, slow, loads=2) == {1: 1, 2: CALLERS - 1}
    assert slow.calls == 2


async def test_a_late_load_that_fails_is_raised_by_all(make_client: Callable[..., Any]) -> None:
    """It is a load like others."""
    client, calls, may_end = make_client(wait_timeout=0.2), [], threading.Event()

    def load() -> None:
        calls.append(1)
        if len(calls) == 1:
            assert may_end.wait(20)
            return
        time.sleep(0.5)
        may_end.set()
        raise LookupError("no such thing")

    outcomes = await client.together([lambda: client.with_cache(load, "failing")] * 10)

    assert sorted(map(repr, outcomes)) == [*["LookupError('no such thing')"] * 9, "None"]
    assert len(calls) == 2
