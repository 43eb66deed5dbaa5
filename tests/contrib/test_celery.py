"""``contrib.celery``: a drop that failed after its COMMIT is a task. ``test_examples.py`` has it at work."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from celery import Celery

from mysql_redis_cache import CacheUnavailable, MRCServer
from mysql_redis_cache.contrib.celery import drop_task

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def app() -> Iterator[Celery]:
    """An application whose broker is in this process."""
    with Celery("shop", broker="memory://", backend="cache+memory://") as app:
        yield app


def test_what_is_not_a_failed_drop_is_not_repeated(app: Celery, redis_url: str) -> None:
    """Nor one for another namespace: no number of retries would mend it."""
    with MRCServer(redis_url, namespace="shop") as server:
        task = drop_task(app, server)
        for text in ("nonsense", json.dumps({"namespace": "till", "timeout": 1, "drops": []})):
            with pytest.raises(ValueError, match=r"to_json|namespace 'till'"):
                task.apply(args=[text], throw=True)


def test_options_are_the_task_s(app: Celery, redis_url: str) -> None:
    """Beside its own, or instead of them."""
    with MRCServer(redis_url) as server:
        task = drop_task(app, server, rate_limit="10/s", max_retries=3)

    assert task.name == "mysql_redis_cache.drop_again"
    assert (task.rate_limit, task.max_retries) == ("10/s", 3)
    assert CacheUnavailable in task.autoretry_for
    assert task.acks_late is True
