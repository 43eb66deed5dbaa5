"""``contrib.celery``: a drop that failed after its COMMIT is a task, tried until Redis is back."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker
from celery.signals import task_retry

from mysql_redis_cache import CacheUnavailable, InvalidationFailed, MRCClient, MRCServer
from mysql_redis_cache.contrib.celery import drop_task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.proxy import Proxy

    NameOf = Callable[..., str]


@pytest.fixture
def app() -> Iterator[Celery]:
    """An application whose broker is in this process."""
    with Celery("shop", broker="memory://", backend="cache+memory://") as app:
        yield app


@pytest.fixture
def way(redis_url: str, proxy_to: Callable[..., Proxy]) -> Proxy:
    """A way to Redis that can be cut off."""
    return proxy_to(redis_url)


def rename(mysql_url: str, way: Proxy) -> InvalidationFailed:
    """Write while Redis is away; return what is to be done about the drop."""
    way.stop()
    with (
        MRCClient(mysql_url, way.url, namespace="shop") as client,
        pytest.raises(InvalidationFailed) as failure,
    ):
        client.execute("UPDATE users SET name = 'Ann' WHERE id = 1", drops={"UserId": 1})
    return failure.value


def test_a_worker_repeats_the_drop_until_redis_is_back(
    app: Celery, way: Proxy, mysql_url: str, name_of: NameOf
) -> None:
    """The retries are Celery's, and the old row is gone in the end."""
    assert name_of() == "Ada"
    retried = threading.Event()
    task_retry.connect(lambda **_: retried.set(), weak=False, dispatch_uid="seen")

    with MRCServer(way.url, namespace="shop") as server:
        task = drop_task(app, server)
        failure = rename(mysql_url, way)
        assert name_of() == "Ada"
        with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=30):
            result = task.delay(failure.to_json())
            assert retried.wait(30)
            way.start()
            assert result.get(timeout=30) == 1
    task_retry.disconnect(dispatch_uid="seen")
    assert name_of() == "Ann"


def test_what_is_not_a_failed_drop_is_not_repeated(app: Celery, redis_url: str, mysql_url: str) -> None:
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
