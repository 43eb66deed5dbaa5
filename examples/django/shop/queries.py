"""The reads that go through the cache, and what makes their answers outdated."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from mysql_redis_cache.contrib.django import async_client, client, drops

from .models import Order, User

USER = "SELECT id, name, store_id FROM shop_user WHERE id = :UserId"
ORDERS = "SELECT id, total, placed_at FROM shop_order WHERE user_id = :UserId ORDER BY id"
TOTALS = "SELECT state, COUNT(*) AS orders FROM shop_order GROUP BY state ORDER BY state"


@dataclass
class Bought:
    """An order, as a page shows it."""

    id: int
    total: Decimal
    placed_at: datetime


@drops(User, UserId="pk")
def user(user_id: int) -> dict[str, Any] | None:
    """Return a user."""
    return client.query_with_cache(USER, {"UserId": user_id}, ttl=3600, one=True)


@drops(Order, UserId="user_id")
def orders(user_id: int) -> list[Bought]:
    """Return the orders of a user."""
    return client.query_with_cache(ORDERS, {"UserId": user_id}, ttl=3600, into=Bought)


def totals() -> list[dict[str, Any]]:
    """Return how many orders there are in each state."""
    return client.query_with_cache(TOTALS, tags={"Table": Order._meta.db_table}, ttl=3600)


async def user_async(user_id: int) -> dict[str, Any] | None:
    """Return a user, to a coroutine."""
    return await async_client.query_with_cache(USER, {"UserId": user_id}, ttl=3600, one=True)


@client.cached("user_names_v1", {"store_id": "StoreId"}, tags={"Table": User._meta.db_table}, ttl=3600)
def names(store_id: int) -> list[str]:
    """Return the names of a store's users, by the ORM: decorated at import, before there are settings."""
    return list(User.objects.filter(store_id=store_id).order_by("pk").values_list("name", flat=True))
