"""``IN (?)``: from the query for a list to that for one of its values, the text in the key of that one."""

from __future__ import annotations

import re
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from mysql_redis_cache.runtime.kept import Kept

from .scanner import scans, tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .scanner import Plan

__all__ = ["Single", "single_of"]

_LONGEST_KEPT = 8192
_KEPT_BYTES = 1 << 20

_BEFORE = re.compile(r"(?<![\w$@.`])(?P<not>NOT\s+)?(?P<list>IN\s*(?P<open>\(\s*)?)\Z", re.IGNORECASE)
_AFTER = re.compile(r"\s*\)")
# What looks at all rows that were found, so that it gives something else where more are asked for.
_OVER_ALL = frozenset(["LIMIT", "OFFSET", "FETCH", "OVER"])
_AGGREGATES = frozenset(
    [
        *("COUNT", "SUM", "AVG", "MIN", "MAX", "GROUP_CONCAT", "JSON_ARRAYAGG", "JSON_OBJECTAGG"),
        *("STD", "STDDEV", "STDDEV_POP", "STDDEV_SAMP", "VARIANCE", "VAR_POP", "VAR_SAMP"),
        *("BIT_AND", "BIT_OR", "BIT_XOR"),
    ]
)


class Single(NamedTuple):
    """The query for one value of a list.

    Attributes:
        text: that for the list, with ``= ?`` in the place of ``IN (?)`` and nothing else changed.
        name: of a ``:name`` or ``%(name)s`` the name; else None.
    """

    text: str
    name: str | None


def single_of(text: str) -> Single:
    """Return the query for one value of the list that *text* is for.

    Args:
        text: one statement whose only placeholder is that of ``IN (?)``, in whatever form.

    Raises:
        TypeError: *text* is not a str.
        ValueError: it has other placeholders; or what it gives for one value depends on the others.
    """
    if not isinstance(text, str):
        raise TypeError(f"the query must be a str, not {type(text).__name__}")
    if len(text) > _LONGEST_KEPT:
        return _single_of(text)
    try:
        return _kept[text]
    except KeyError:
        return _kept.keep(text, _single_of(text))


_kept = Kept[str, Single](_KEPT_BYTES, lambda text, _: 500 + sys.getsizeof(text) * 2)


def _single_of(text: str) -> Single:
    scan = scans(text)["default"]
    plan = scan.positional if scan.positional.placeholders else scan.named
    if plan.placeholders != 1 or not plan.is_plain:
        raise ValueError(
            f"the query of a list has one placeholder, as in IN (?), and this one has {plan.placeholders}; "
            "other values stand in its text, or use query_many_with_cache"
        )
    start, end = plan.edges
    before = _BEFORE.search(text, 0, start)
    after = _AFTER.match(text, end) if before is None or before["open"] else None
    if before is None or (before["open"] and after is None) or (plan.form == "?" and not before["open"]):
        raise ValueError("the placeholder of a list must stand in IN (?), alone")
    if before["not"]:
        raise ValueError("NOT IN (?) gives the rows of all other values, and none for each of the list")
    _check_each_alone(text, plan)
    single = f"{text[: before.start('list')]}= {text[start:end]}{text[after.end() if after else end :]}"
    return Single(single, plan.names[0] if plan.names else None)


def _check_each_alone(text: str, plan: Plan) -> None:
    """Raise ``ValueError`` if words of the list's SELECT, or of one around it, look at all of its rows."""
    for words in _around(text, plan):
        if found := _OVER_ALL.intersection(words):
            raise ValueError(
                f"{min(found)} counts over the rows of all values, which are not what each gives alone; "
                "use query_many_with_cache"
            )
        calls = {word for word, following in pairwise(words) if following == "("}
        if (found := _AGGREGATES & calls) and "GROUP" not in words:
            raise ValueError(
                f"{min(found)}() without GROUP BY is over the rows of all values; group by the key, or use "
                "query_many_with_cache"
            )


def _around(text: str, plan: Plan) -> Iterator[list[str]]:
    """Yield the words of the parentheses that the placeholder stands in, and those outside of any."""
    groups: list[list[str]] = [[]]
    around: list[list[str]] = []
    for start, word in tokens(text, plan.mode):
        if not around and start >= plan.edges[0]:
            around = [*groups]
        if word == ")" and len(groups) > 1:
            groups.pop()
            continue
        groups[-1].append(word)
        if word == "(":
            groups.append([])
    yield from around
