"""How a call is cached, and what is there now: said of a read that is not carried out."""

from __future__ import annotations

from hashlib import sha1
from time import monotonic
from typing import TYPE_CHECKING, Any

from mysql_redis_cache import keys, sql
from mysql_redis_cache.errors import CacheUnavailable
from mysql_redis_cache.observe import Explanation, Holder, Room
from mysql_redis_cache.runtime import process

if TYPE_CHECKING:
    from mysql_redis_cache.keys import Tagged

    from .core import Core
    from .reads import Read

__all__ = ["explain"]


def explain(core: Core, query: str, params: Any, names: Any, tags: Tagged) -> Explanation:
    """Explain a call; asks Redis for times and sizes, in one round trip, and reads no value.

    Raises:
        TypeError, ValueError: the call could not be cached whatever the statement: bad params or names.
    """
    read = core.reads.of_function(query, params, names, 1, tags=tags)
    texts = keys.pair_texts(read.params, read.names, read.tags)
    policy = read.policy
    return Explanation(
        query=query,
        sha1=sha1(query.encode(), usedforsecurity=False).hexdigest(),
        key=read.key,
        pairs=tuple([_pair(text) for text in texts]),
        folded=_folded(read),
        refusal=sql.statement(query).refusal or "",
        windows={
            "stale_while_revalidate": policy.stale_while_revalidate,
            "stale_if_error": policy.stale_if_error,
            "early_refresh": policy.early_refresh,
        },
        drops=_drops(read),
        near=_near(core, read),
        **_in_redis(core, read),
    )


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _folded(read: Read) -> str:
    """Return what is in the digest besides the query."""
    if read.key.endswith(sha1(read.query.encode(), usedforsecurity=False).hexdigest()):
        return ""
    if len(read.params) > len(read.names or ()):
        return "all params, since some have no name"
    if read.tags:
        return "the names of the tags"
    return "all params, since the text of one could be another's too"


def _drops(read: Read) -> tuple[str, ...]:
    names = list(dict.fromkeys([*(read.names or ()), *[name for name, _ in read.tags]]))
    by_pairs = [f"drop_outdated_cache({names!r}, […]), or some of these names"] if names else []
    return (
        *by_pairs,
        "drop_query(query, …) of this call",
        "drop_query(query, any_params=True)",
        "drop_all()",
    )


def _near(core: Core, read: Read) -> Room | None:
    if core.nearby is None:
        return None
    now = monotonic()
    kept = core.nearby.near.get(read.raw, now)
    if kept is None:
        return None
    is_stale = kept.ends - now <= read.policy.grace
    return Room(len(kept.payload), min(kept.until, kept.ends) - now, is_stale)


def _in_redis(core: Core, read: Read) -> dict[str, Any]:
    if core.cache is None:
        return {"redis_problem": "there is no Redis"}
    name = core.cache.name(read)
    if name is None:
        return {"redis_problem": "a cluster cannot keep this key"}
    try:
        entry, lease = core.cache.entries.state(name)
    except CacheUnavailable as error:
        return {"redis_problem": str(error)}
    token, left = lease or (b"", None)
    room = None if entry is None else _room(*entry, read.policy.grace)
    return {"redis": room, "lease_left": left, "holder": _holder(token)}


def _room(size: int, left: float | None, grace: float) -> Room:
    return Room(size, left, left is not None and left <= grace)


def _holder(token: bytes) -> Holder | None:
    """Return who drew the token of a lease, by what ``process.label`` put in front of it."""
    label, _, _ = token.decode("utf-8", "replace").rpartition(":")
    host, _, rest = label.partition(":") if label.count(":") == 2 else ("", "", "")
    pid, _, _ = rest.partition(":")
    return Holder(host, int(pid), label == process.label()) if pid.isdecimal() else None
