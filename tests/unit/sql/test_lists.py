"""From the query for a list to the query for one of its values."""

from __future__ import annotations

import pytest

from mysql_redis_cache.sql import Single, single_of


@pytest.mark.parametrize(
    ("text", "single"),
    [
        ("SELECT id FROM u WHERE id IN (?)", "SELECT id FROM u WHERE id = ?"),
        ("SELECT id FROM u WHERE id in( ? ) ORDER BY x", "SELECT id FROM u WHERE id = ? ORDER BY x"),
        ("SELECT id FROM u WHERE id\nIN\n(?)\nAND ok", "SELECT id FROM u WHERE id\n= ?\nAND ok"),
        ("SELECT id FROM u WHERE id IN (%s)", "SELECT id FROM u WHERE id = %s"),
        ("SELECT id FROM u WHERE id IN %s", "SELECT id FROM u WHERE id = %s"),
        ("SELECT '?' FROM u WHERE `in (` = 1 AND id IN (?)", "SELECT '?' FROM u WHERE `in (` = 1 AND id = ?"),
        ("SELECT id FROM u WHERE id IN (?) -- ?", "SELECT id FROM u WHERE id = ? -- ?"),
        (
            "SELECT id, (SELECT COUNT(*) FROM o WHERE o.u = u.id LIMIT 1) FROM u WHERE id IN (?)",
            "SELECT id, (SELECT COUNT(*) FROM o WHERE o.u = u.id LIMIT 1) FROM u WHERE id = ?",
        ),
        (
            "SELECT id, COUNT(*) FROM o WHERE id IN (?) GROUP BY id",
            "SELECT id, COUNT(*) FROM o WHERE id = ? GROUP BY id",
        ),
        ("SELECT id, `limit`, count FROM u WHERE id IN (?)", "SELECT id, `limit`, count FROM u WHERE id = ?"),
    ],
)
def test_the_list_becomes_an_equality(text: str, single: str) -> None:
    """``= ?`` stands in the place of ``IN (?)``, and nothing else changes."""
    assert single_of(text) == Single(single, None)


@pytest.mark.parametrize("form", [":UserId", "%(UserId)s"])
def test_a_name_goes_along(form: str) -> None:
    """So that the single read is the one that people write by name."""
    text = f"SELECT id FROM u WHERE id IN ({form})"
    assert single_of(text) == Single(f"SELECT id FROM u WHERE id = {form}", "UserId")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT 1", "one placeholder, as in IN .*, and this one has 0"),
        ("SELECT id FROM u WHERE a = ? AND id IN (?)", "and this one has 2"),
        ("SELECT id FROM ?? WHERE id IN (1)", "one placeholder"),
        ("SELECT id FROM u WHERE id = ?", "must stand in IN"),
        ("SELECT id FROM u WHERE id IN (?, 3)", "must stand in IN"),
        ("SELECT id FROM u WHERE id IN (3, ?)", "must stand in IN"),
        ("SELECT id FROM u WHERE id IN ?", "must stand in IN"),
        ("SELECT id FROM u WHERE u.in (?)", "must stand in IN"),
        ("SELECT id FROM u WHERE id not  in (?)", "NOT IN"),
        ("SELECT id FROM u WHERE id IN (?) LIMIT 5", "LIMIT counts over the rows of all values"),
        ("SELECT * FROM (SELECT id FROM u WHERE id IN (?)) t LIMIT 3", "LIMIT counts"),
        ("SELECT id, RANK() OVER (ORDER BY x) FROM u WHERE id IN (?)", "OVER counts"),
        ("SELECT id, COUNT(*) FROM u WHERE id IN (?)", r"COUNT\(\) without GROUP BY"),
        ("SELECT MAX(id) FROM (SELECT id FROM u WHERE id IN (?)) t", r"MAX\(\) without GROUP BY"),
    ],
)
def test_what_depends_on_the_other_values_is_refused(text: str, message: str) -> None:
    """Its rows would be cached as what each value gives alone."""
    with pytest.raises(ValueError, match=message):
        single_of(text)


def test_long_texts() -> None:
    """Are not kept, and come out the same."""
    comment = "/*" + "x" * 10_000 + "*/"
    assert single_of(f"{comment} SELECT id FROM u WHERE id IN (?)").text.endswith("WHERE id = ?")
    with pytest.raises(TypeError, match="must be a str"):
        single_of(b"SELECT")  # type: ignore[arg-type]
