"""The errors: what they are, what they say, and that they can be copied."""

from __future__ import annotations

import copy
import pickle
import traceback
from typing import Any

import pytest

from mysql_redis_cache import errors
from mysql_redis_cache.store import Exhausted, Moved, NotNow, Refused, Silent

EXAMPLES = [
    errors.ClosedError("closed"),
    errors.CacheUnavailable("no Redis"),
    errors.DatabaseUnavailable("no MySQL"),
    errors.PoolTimeout(2.5, 10),
    errors.QueryTimeout(3.0),
    errors.DropTimeout(1.0, "pass 1 of 2", 7),
    errors.LoadFailed("failed"),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_errors_survive_copy_and_pickle(error: errors.MRCError) -> None:
    """Followers of a failed load raise copies, and task queues pickle errors."""
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (type(twin), str(twin), vars(twin)) == (type(error), str(error), vars(error))


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.ClosedError, RuntimeError),
        (errors.CacheUnavailable, ConnectionError),
        (errors.DatabaseUnavailable, ConnectionError),
        (errors.PoolTimeout, TimeoutError),
        (errors.QueryTimeout, TimeoutError),
        (errors.DropTimeout, TimeoutError),
    ],
)
def test_errors_are_the_builtins_they_resemble(
    error: type[errors.MRCError], builtin: type[Exception]
) -> None:
    """Handlers written for the built-in errors catch them."""
    assert issubclass(error, builtin)
    assert issubclass(error, errors.MRCError)


def test_pool_timeout_names_the_seconds_and_the_size() -> None:
    """Who reads the message knows what to raise."""
    assert "2.5 s" in str(errors.PoolTimeout(2.5, 10))
    assert "all 10" in str(errors.PoolTimeout(2.5, 10))


def test_invalidation_failed_names_no_values() -> None:
    """The pairs are there for the program; the message shows their names only."""
    drops: list[dict[str, Any]] = [
        {"key_names": ["UserId"], "key_values": ["secret"], "require_all_match": True},
        {"key_names": ["UserId", "UserId"], "key_values": ["secret", 1], "require_all_match": False},
        {"query": "0123456789abcdef"},
        {"key": "UserId=secret_2fd4e1c67a2d28fced849ee1bb76e7391b93eb12"},
    ]
    error = errors.InvalidationFailed(True, drops, lambda: 3)

    assert "dropping UserId, the entries of a query, one entry failed" in str(error)
    assert error.pairs == [(["UserId"], ["secret"], True), (["UserId", "UserId"], ["secret", 1], False)]
    assert "secret" not in str(error)
    assert error.retry() == 3


@pytest.mark.parametrize("inner", [Exhausted, Moved, NotNow, Refused, Silent])
def test_inner_errors_show_the_public_name(inner: type[errors.MRCError]) -> None:
    """What users read, search for and unpickle is the class they know."""
    error = inner("no Redis")

    assert traceback.format_exception_only(error) == ["mysql_redis_cache.CacheUnavailable: no Redis\n"]
    assert repr(error) == "CacheUnavailable('no Redis')"
    assert type(pickle.loads(pickle.dumps(error))) is errors.CacheUnavailable
