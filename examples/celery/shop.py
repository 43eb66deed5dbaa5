"""A shop's workers: tasks that write, and drops that are repeated until Redis is back.

::

    export MYSQL_URL=mysql://user:password@localhost/shop REDIS_URL=redis://localhost
    export BROKER_URL=redis://queue.internal
    pip install mysql-redis-cache 'celery[redis]'
    celery --workdir examples/celery --app shop worker

It wants the table ``users (id, name, store_id)``.
"""

from __future__ import annotations

import os

from celery import Celery

from mysql_redis_cache import InvalidationFailed, MRCClient
from mysql_redis_cache.contrib.celery import drop_task

app = Celery("shop", broker=os.environ["BROKER_URL"], broker_connection_retry_on_startup=True)
client = MRCClient(os.environ["MYSQL_URL"], os.environ["REDIS_URL"], namespace="shop")
drop_again = drop_task(app, client)


@app.task(autoretry_for=(ConnectionError, TimeoutError), retry_backoff=True, max_retries=5)
def rename(user_id: int, name: str) -> None:
    """Give a user a name, and have what is cached of the user and of the store dropped."""
    try:
        with client.transaction() as tx:
            for row in tx.query("SELECT store_id FROM users WHERE id = ? FOR UPDATE", [user_id]):
                tx.execute("UPDATE users SET name = ? WHERE id = ?", [name, user_id])
                tx.drop_outdated_cache(["UserId"], [user_id])
                tx.drop_outdated_cache(["StoreId"], [row["store_id"]])
    except InvalidationFailed as failure:  # committed: only the drops are to be done again
        drop_again.delay(failure.to_json())
