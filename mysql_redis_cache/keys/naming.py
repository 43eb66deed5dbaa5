"""Key names: from a call to its key, and from a (name, value) pair to the keys that carry it.

A key is ``{name1}={text1}_{name2}={text2}_{sha1(query)}``, byte for byte the npm package's wherever that
format is unambiguous. Where it is not, all params go into the digest too (*folding*), so that no two calls
share a key unless their params are equal; the visible part stays, so a drop still finds the key.

*Tags* are pairs that are no params. They follow the params' pairs in the visible part, and their names always
go into the digest. A digest that holds more than the query begins with the query's own digits, by which all
entries of a query are found.
"""

from __future__ import annotations

import sys
from hashlib import sha1
from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple

from mysql_redis_cache.runtime.kept import Kept

from .folding import WORDS, canonical_json, folds
from .jstext import plain
from .matching import Matcher, lease_name, slot_safe_lease_name
from .pairs import SURROGATE, checked_names, pair_texts, plain_value, shown_text

if TYPE_CHECKING:
    from _hashlib import HASH
    from collections.abc import Sequence

    from .jstext import Plain
    from .pairs import Tags

__all__ = [
    "Matcher",
    "lease_name",
    "make_key",
    "pair_texts",
    "query_digest",
    "slot_safe_lease_name",
]

_LONGEST_KEPT = 8192
"""Longer queries are hashed anew each time, which takes a tenth of a millisecond for 100,000 characters."""

_KEPT_BYTES = 4 << 20

HEAD = 16
"""Hex digits of a query's own with which all digests of it begin."""


class _Plan(NamedTuple):
    """What is the same for all calls with one query, one list of names, of tags' names, and one prefix."""

    visible: str  # "%"-template of the visible part
    digest: str
    head: str  # of a digest that holds more than the query
    folding: HASH  # SHA-1 of what is the same for all, to be copied and fed with the params
    marks: tuple[str, ...]  # "_UserId=" of each name: in a value, it reads as the start of another pair


def make_key(
    query: str,
    params: Sequence[object] | None = None,
    names: Sequence[str] | None = (),
    prefix: str = "",
    tags: Tags = (),
) -> str:
    """Make the key of a call.

    Args:
        query: the SQL text (or signature), exactly as the caller wrote it.
        params: the values, a list or tuple; ``None`` means none.
        names: the names of the first ``len(names)`` params, a list or tuple; ``None`` will do
            where there are no params.
        prefix: what stands in front of every key, as ``check_namespace`` returns it.
        tags: pairs of name and value, as ``tag_pairs`` returns them.

    Returns:
        The key. It can always be encoded as UTF-8: a lone surrogate shows as U+FFFD, as Node writes it.

    Raises:
        TypeError: *query* or a name is no str, *params* or *names* no list or tuple, or a value of a type
            that ``jstext.plain`` does not list.
        ValueError: an empty query, a lone surrogate in query or name, more names than params, a name that
            is empty, repeated (among the params) or contains ``=``, or an empty list as a value.
    """
    if params is None:
        params = ()
    elif not isinstance(params, (list, tuple)):
        raise TypeError(f"params must be a list or tuple, got {type(params).__name__}")
    if names is None and not params:
        names = ()
    plan = _plan(query, names, prefix, tags)
    visible, digest, _, _, marks = plan
    shown = (*params, *[value for _, value in tags]) if tags else params
    if len(shown) != len(marks):
        return _careful_key(params, names or (), tags, plan)
    for value in shown:
        # An int, and a string that is no word, list or pair, stand for themselves.
        if type(value) is int:
            continue
        if (
            type(value) is str
            and (value.isascii() or not SURROGATE.search(value))
            and "=" not in value
            and "," not in value
            and value not in WORDS
        ):
            continue
        return _careful_key(params, names or (), tags, plan)
    try:
        return visible % tuple(shown) + digest
    except ValueError:  # an int longer than Python writes out: said below
        return _careful_key(params, names or (), tags, plan)


def query_digest(query: str) -> str:
    """Return the digits with which the digest begins in all keys of *query*, whatever the params and tags.

    Raises:
        TypeError: *query* is no str.
        ValueError: it is empty, or holds a lone surrogate.
    """
    return _plan(query, (), "", ()).head


def _plan(query: str, names: Sequence[str] | None, prefix: str, tags: Tags) -> _Plan:
    if not isinstance(query, str):
        raise TypeError(f"query must be a str, got {type(query).__name__}")
    if not isinstance(names, (list, tuple)):
        raise TypeError(f"names must be a list or tuple of str, got {type(names).__name__}")
    key = query, tuple(names), prefix, tuple([name for name, _ in tags]) if tags else ()
    if len(query) > _LONGEST_KEPT:
        return _new_plan(*key)
    try:
        return _plans[key]
    except (KeyError, TypeError):  # a name may be no str, and not even hashable: that is said below
        pass
    return _plans.keep(key, _new_plan(*key))


def _new_plan(query: str, names: tuple[str, ...], prefix: str, tags: tuple[str, ...]) -> _Plan:
    if not query:
        raise ValueError("the query is empty; pass the SQL text, or a signature of your function")
    try:
        encoded = query.encode()
    except UnicodeEncodeError:
        raise ValueError("the query contains a lone surrogate, which cannot be encoded as UTF-8") from None
    texts = checked_names(names)
    if len(set(texts)) < len(texts):
        raise ValueError(f"a name is repeated in {texts}; give each param a name of its own")
    pairs = "".join([f"{name}=".replace("%", "%%") + "%s_" for name in (*texts, *tags)])
    digest = sha1(encoded, usedforsecurity=False)
    head, folding = digest.hexdigest()[:HEAD], digest.copy()
    folding.update(b"\0")
    if tags:
        folding.update(f"{_names_json(texts)}{_names_json(tags)}\0".encode())
    own = _folded(head, folding) if tags else digest.hexdigest()
    marks = tuple([f"_{name}=" for name in (*texts, *tags)])
    return _Plan(prefix.replace("%", "%%") + pairs, own, head, folding, marks)


def _folded(head: str, hasher: HASH) -> str:
    return head + hasher.hexdigest()[HEAD:]


def _names_json(names: Sequence[str]) -> str:
    # An object, since the JSON of params, which stands in its place where there are no tags, is a list.
    return f'{{"names":{canonical_json(list(names))}}}'


def _size(key: tuple[str, tuple[str, ...], str, tuple[str, ...]], plan: _Plan) -> int:
    """Return the bytes that a plan takes, about; the hash and the tuples are a kilobyte."""
    return 1000 + sys.getsizeof(key[0]) + 4 * sys.getsizeof(plan.visible)


_plans = Kept(_KEPT_BYTES, _size)


def _careful_key(params: Sequence[object], names: Sequence[str], tags: Tags, plan: _Plan) -> str:
    if len(names) > len(params):
        raise ValueError(f"more names ({len(names)}) than params ({len(params)}); name only what is passed")
    values = _plain_params(params, names)
    pairs = _plain_tags(tags)
    try:
        return _key_of(values, len(names), pairs, plan)
    except ValueError:
        raise ValueError("a param is an int of more digits than Python writes out; pass it as text") from None
    except RecursionError:
        raise ValueError("a param is nested too deeply, or contains itself") from None


def _key_of(values: list[Plain], named: int, tags: list[Plain], plan: _Plan) -> str:
    visible = plan.visible % tuple(map(shown_text, (*values[:named], *tags)))
    if len(values) == named and not any(map(folds, (*values, *tags), repeat(plan.marks))):
        return visible + plan.digest
    hasher = plan.folding.copy()
    # "surrogatepass": a param may hold what UTF-8 does not allow, and two such params must stay two.
    hasher.update(canonical_json(values).encode("utf-8", "surrogatepass"))
    if tags:
        hasher.update(canonical_json(tags).encode("utf-8", "surrogatepass"))
    return visible + _folded(plan.head, hasher)


def _plain_params(params: Sequence[object], names: Sequence[str]) -> list[Plain]:
    try:
        values = list(map(plain, params))
    except (TypeError, ValueError, RecursionError):
        values = []
    if values and [] not in values:
        return values
    # One of them will not do. Only now are the labels worth their time.
    labels = [f"param {position}" for position in range(1, len(params) + 1)]
    labels[: len(names)] = [f"{label} ({name})" for label, name in zip(labels, names, strict=False)]
    return [plain_value(value, label) for value, label in zip(params, labels, strict=True)]


def _plain_tags(tags: Tags) -> list[Plain]:
    return [plain_value(value, f"tag {name!r}") for name, value in tags]
