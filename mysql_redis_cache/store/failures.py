"""What goes wrong at Redis, and what it is called outside this wing."""

from __future__ import annotations

import re

from redis import exceptions as redis_errors

from mysql_redis_cache.errors import CacheUnavailable
from mysql_redis_cache.runtime import advice

__all__ = ["FAILURES", "Moved", "NotNow", "Refused", "Silent", "failure", "is_demotion"]

# RedisClusterException is no RedisError; what a socket raises is an OSError.
FAILURES = (redis_errors.RedisError, redis_errors.RedisClusterException, OSError)

_NOT_NOW = (redis_errors.ClusterDownError, redis_errors.TryAgainError, redis_errors.BusyLoadingError)
_NOT_NOW_WORDS = ("CLUSTERDOWN ", "MASTERDOWN ", "TRYAGAIN ", "LOADING ", "BUSY ")
_MOVED = re.compile(r"(?:(MOVED|ASK) )?\d+ (.*):(\d+)")


class Silent(CacheUnavailable, shown_as=CacheUnavailable):
    """Redis did not answer in time."""


class Refused(CacheUnavailable, shown_as=CacheUnavailable):
    """Redis answered a command with an error, such as WRONGTYPE, OOM or READONLY."""

    @property
    def is_unknown_script(self) -> bool:
        """Whether the server does not know the script, as after its restart."""
        return isinstance(self.__cause__, redis_errors.NoScriptError)

    @property
    def is_wrong_type(self) -> bool:
        """Whether the key holds another type than the command is for."""
        return str(self.__cause__).startswith("WRONGTYPE")


class NotNow(Refused, shown_as=CacheUnavailable):
    """Redis answered that it cannot do it for a moment, such as CLUSTERDOWN during a failover, or LOADING."""


class Moved(Refused, shown_as=CacheUnavailable):
    """The key's slot is, or is on its way to, elsewhere in the cluster.

    Attributes:
        address: host and port to ask; the host may be empty, which means that of who said so.
        asking: whether only for this time (ASK), the slot being under way.
    """

    address: tuple[str, int]
    asking: bool


def failure(error: Exception) -> CacheUnavailable:
    """Return what *error* of redis-py or of a socket is called outside this room."""
    if _is_for_a_moment(error):
        return NotNow(f"Redis cannot answer for a moment: {type(error).__name__}: {error}")
    if isinstance(error, redis_errors.ResponseError):
        # An unknown command is quoted with its arguments, and those hold passwords and parameter values.
        error.args = (str(error).partition(", with args")[0],)
        return _moved(str(error), error) or Refused(f"Redis refused a command: {error}")
    kind = Silent if isinstance(error, (redis_errors.TimeoutError, TimeoutError)) else CacheUnavailable
    what_to_do = advice(error, "ssl_ca_certs", "ssl_certfile and ssl_keyfile")
    return kind(f"Redis is not available: {type(error).__name__}: {error}{what_to_do}")


def is_demotion(error: Exception) -> bool:
    """Return whether *error* says that the server is a replica, whose rows are those of some time ago."""
    return isinstance(error, (redis_errors.ReadOnlyError, redis_errors.MasterDownError)) or str(
        error
    ).startswith("MASTERDOWN ")


def _is_for_a_moment(error: Exception) -> bool:
    # Before redis-py 6 the errors of clusters had no classes outside its own cluster client.
    answered = isinstance(error, redis_errors.ResponseError) and str(error).startswith(_NOT_NOW_WORDS)
    return answered or isinstance(error, _NOT_NOW)


def _moved(text: str, error: redis_errors.ResponseError) -> Moved | None:
    # As above: the class alone says which it is where the text has lost its first word.
    found = _MOVED.fullmatch(text)
    if found is None or not (found[1] or isinstance(error, redis_errors.AskError)):
        return None
    moved = Moved(f"the Redis Cluster has moved a key's slot: {text}")
    moved.address = (found[2], int(found[3]))
    moved.asking = found[1] == "ASK" if found[1] else not isinstance(error, redis_errors.MovedError)
    return moved
