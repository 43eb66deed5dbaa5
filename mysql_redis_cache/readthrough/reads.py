"""Setting up a read: what it asks for, checked whole before anything is sent."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from mysql_redis_cache import keys, sql
from mysql_redis_cache.policy import Policy, seconds, ttl_seconds

from .many import Job, read_many
from .params import are_plain, copied, plain, surely_sendable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mysql_redis_cache.keys import Namespace, Tagged, Tags
    from mysql_redis_cache.sql import Params, Statement
    from mysql_redis_cache.store import Name

    from .flight import Flight
    from .many import Tasks
    from .steps import Steps

__all__ = ["Asked", "Batch", "Query", "Read", "Reads", "Write"]

NO_WINDOWS: Mapping[str, Any] = {}
WINDOWS = ("stale_while_revalidate", "stale_if_error", "early_refresh")


@dataclass(slots=True, eq=False, repr=False, weakref_slot=True)  # a repr would show the params
class Read:
    """One read: what it asks for, and what it holds while it runs."""

    key: str
    query: str
    params: Sequence[object]
    names: Sequence[str] | None
    ttl: float
    policy: Policy
    load: Any  # called with this read it gives ``Loaded`` (the facade has a form of its own); None: the query
    raw: bytes
    tags: Tags = ()
    is_query: bool = False  # so that what it finds are rows
    where: Name | None = None
    token: bytes = b""
    holds_lease: bool = False
    flight: Flight | None = None
    is_over: bool = False
    is_corrupt: bool = False

    def again(self) -> Read:
        """Return a read of the same that holds nothing yet."""
        about = (self.key, self.query, self.params, self.names, self.ttl, self.policy, self.load, self.raw)
        return Read(*about, self.tags, self.is_query)


class Query(NamedTuple):
    """One of the queries of ``query_many_with_cache``; a plain tuple of the same does as well.

    Attributes:
        query: as for ``query_with_cache``.
        params: as for ``query_with_cache``.
        param_names: as for ``query_with_cache``.
        tags: as for ``query_with_cache``.
    """

    query: str
    params: Params = None
    param_names: Sequence[str] | None = ()
    tags: Tagged = None


class Write(NamedTuple):
    """A value to be stored under the key of a read."""

    read: Read
    value: object

    @property
    def query(self) -> str:
        """The query of the read."""
        return self.read.query


@dataclass(slots=True)
class Batch:
    """The reads of one ``query_many_with_cache``."""

    jobs: dict[str, Job] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)

    @property
    def reads(self) -> list[Read]:
        """The reads, equal ones once."""
        return [job.read for job in self.jobs.values()]

    def steps(self) -> Tasks:
        """Answer all of them."""
        yield from read_many(list(self.jobs.values()))
        return self._values()

    def _values(self) -> list[Any]:
        """Return the answers in the order asked for; equal queries get copies, not one object."""
        given: set[str] = set()
        return [self._value(key, given) for key in self.order]

    def _value(self, key: str, given: set[str]) -> Any:
        value = self.jobs[key].value
        if key in given:
            return copy.deepcopy(value)
        given.add(key)
        return value


Asked: TypeAlias = Read | Batch


class Reads:
    """Makes the reads of one client.

    Args:
        namespace: the client's.
        policy: the waits and windows of calls that name none.
    """

    def __init__(self, namespace: Namespace, policy: Policy) -> None:
        self._namespace = namespace
        self._prefix = namespace.prefix
        self._policy = policy

    def check_signature(self, query: str, names: Sequence[str] | None, ttl: object) -> None:
        """Raise what every call of a cached function would raise because of these."""
        ttl_seconds(ttl)
        self._namespace.key(query, (0,) * len(names or ()), names)

    def of_query(
        self,
        query: str,
        params: Params,
        names: Sequence[str] | None,
        ttl: object,
        windows: Mapping[str, Any] = NO_WINDOWS,
        *,
        tags: Tagged = None,
    ) -> Read:
        """Return the read of a cached query, all of it checked.

        Raises:
            TypeError: an argument of the wrong type.
            ValueError: a bad ttl, an uncacheable statement, wrong counts, bad names.
        """
        statement = sql.statement(query)
        if statement.refusal:
            raise ValueError(f"query_with_cache cannot cache this statement: {statement.refusal}")
        own = plain(params)
        if own is None or len(own) != statement.plain_placeholders:
            own, names = _checked(statement, params, names)
        lifetime = ttl_seconds(ttl)
        policy = self._windowed(windows) if windows else self._policy
        pairs = () if tags is None else _own(tags)
        key = self._key(query, own, names, pairs)
        return Read(key, query, own, names, lifetime, policy, None, key.encode(), pairs, True)

    def of_function(
        self,
        query: str,
        params: Params,
        names: Sequence[str] | None,
        ttl: object,
        windows: Mapping[str, Any] = NO_WINDOWS,
        *,
        tags: Tagged = None,
        load: object = None,
    ) -> Read:
        """Return the read of anything that *load* gives, as ``Loaded``."""
        lifetime = ttl_seconds(ttl)
        policy = self._windowed(windows) if windows else self._policy
        own = plain(params)
        if own is None:
            values, names = keys.in_order(query, params, names)
            own = copied(values)
        pairs = () if tags is None else _own(tags)
        key = self._key(query, own, names, pairs)
        return Read(key, query, own, names, lifetime, policy, load, key.encode(), pairs)

    def many(
        self,
        queries: Sequence[tuple[Any, ...]],
        ttl: object,
        windows: Mapping[str, Any],
        steps: Callable[[Read], Steps],
    ) -> Batch:
        """Return the reads of several cached queries, equal ones once, all of them checked."""
        if not isinstance(queries, (list, tuple)):
            raise TypeError(f"queries must be a list of tuples, not {type(queries).__name__}")
        batch = Batch()
        for number, query in enumerate(queries):
            one = _parts(query, number)
            read = self.of_query(one.query, one.params, one.param_names, ttl, windows, tags=one.tags)
            batch.order.append(read.key)
            if read.key not in batch.jobs:
                batch.jobs[read.key] = Job(read, steps(read))
        return batch

    def _key(self, query: str, params: Sequence[object], names: Sequence[str] | None, tags: Tags) -> str:
        key = keys.make_key(query, params, names, self._prefix, tags)
        if self._namespace.declared is not None:
            self._namespace.check([*(names or ()), *[name for name, _ in tags]])
        return key

    def _windowed(self, windows: Mapping[str, Any]) -> Policy:
        for name in windows:
            if name not in WINDOWS:
                raise TypeError(f"there is no keyword {name}; the windows of a call are {', '.join(WINDOWS)}")
        given: dict[str, Any] = {
            name: seconds(name, value) for name, value in windows.items() if value is not None
        }
        return replace(self._policy, **given) if given else self._policy


def _checked(
    statement: Statement, params: Params, names: Sequence[str] | None
) -> tuple[tuple[object, ...], Sequence[str] | None]:
    """Return params and names as a key has them, each param looked at."""
    if params is None or isinstance(params, (list, tuple)):
        statement.check_count(params)
    else:
        params, names = statement.named(params, names)
        if statement.is_plain and are_plain(params):
            return params, names
    own = copied(params)
    if not (statement.is_plain and surely_sendable(own)):
        statement.check(own)
    return own, names


def _own(tags: Tagged) -> Tags:
    """Return tags as pairs whose values are as they are now."""
    pairs = keys.tag_pairs(tags)
    return tuple(zip([name for name, _ in pairs], copied([value for _, value in pairs]), strict=True))


def _parts(query: Any, number: int) -> Query:
    """Return what one of many queries asks for."""
    if not isinstance(query, (tuple, list)) or not 1 <= len(query) <= len(Query._fields):
        raise TypeError(
            f"queries[{number}] must be a tuple ({', '.join(Query._fields)}), all but the first optional"
        )
    return Query(*query)
