"""Redis databases full of entries, leases and other people's keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mysql_redis_cache.keys.naming import lease_name, make_key

if TYPE_CHECKING:
    import redis

__all__ = ["QUERY", "entry", "fill_foreign", "fill_users", "lease"]

QUERY = "SELECT * FROM orders WHERE user_id = ? AND store_id = ?"


def entry(*values: object, names: tuple[str, ...] = ("UserId", "StoreId"), prefix: str = "") -> bytes:
    """The key of an entry: of a user, and perhaps a store."""
    return make_key(QUERY, list(values), list(names[: len(values)]), prefix).encode()


def lease(key: bytes) -> bytes:
    """The lease of an entry."""
    return lease_name(key)


def fill_users(client: redis.Redis, users: range, stores: range = range(1)) -> list[bytes]:
    """Store an entry for each user and store; return the keys."""
    keys = [entry(user, store) for user in users for store in stores]
    for start in range(0, len(keys), 10_000):
        client.mset(dict.fromkeys(keys[start : start + 10_000], b"[]"))
    return keys


def fill_foreign(client: redis.Redis) -> set[bytes]:
    """Store keys of every type that look a little like entries of user 1; return their names."""
    client.set("session:UserId=1", "x")
    client.set(b"\xff\xfeUserId=1_\x00", "x")
    client.set(b"UserId=1_\xff\xfe" + b"0" * 40, "x")  # no digest at the end
    client.set(entry(1) + b"\n", "x")
    client.set(b"UserId=1_" + b"A" * 40, "x")  # upper case is no digest
    client.rpush("cart:UserId=1:items", "x")
    client.hset("h:UserId=1", "field", "x")
    client.sadd("UserId=1", "x")
    client.zadd("UserId=1_StoreId=1", {"x": 1})
    client.xadd("UserId=1_stream", {"x": 1})
    client.pfadd("UserId=1_log", "x")
    client.set(b"{session:UserId=1}:lease", "x")
    client.set(b"UserId=1:lease", "x")
    return set(client.keys())
