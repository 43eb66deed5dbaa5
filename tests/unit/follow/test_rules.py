"""Rules are read as TOML gives them, and what is none is refused with its place."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from mysql_redis_cache.follow.rules import Combination, TableRule, parse_rules

TOML = """
["shop.orders"]
UserId = "user_id"
"UserId StoreId" = ["user_id", "store_id"]
["shop.prices"]
drop = ["Catalog"]
"""


def test_rules_are_read() -> None:
    """A table has names to columns, combinations of them, and names to drop."""
    rules = parse_rules(tomllib.loads("table_tags = true\n" + TOML))
    orders = rules.tables["shop", "orders"]

    assert orders.combinations == (
        Combination(("UserId",), ("user_id",)),
        Combination(("UserId", "StoreId"), ("user_id", "store_id")),
    )
    assert orders.columns == ("user_id", "store_id")
    assert rules.tables["shop", "prices"] == TableRule(drop=frozenset(["Catalog"]))
    assert rules.names == {"UserId", "StoreId", "Catalog", "Table"}


def test_tables_may_be_nested() -> None:
    """A table's name without quotes is two tables of TOML, and means the same."""
    nested = tomllib.loads('[shop.orders]\nUserId = "user_id"')
    assert parse_rules(nested) == parse_rules({"shop.orders": {"UserId": "user_id"}})


def test_tags_alone_are_rules() -> None:
    """With tags on the reads no other rule is needed."""
    assert parse_rules({"table_tags": True}).names == {"Table"}


BAD: dict[str, tuple[Any, str]] = {
    "none": ({}, "there are none"),
    "no mapping": ([], "must be a mapping"),
    "tags of the wrong type": ({"table_tags": "yes"}, "table_tags must be true or false"),
    "no schema": ({"orders": {"UserId": "user_id"}}, '"shop.orders"'),
    "empty schema": ({".orders": {"UserId": "user_id"}}, "names no table"),
    "an empty table": ({"shop.orders": {}}, "shop.orders has none"),
    "no table of rules": ({"shop.orders": "user_id"}, "must be a table of rules"),
    "columns missing": ({"shop.orders": {"A B": ["a"]}}, "has 2 names and 1 columns"),
    "a name twice": ({"shop.orders": {"A A": ["a", "b"]}}, "a name twice"),
    "a name with =": ({"shop.orders": {"A=": "a"}}, "shop.orders"),
    "no column": ({"shop.orders": {"A": 1}}, "must be a column"),
    "drop of one name": ({"shop.orders": {"drop": "Catalog"}}, "must be a list of names"),
    "twice": ({"shop.orders": {"A": "a"}, "shop": {"orders": {"A": "a"}}}, "there twice"),
}


@pytest.mark.parametrize(("rules", "message"), BAD.values(), ids=BAD)
def test_bad_rules_are_refused(rules: Any, message: str) -> None:
    """The error names the place, and says what to write."""
    with pytest.raises((TypeError, ValueError), match=message):
        parse_rules(rules)
