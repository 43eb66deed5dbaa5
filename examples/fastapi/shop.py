"""A shop: endpoints that read through the cache, and writes whose drops follow their COMMIT.

::

    export MYSQL_URL=mysql://user:password@localhost/shop REDIS_URL=redis://localhost
    pip install mysql-redis-cache fastapi uvicorn
    uvicorn --app-dir examples/fastapi shop:app

It wants the tables ``users (id, name, store_id)`` and ``orders (id, user_id, total)``.
"""

import os
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from mysql_redis_cache import Transaction
from mysql_redis_cache.contrib.fastapi import BlockingCache, Cache, lifespan


class User(BaseModel):
    """Somebody who orders."""

    id: int
    name: str
    store_id: int


class NewName(BaseModel):
    """What a user is to be called."""

    name: str


class NewOrder(BaseModel):
    """What somebody orders."""

    user_id: int
    total: Decimal


class Revenue(BaseModel):
    """What the customers of a store have ordered."""

    orders: int
    total: Decimal


USER = "SELECT id, name, store_id FROM users WHERE id = :UserId"
USERS = "SELECT id, name, store_id FROM users WHERE store_id = :StoreId ORDER BY id"
REVENUE = """
    SELECT COUNT(*) AS orders, COALESCE(SUM(orders.total), 0) AS total
    FROM orders JOIN users ON users.id = orders.user_id WHERE users.store_id = :StoreId
"""

app = FastAPI(
    lifespan=lifespan(os.environ["MYSQL_URL"], os.environ["REDIS_URL"], namespace="shop", index=True)
)


@app.get("/users/{user_id}")
async def read_user(user_id: int, cache: Cache) -> User:
    """One user."""
    user = await cache.query_with_cache(USER, {"UserId": user_id}, ttl=3600, into=User, one=True)
    if user is None:
        raise HTTPException(404)
    return user


@app.get("/stores/{store_id}/users")
async def read_users(store_id: int, cache: Cache) -> list[User]:
    """The users of a store."""
    return await cache.query_with_cache(USERS, {"StoreId": store_id}, ttl=3600, into=User)


@app.get("/stores/{store_id}/revenue")
def read_revenue(store_id: int, cache: BlockingCache) -> Revenue | None:
    """What they have ordered: a ``def`` endpoint, over the same connections."""
    return cache.query_with_cache(
        REVENUE, {"StoreId": store_id}, ttl=3600, tags={"Table": "orders"}, into=Revenue, one=True
    )


@app.put("/users/{user_id}")
async def rename(user_id: int, new: NewName, cache: Cache) -> dict[str, int]:
    """Give a user a name: what is cached of the user and of the store is dropped after the COMMIT."""
    async with cache.transaction() as tx:
        rows = await tx.query("SELECT store_id FROM users WHERE id = ? FOR UPDATE", [user_id])
        if not rows:
            raise HTTPException(404)
        await tx.execute("UPDATE users SET name = ? WHERE id = ?", [new.name, user_id])
        tx.drop_outdated_cache(["UserId"], [user_id])
        tx.drop_outdated_cache(["StoreId"], [rows[0]["store_id"]])
    return {"renamed": user_id}


def unit_of_work(cache: BlockingCache) -> Iterator[Transaction]:
    """A transaction around an endpoint: committed once that has returned, rolled back if it raises."""
    with cache.transaction() as tx:
        yield tx


# "function": it ends before the answer is sent, so that whoever has the answer reads what is new.
UnitOfWork = Annotated[Transaction, Depends(unit_of_work, scope="function")]


@app.post("/orders", status_code=201)
def order(new: NewOrder, tx: UnitOfWork) -> dict[str, int]:
    """Take an order."""
    done = tx.execute("INSERT INTO orders (user_id, total) VALUES (?, ?)", [new.user_id, new.total])
    tx.drop_outdated_cache(["Table"], ["orders"])
    if new.total <= 0:
        raise HTTPException(422, "an order costs something")
    return {"ordered": done.insert_id}


@app.get("/stats")
async def stats(cache: Cache) -> dict[str, float]:
    """What the cache has done in this process."""
    return dict(cache.stats())


@app.exception_handler(ConnectionError)
async def away(_request: Request, _error: ConnectionError) -> JSONResponse:
    """MySQL is away and the answer not cached, or Redis is away and something was to be dropped."""
    return JSONResponse({"error": "try again later"}, 503, {"Retry-After": "5"})
