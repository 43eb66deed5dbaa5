"""A Celery application that reads through a client made at import, as ``served`` does."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from celery import Celery
from celery.exceptions import SoftTimeLimitExceeded

from tests.support import served
from tests.support.served import client

__all__ = ["answer", "app", "in_use", "read_on", "wait_for_mysql"]

app = Celery("tasks", broker=os.environ["SERVED_BROKER"], backend=os.environ["SERVED_BROKER"])
app.conf.update(broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)


@app.task
def answer(number: int) -> dict[str, Any]:
    """Read in every way."""
    return served.answer(number)


@app.task
def in_use() -> int:
    """Return how many connections to MySQL are lent out in this process: none, at rest."""
    return client.get_mysql_pool().in_use


@app.task
def read_on(number: int) -> None:
    """Read until the time limit strikes, wherever that is."""
    with suppress(SoftTimeLimitExceeded):
        while True:
            assert served.answer(number)["direct"][0]["number"] == number
            client.drop_outdated_cache(["Number"], [number])


@app.task
def wait_for_mysql() -> None:
    """Be struck by the time limit in the middle of a slow read."""
    with suppress(SoftTimeLimitExceeded):
        client.query_with_cache("SELECT SLEEP(2) AS slept")
        raise AssertionError("the time limit did not strike")
