"""What the entries of a client have in common: how they begin, and which names their pairs may have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeAlias

from mysql_redis_cache import sql
from mysql_redis_cache.values import in_zone

from .matching import Matcher
from .naming import make_key, query_digest
from .pairs import checked_names, tag_pairs
from .wanted import Exact, Whole

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import tzinfo

    from mysql_redis_cache.sql import Params

    from .pairs import Tagged

__all__ = ["Combinations", "Namespace", "check_namespace", "in_order"]

_LENGTH = 64

Combinations: TypeAlias = "Mapping[str, object] | Sequence[Mapping[str, object]]"
"""Drops as mappings: the pairs that an entry must carry all of; several of them are several drops."""


class Namespace:
    """The entries of one client, and of the servers that drop them.

    Args:
        namespace: stands in front of every key, see ``check_namespace``.
        names: the only ones that pairs may have; ``None`` for any.
        zone: that of DATETIME columns, if known: moments stand in keys as its wall clock.

    Attributes:
        prefix: what stands in front of every key.
        declared: *names*.
        zone: as given.

    Raises:
        TypeError: *namespace* is no str, or *names* no collection of str.
        ValueError: a bad namespace or name.
    """

    def __init__(
        self, namespace: str | None = None, names: Collection[str] | None = None, zone: tzinfo | None = None
    ) -> None:
        self.prefix = check_namespace(namespace)
        self.declared = None if names is None else _declared(names)
        self.zone = zone

    def local(self, values: Any) -> Any:
        """Return *values* with aware datetimes as the wall clock of the columns, if their zone is known."""
        return values if self.zone is None else in_zone(values, self.zone)

    def check(self, names: Iterable[str]) -> None:
        """Raise ``ValueError`` if one of *names* is not declared, with the nearest that is."""
        if self.declared is None or self.declared.issuperset(names):
            return
        name = next(name for name in names if name not in self.declared)
        nearest = get_close_matches(name, self.declared, 1, 0.0)
        raise ValueError(
            f"the name {name!r} is none of the declared ones; the nearest is {nearest[0]!r} (names= of the "
            "client or server lists them)"
        )

    def key(
        self, query: str, params: Params = None, names: Sequence[str] | None = (), tags: Tagged = None
    ) -> str:
        """Return the key of a call, see ``make_key``; params may be a mapping, see ``in_order``."""
        values, names = in_order(query, self.local(params), names)
        pairs = tuple([(name, self.local(value)) for name, value in tag_pairs(tags)])
        key = make_key(query, values, names, self.prefix, pairs)
        self.check([*(names or ()), *[name for name, _ in pairs]])
        return key

    def matcher(
        self,
        names: Sequence[str],
        values: Sequence[object],
        require_all: bool = True,
        look: Callable[[], object] = lambda: None,
    ) -> Matcher:
        """Return what a drop of pairs is for; arguments and errors as of ``Matcher``, and ``check``."""
        matcher = Matcher(names, self.local(values), require_all, self.prefix, look)
        self.check([pair.name for pair in matcher.pairs])
        return matcher

    def of_many(
        self, name: str, values: Iterable[object], look: Callable[[], object] = lambda: None
    ) -> Matcher | None:
        """Return what a drop of many values of one name is for; ``None`` if there are none.

        Raises:
            TypeError: *values* is a text, a mapping or nothing that can be gone through, or as ``matcher``.
            ValueError: as ``matcher``.
        """
        if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
            raise TypeError(f"values must be a list of values, not {type(values).__name__}")
        listed = list(values)
        self.check(checked_names([name]))
        return self.matcher([name] * len(listed), listed, False, look) if listed else None

    def of_combinations(self, drops: Combinations) -> list[Matcher]:
        """Return what the drops that follow a write are for.

        Raises:
            TypeError: it is neither a mapping nor a list of them, or as ``matcher``.
            ValueError: as ``matcher``.
        """
        listed = [drops] if isinstance(drops, Mapping) else drops
        if not isinstance(listed, (list, tuple)) or not all(isinstance(each, Mapping) for each in listed):
            raise TypeError(
                "drops must be a mapping of names to values, such as {'Order': 7}, or a list of such, not "
                f"{type(drops).__name__}"
            )
        return [self.matcher(list(each), list(each.values())) for each in listed]

    def of_call(
        self,
        query: str,
        params: Params = None,
        names: Sequence[str] | None = (),
        tags: Tagged = None,
        *,
        any_params: bool = False,
    ) -> Exact | Whole:
        """Return what a drop of a call's entry is for, or of all entries of a query, whatever the params.

        Raises:
            TypeError, ValueError: as ``key``; *any_params* with params, names or tags.
        """
        if not any_params:
            return Exact(self.key(query, params, names, tags))
        if params or names or tags:
            raise ValueError(
                "any_params=True is for all entries of the query: leave params, names and tags out"
            )
        return Whole(self.prefix, query_digest(query))

    def everything(self) -> Whole:
        """Return what a drop of all entries is for."""
        return Whole(self.prefix)


def in_order(
    query: str, params: Params, names: Sequence[str] | None
) -> tuple[Sequence[object] | None, Sequence[str] | None]:
    """Return params and names as a key has them: of a mapping, by the names that *query* uses.

    A signature uses none, and has those of the mapping in the order of the alphabet.

    Raises:
        TypeError, ValueError: the mapping does not fit the query.
    """
    if params is None or isinstance(params, (list, tuple)):
        return params, names
    statement = sql.statement(query)
    return sql.alphabetical(params, names) if statement.takes_nothing else statement.named(params, names)


def _declared(names: Collection[str]) -> frozenset[str]:
    if isinstance(names, (str, bytes)) or not hasattr(names, "__iter__"):
        raise TypeError(f"names must be a set or list of str, not {type(names).__name__}")
    declared = frozenset(checked_names(list(names), "declared name"))
    if not declared:
        raise ValueError("names declares none; leave it out to allow any name")
    return declared


def check_namespace(namespace: str | None) -> str:
    """Turn the ``namespace`` option into the prefix of every key.

    Args:
        namespace: ``None`` for no prefix, or up to 64 printable characters without white space, ``=``,
            ``{`` and ``}`` (``=`` belongs to the pairs, braces to Redis Cluster).

    Returns:
        ``""``, or the namespace and a colon.

    Raises:
        TypeError: it is no str.
        ValueError: it is empty, too long, or has other characters.
    """
    if namespace is None:
        return ""
    if not isinstance(namespace, str):
        raise TypeError(f"namespace must be a str or None, got {type(namespace).__name__}")
    if not 1 <= len(namespace) <= _LENGTH:
        raise ValueError(f"namespace must have 1 to {_LENGTH} characters, got {len(namespace)}")
    if not namespace.isprintable() or any(char in "={}" or char.isspace() for char in namespace):
        raise ValueError(f"namespace {namespace!a} holds white space, a control character, '=', '{{' or '}}'")
    return f"{namespace}:"
