"""What drops are for, in a form that JSON has: a queue may carry it to whoever drops later.

Pairs are ``matching.Matcher``. Beside them stand all entries of a query, all of a namespace, and single ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from .matching import AnyValue, Matcher
from .naming import HEAD

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Exact", "Sought", "Wanted", "Whole", "as_json", "from_json"]

_QUERY = re.compile(f"[0-9a-f]{{{HEAD}}}")


@dataclass(frozen=True, slots=True)
class Whole:
    """All entries of a namespace, or those of them whose digest begins with some digits.

    Attributes:
        prefix: the namespace's, as ``check_namespace`` returns it.
        head: the digits, as ``query_digest`` returns them; none for all entries.
    """

    prefix: str
    head: str = ""


@dataclass(frozen=True, slots=True)
class Exact:
    """One entry.

    Attributes:
        key: its key.
    """

    key: str


Sought: TypeAlias = Matcher | Whole
"""What entries have to be found for."""

Wanted: TypeAlias = Sought | Exact


def as_json(wanted: Wanted) -> dict[str, Any]:
    """Return *wanted* in types that JSON has."""
    if isinstance(wanted, Exact):
        return {"key": wanted.key}
    if isinstance(wanted, Whole):
        return {"query": wanted.head} if wanted.head else {"all": True}
    if isinstance(wanted, AnyValue):
        return {"any_value_of": wanted.asked[0]}
    names, values, require_all = wanted.asked
    return {"key_names": names, "key_values": values, "require_all_match": require_all}


def from_json(asked: Mapping[str, Any], prefix: str) -> Wanted:
    """Return what ``as_json`` was given.

    Args:
        asked: what it returned.
        prefix: the namespace's.

    Raises:
        TypeError, ValueError: it did not return that.
    """
    if set(asked) == {"key_names", "key_values", "require_all_match"}:
        return Matcher(asked["key_names"], asked["key_values"], bool(asked["require_all_match"]), prefix)
    match dict(asked):
        case {"key": str(key)} if key.startswith(prefix) and len(asked) == 1:
            return Exact(key)
        case {"query": str(head)} if _QUERY.fullmatch(head) and len(asked) == 1:
            return Whole(prefix, head)
        case {"any_value_of": list(names)} if len(asked) == 1:
            return AnyValue(names, prefix)
        case {"all": True} if len(asked) == 1:
            return Whole(prefix)
    raise ValueError(f"no drop is written like this (its fields are {', '.join(map(repr, asked))})")
