"""What is kept by key, within so many bytes."""

from __future__ import annotations

import random
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysql_redis_cache.runtime.kept import Kept


def kept(most: int) -> Kept[str, str]:
    return Kept(most, lambda key, value: len(key) + len(value))


def bytes_of(values: Kept[str, str]) -> int:
    both = {**values._old, **values}
    return sum(len(key) + len(value) for key, value in both.items())


def test_what_was_kept_is_found() -> None:
    """As in a dict; what was not is a ``KeyError``."""
    values = kept(100)

    assert values.keep("a", "1") == "1"
    assert values["a"] == "1"
    with pytest.raises(KeyError):
        values["b"]


def test_what_is_asked_for_stays_and_the_rest_goes() -> None:
    """However much else comes along; what nobody asks for is forgotten."""
    values = kept(100)
    values.keep("used", "1")
    values.keep("idle", "2")
    for number in range(100):
        values.keep(str(number), "x" * 10)
        assert values["used"] == "1"

    with pytest.raises(KeyError):
        values["idle"]


def test_what_would_be_a_generation_by_itself_is_handed_back_only() -> None:
    """It would push out all that recurs."""
    values = kept(100)
    values.keep("a", "1")

    assert values.keep("large", "x" * 60) == "x" * 60
    assert values["a"] == "1"
    assert "large" not in values


@given(
    st.lists(st.tuples(st.text("abc", min_size=1, max_size=3), st.integers(0, 60)), max_size=60),
    st.integers(0, 120),
)
def test_never_more_than_so_many_bytes(steps: list[tuple[str, int]], most: int) -> None:
    """Whatever is asked for and kept; and what is found is what was kept last."""
    values, last = kept(most), {}
    for key, size in steps:
        try:
            assert values[key] == last[key]
        except KeyError:
            last[key] = values.keep(key, "x" * size)
        assert bytes_of(values) <= most


def test_threads_never_get_another_s_value() -> None:
    """They may forget too early when they meet, and that is all."""
    values, wrong = kept(2000), []

    def ask() -> None:
        for _ in range(3000):
            key = str(random.randrange(300))
            try:
                found = values[key]
            except KeyError:
                found = values.keep(key, key * 3)
            if found != key * 3:
                wrong.append(key)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert bytes_of(values) <= 2 * 2000
