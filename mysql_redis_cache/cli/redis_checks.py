"""What of Redis would bite: its settings, its time, and the rights of the account."""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from mysql_redis_cache.drops import Budget
from mysql_redis_cache.errors import CacheUnavailable
from mysql_redis_cache.store import Entries, Refused

from .findings import Finding, Level, clock, is_near, latency, version_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mysql_redis_cache.keys import Matcher
    from mysql_redis_cache.store import Link, Name

    from .settings import Settings

__all__ = ["look_at_redis"]

OLDEST = (6, 2)
ROUNDS = 20
LEASE = 5.0
PERSISTENT = "Redis persistence"
FULL = 0.9

Info = dict[str, str]


def look_at_redis(settings: Settings, link: Link) -> Iterator[Finding]:
    """Yield what the server says of itself and how it answers.

    Raises:
        CacheUnavailable: it does not.
    """
    yield from _answers(link)
    try:
        about = _info(link)
    except Refused:
        about = {}
        yield Finding(Level.NOTE, "Redis INFO", "the account may not ask for it", "ACL: +info")
    if about:
        yield _version(about)
        yield from _replication(about)
        yield from _memory(about, indexed=settings.index)
        yield from _persistence(link, about)
    yield _encryption(settings.redis_url)
    yield from _rights(settings, link)


def _info(link: Link) -> Info:
    lines = bytes(link.call(b"INFO")).decode("utf-8", "replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _answers(link: Link) -> Iterator[Finding]:
    times: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        with suppress(Refused):  # an answer too; what it says is told with the rights
            link.call(b"GET", b"mrc:doctor")
        times.append(time.perf_counter() - began)
    yield latency("Redis", times)
    try:
        seconds, micros = link.call(b"TIME")
    except Refused:
        return  # told with the other rights
    yield clock("Redis", int(seconds) + int(micros) / 1e6, time.time())


def _version(about: Info) -> Finding:
    name = "Valkey" if "valkey_version" in about else "Redis"
    version = about.get("valkey_version") or about.get("redis_version", "?")
    if version_of(version) >= OLDEST:
        return Finding(Level.OK, "Redis version", f"{name} {version}")
    return Finding(Level.ERROR, "Redis version", f"{name} {version}", "Redis 6.2 or later, or Valkey")


def _replication(about: Info) -> Iterator[Finding]:
    if about.get("role") == "slave":
        yield Finding(
            Level.ERROR, "Redis role", "a replica: it serves what has been dropped", "name the primary"
        )
    replicas = int(about.get("connected_slaves", 0))
    if replicas:
        yield Finding(
            Level.NOTE,
            "Redis replicas",
            f"{replicas}; a failover may lose the latest deletions",
            "wait_replicas=1 on clients and servers",
        )


def _memory(about: Info, *, indexed: bool) -> Iterator[Finding]:
    most, used = int(about.get("maxmemory", 0)), int(about.get("used_memory", 0))
    policy, topic = about.get("maxmemory_policy", "?"), "Redis memory"
    if not most:
        advice = "maxmemory 1gb, maxmemory-policy volatile-ttl"
        yield Finding(Level.WARNING, topic, f"{used:,} bytes used, and no maxmemory", advice)
        return
    text = f"{used:,} of {most:,} bytes used, {policy}, {int(about.get('evicted_keys', 0)):,} keys evicted"
    if policy.startswith("allkeys"):
        text += "; near caches with strict=True stay off"
    if policy == "noeviction":
        advice = "maxmemory-policy volatile-ttl: when it is full nothing more is cached"
        yield Finding(Level.WARNING if used > FULL * most else Level.NOTE, topic, text, advice)
    elif indexed and policy.startswith("allkeys"):
        advice = "maxmemory-policy volatile-ttl: drops walk over all keys when a part of the index is evicted"
        yield Finding(Level.NOTE, topic, text, advice)
    else:
        yield Finding(Level.OK, topic, text)


def _persistence(link: Link, about: Info) -> Iterator[Finding]:
    try:
        (_, saves) = link.call(b"CONFIG", b"GET", b"save")
    except (Refused, ValueError):
        saves = b""
    kept = [name for name, on in (("snapshots", saves), ("append-only file", _is_on(about))) if on]
    if not kept:
        yield Finding(Level.OK, PERSISTENT, "off")
        return
    yield Finding(
        Level.WARNING,
        PERSISTENT,
        f"{' and '.join(kept)}: after a crash entries may come back that have been dropped since",
        'save "", appendonly no; or drop all after a restart: mrc drop --all --yes',
    )


def _is_on(about: Info) -> bool:
    return about.get("aof_enabled") == "1"


def _encryption(url: str) -> Finding:
    if url.startswith("rediss:"):
        return Finding(Level.OK, "Redis TLS", "on")
    if is_near(url):
        return Finding(Level.OK, "Redis TLS", "off, on this machine")
    return Finding(Level.WARNING, "Redis TLS", "off: rows and password are readable on the way", "rediss://…")


# Rights


def _rights(settings: Settings, link: Link) -> Iterator[Finding]:
    """Try each step of a read and a drop on an entry of our own, which is gone at the end."""
    refused = list(dict.fromkeys(_refusals(settings, link)))
    if not refused:
        text = "reads, fills and drops are allowed" + (", with an index" if settings.index else "")
        yield Finding(Level.OK, "Redis rights", text)
    for text in refused:
        yield Finding(
            Level.ERROR, "Redis rights", text, "ACL as in docs/how-to/deploy.md, What Redis must allow"
        )


def _refusals(settings: Settings, link: Link) -> Iterator[str]:
    names, entries, value = settings.names, Entries(link, LEASE), uuid.uuid4().hex
    key = names.key("mrc doctor", [value], ["mrc-doctor"])
    name = entries.name(key, [f"mrc-doctor={value}"], names.prefix, LEASE, indexed=settings.index)
    if name is None:
        return
    for what, step in _steps(settings, link, entries, name, names.matcher(["mrc-doctor"], [value])).items():
        try:
            step()
        except Refused as error:
            yield f"{what}: {error}"
        except CacheUnavailable as error:
            yield f"{what}: {error}"
            return


def _steps(
    settings: Settings, link: Link, entries: Entries, name: Name, pair: Matcher
) -> dict[str, Callable[[], Any]]:
    drops, token = settings.drops(), b"doctor"
    return {
        "taking a lease": partial(entries.acquire, name, token, 0.0),
        "renewing a lease": partial(entries.renew, name, token),
        "filling": partial(entries.fill, name, token, b"[]", int(LEASE)),
        "reading": partial(entries.get_aged, name.key),
        "reading several": partial(link.get_many, [name.key, name.lease]),
        "writing": partial(entries.put, name, b"[]", int(LEASE)),
        "dropping pairs": partial(drops.perform, [pair], Budget(60)),
        "dropping one": partial(drops.drop_key, name.key),
    }
