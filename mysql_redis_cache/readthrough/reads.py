"""Setting up a read: what it asks for, checked whole before anything is sent."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from mysql_redis_cache import keys, sql
from mysql_redis_cache.policy import DEFAULT_TTL, Policy, seconds, ttl_seconds
from mysql_redis_cache.values import Misfit, codec, fitting, shape_of

from .many import Job, read_many
from .params import are_plain, copied, plain, surely_sendable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mysql_redis_cache.keys import Namespace, Tagged, Tags
    from mysql_redis_cache.sql import Params, Statement
    from mysql_redis_cache.store import Name
    from mysql_redis_cache.values import Between, Shape

    from .flight import Flight
    from .many import Tasks
    from .steps import Steps

    Decode = Callable[[bytes, Between, bool], object]

__all__ = ["NO_WINDOWS", "Asked", "Batch", "Query", "Read", "Reads", "Write", "in_form"]

NO_WINDOWS: Mapping[str, Any] = {}
WINDOWS = ("stale_while_revalidate", "stale_if_error", "early_refresh", "near")


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
    decode: Decode = codec.decode  # what the caller gets of the JSON
    lifespan: Callable[[Any], Any] | None = None  # tells the ttl of what was loaded
    is_prolonged: bool = False  # the ttl is longer than the lease was taken for
    where: Name | None = None
    token: bytes = b""
    holds_lease: bool = False
    flight: Flight | None = None
    is_over: bool = False
    is_corrupt: bool = False
    has_failed: bool = False  # its load did
    # For those who watch.
    label: str | None = None
    bypassed: str = ""  # why it goes past the cache, if it does
    is_near: bool = False  # what it found was kept in this process
    size: int = 0  # bytes of the JSON that it found or loaded
    number: int = 0
    led_by: int = 0  # the number of the read whose flight it joined
    began: float = 0.0
    is_behind: bool = False  # nobody waits for it

    def described(self) -> dict[str, Any]:
        """Return what an event says of it: no values."""
        names = (*(self.names or ()), *[name for name, _ in self.tags])
        return {
            "read": self.number,
            "query": self.query,
            "digest": self.key[-40:],
            "names": names,
            "label": self.label,
        }

    def again(self) -> Read:
        """Return a read of the same that holds nothing yet."""
        about = (self.key, self.query, self.params, self.names, self.ttl, self.policy, self.load, self.raw)
        again = Read(*about, self.tags, self.is_query, self.decode, label=self.label)
        if self.lifespan is not None:
            again.ttl, again.lifespan = DEFAULT_TTL, self.lifespan
        return again

    def lives(self, value: Any) -> bool:
        """Set the ttl by what was loaded; return whether it is to be kept at all."""
        if self.lifespan is None:
            return True
        seconds = None if isinstance(value, Misfit) else self.lifespan(value)
        if seconds is None:
            return False
        self.ttl = ttl_seconds(seconds)
        if self.ttl > DEFAULT_TTL:
            self.where, self.is_prolonged = None, True
        return True


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


def in_form(steps: Steps, read: Read) -> Steps:
    """Have the steps of *read* raise at their end what does not fit the form that it is asked for in.

    All else goes on as ever: the entry is good, and others may want it in a form in which it fits.
    """
    return steps if read.decode is codec.decode else _fitting(steps)


def _fitting(steps: Steps) -> Steps:
    return fitting((yield from steps))


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

    jobs: dict[tuple[str, Decode], Job] = field(default_factory=dict)
    order: list[tuple[str, Decode]] = field(default_factory=list)

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
        given: set[tuple[str, Decode]] = set()
        return [self._value(key, given) for key in self.order]

    def _value(self, key: tuple[str, Decode], given: set[tuple[str, Decode]]) -> Any:
        value = fitting(self.jobs[key].value)
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
            own, names = _checked(statement, self._namespace.local(params), names)
        lifespan, lifetime = (ttl, DEFAULT_TTL) if callable(ttl) else (None, ttl_seconds(ttl))
        policy = self._windowed(windows) if windows else self._policy
        pairs = () if tags is None else self._own(tags)
        key = keys.make_key(query, own, names, self._prefix, pairs)
        if self._namespace.declared is not None:
            self._check(names, pairs)
        read = Read(key, query, own, names, lifetime, policy, None, key.encode(), pairs, True)
        if lifespan is not None:
            read.lifespan = lifespan
        return read

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
        lifespan, lifetime = (ttl, DEFAULT_TTL) if callable(ttl) else (None, ttl_seconds(ttl))
        policy = self._windowed(windows) if windows else self._policy
        own = plain(params)
        if own is None:
            values, names = keys.in_order(query, self._namespace.local(params), names)
            own = copied(values)
        pairs = () if tags is None else self._own(tags)
        key = keys.make_key(query, own, names, self._prefix, pairs)
        if self._namespace.declared is not None:
            self._check(names, pairs)
        read = Read(key, query, own, names, lifetime, policy, load, key.encode(), pairs)
        if lifespan is not None:
            read.lifespan = lifespan
        return read

    def many(
        self,
        queries: Sequence[tuple[Any, ...]],
        ttl: object,
        windows: Mapping[str, Any],
        steps: Callable[[Read], Steps],
        *,
        into: Any = None,
        one: Any = False,
    ) -> Batch:
        """Return the reads of several cached queries, equal ones once, all of them checked."""
        if not isinstance(queries, (list, tuple)):
            raise TypeError(f"queries must be a list of tuples, not {type(queries).__name__}")
        batch = Batch()
        decodes = self._decodes(len(queries), into, one)
        for number, (query, decode) in enumerate(zip(queries, decodes, strict=True)):
            each = _parts(query, number)
            read = self.of_query(each.query, each.params, each.param_names, ttl, windows, tags=each.tags)
            read.decode = decode
            batch.order.append((read.key, decode))
            if batch.order[-1] not in batch.jobs:
                batch.jobs[batch.order[-1]] = Job(read, steps(read))
        return batch

    def shape(self, into: Any, *, one: bool = False, are_rows: bool = True) -> Shape:
        """Return the form that a caller asks for; see ``shape_of``."""
        return shape_of(into, self._namespace.zone if are_rows else None, one=one, are_rows=are_rows)

    def _decodes(self, count: int, into: Any, one: Any) -> list[Decode]:
        """Return what each of *count* queries is decoded by."""
        if into is None and one is False:
            return [codec.decode] * count
        kinds, ones = _for_each("into", into, count), _for_each("one", one, count)
        return [self.shape(kind, one=only).decode for kind, only in zip(kinds, ones, strict=True)]

    def _own(self, tags: Tagged) -> Tags:
        """Return tags as pairs whose values are as they are now."""
        pairs = keys.tag_pairs(tags)
        values = copied([self._namespace.local(value) for _, value in pairs])
        return tuple(zip([name for name, _ in pairs], values, strict=True))

    def _check(self, names: Sequence[str] | None, tags: Tags) -> None:
        self._namespace.check([*(names or ()), *[name for name, _ in tags]])

    def _windowed(self, windows: Mapping[str, Any]) -> Policy:
        for name in windows:
            if name not in WINDOWS:
                raise TypeError(f"there is no keyword {name}; the windows of a call are {', '.join(WINDOWS)}")
        given = {name: _window(name, value) for name, value in windows.items() if value is not None}
        return replace(self._policy, **given) if given else self._policy


def _window(name: str, value: object) -> Any:
    if name != "near":
        return seconds(name, value)
    if not isinstance(value, bool):
        raise TypeError(f"near of a call must be a bool, not {type(value).__name__}; bounds are the client's")
    return value


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


def _for_each(name: str, given: Any, count: int) -> Sequence[Any]:
    """Return what was given for each of *count* queries, or once for all of them."""
    if not isinstance(given, (list, tuple)):
        return [given] * count
    if len(given) != count:
        raise ValueError(f"{name} is a list of {len(given)}, and there are {count} queries")
    return given


def _parts(query: Any, number: int) -> Query:
    """Return what one of many queries asks for."""
    if not isinstance(query, (tuple, list)) or not 1 <= len(query) <= len(Query._fields):
        raise TypeError(
            f"queries[{number}] must be a tuple ({', '.join(Query._fields)}), all but the first optional"
        )
    return Query(*query)
