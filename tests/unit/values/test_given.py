"""What a function says it returns, and what JSON makes of it."""

from __future__ import annotations

import subprocess
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypedDict
from uuid import UUID

import attrs
import msgspec
import pydantic
import pytest

from mysql_redis_cache.values.given import json_gives, returned

if TYPE_CHECKING:
    from nowhere import Never


@dataclass
class User:
    name: str


@attrs.define
class Attributes:
    name: str


class Struct(msgspec.Struct):
    name: str


class Model(pydantic.BaseModel):
    name: str


class Pair(NamedTuple):
    a: int


class Dict(TypedDict):
    name: str


class Colour(Enum):
    RED = 1


@pytest.mark.parametrize(
    "hint",
    [
        *[None, Any, int, str, float, bool, bytes, dict, list, object, Dict, list[Dict]],
        *[dict[str, Any], list[dict[str, Any]], int | None, str | None, Mapping[str, int], Sequence[str]],
        *[Annotated[int, "of them"], subprocess.Popen[bytes]],
    ],
)
def test_what_comes_back_as_it_was(hint: object) -> None:
    """Plain types, and TypedDicts, which are dicts."""
    assert json_gives(hint) is None


@pytest.mark.parametrize(
    ("hint", "given"),
    [
        *[(kind, "dict") for kind in (User, Attributes, Struct, Model)],
        *[(kind, "str") for kind in (datetime, date, UUID)],
        (Pair, "list"),
        (tuple[int, str], "list"),
        (set[int], "list"),
        (Decimal, "float"),
        (Colour, "its value"),
        (User | None, "dict"),
        (Annotated[User, "one"], "dict"),
        (list[User], "list[dict]"),
        (Sequence[User], "list[dict]"),
        (dict[str, Decimal], "dict[str, float]"),
        (list[dict[str, datetime]], "list[dict[str, str]]"),
    ],
)
def test_what_comes_back_as_something_else(hint: object, given: str) -> None:
    """Classes as dicts, dates as text, money as floats, also inside lists, dicts and unions."""
    assert json_gives(hint) == given


async def awaited() -> User: ...
def coroutine() -> Coroutine[Any, Any, User]: ...
def awaitable() -> Awaitable[User]: ...
def plain() -> User: ...
def silent(): ...
def unknown() -> Never: ...


class Callable:
    def __call__(self, user_id: int) -> User: ...
    def method(self, user_id: int) -> User: ...


OTHER_FORMS = [User, partial(plain), partial(partial(plain)), Callable(), Callable().method]


@pytest.mark.parametrize("fn", [awaited, coroutine, awaitable, plain, *OTHER_FORMS])
def test_what_a_function_returns(fn: Any) -> None:
    """Of one that is awaited, what that gives."""
    assert returned(fn) is User


@pytest.mark.parametrize("fn", [silent, unknown, len])
def test_functions_that_do_not_say(fn: Any) -> None:
    """Anything may come."""
    assert returned(fn) is Any
