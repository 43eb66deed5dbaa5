"""Drops that failed after a COMMIT, performed by Celery's workers until they succeed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mysql_redis_cache.errors import CacheUnavailable, DropTimeout

if TYPE_CHECKING:
    from celery import Celery, Task

    from mysql_redis_cache.client import MRCClient
    from mysql_redis_cache.server import MRCServer

__all__ = ["drop_task"]

# Repeating a drop is safe, so a worker that dies in its midst leaves it to another.
OPTIONS = {
    "name": "mysql_redis_cache.drop_again",
    "autoretry_for": (CacheUnavailable, DropTimeout),
    "retry_backoff": True,
    "retry_backoff_max": 600,
    "max_retries": 20,
    "acks_late": True,
    "reject_on_worker_lost": True,
    "shared": False,  # with other applications of the process, whose cache is another
}


def drop_task(app: Celery, dropper: MRCClient | MRCServer, **options: Any) -> Task[[str], int]:
    """Register the task for drops that failed after a COMMIT: ``task.delay(failure.to_json())``.

    It takes what ``InvalidationFailed.to_json()`` gives, and is tried again while Redis is away: after 1, 2,
    4 … 600 seconds, up to 20 times, each shortened by chance. The broker must not be that very Redis.

    Args:
        app: where to register it, in workers and in whatever sends it.
        dropper: performs the drops; of the namespace of the clients whose drops may fail.
        **options: of the task, instead of its own or beside them, such as ``max_retries``.

    Returns:
        the task, named ``mysql_redis_cache.drop_again``; its result is how many entries were deleted.
    """

    def drop_again(failed: str) -> int:
        return dropper.drop_again(failed)

    task: Task[[str], int] = app.task(**{**OPTIONS, **options})(drop_again)
    return task
