"""The watch of a client: what it counts, and who is told that there is one."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING, ClassVar
from weakref import WeakSet

from mysql_redis_cache.errors import DropTimeout
from mysql_redis_cache.observe import Stats, Watch, on_each
from mysql_redis_cache.observe import watch as watching
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pytest


class Owner:
    """Somebody whose figures are read off."""

    def gauges(self) -> Mapping[str, int]:
        return {"pool_size": 3}


def test_figures_are_read_off_while_their_owner_lives() -> None:
    """Counts stay when it is gone."""
    watch, owner = Watch("web"), Owner()
    watch.read_off(owner.gauges)
    watch.hit("SELECT 1")
    assert (watch.stats().pool_size, watch.stats().hits) == (3, 1)
    del owner

    assert (watch.stats().pool_size, watch.stats().hits) == (0, 1)


def test_what_went_well_is_the_rest() -> None:
    """Failures are counted among the loads, and drops that took too long among those that failed."""
    watch = Watch()
    for size in (5, None, 7):
        watch.loaded("SELECT 1", 0.5, size)
    for error in (None, DropTimeout(1.0, "counting", 2), ConnectionError()):
        watch.dropped((), 0, 0.1, error)

    stats = watch.stats()

    assert (stats.loads, stats.load_failures, stats.load_seconds) == (3, 1, 1.5)
    assert (stats.drops, stats.drop_failures, stats.drop_timeouts) == (1, 2, 1)


def test_whoever_wants_all_is_told_of_each() -> None:
    """Those there are and those made later, until it ends; it may end twice."""
    told: list[Watch] = []
    before = Watch("before")
    end = on_each(told.append)
    later = Watch("later")
    end()
    end()
    after = Watch("after")

    assert before in told
    assert told[-1] is later
    assert after not in told
    assert Stats() == before.stats()


class _Growing(WeakSet[Watch]):
    """A thread makes a client while somebody goes through all there are."""

    made: ClassVar[list[Watch]] = []

    def __iter__(self) -> Iterator[Watch]:
        yield from super().__iter__()
        if not self.made:
            maker = Thread(target=lambda: self.made.append(Watch("meanwhile")))
            maker.start()
            maker.join(0.2)  # it is over by then, or waits


def test_one_that_is_made_meanwhile_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever wants to know of all may begin while threads make clients."""
    everybody = watching._Everybody()
    monkeypatch.setattr(watching, "_everybody", everybody)
    monkeypatch.setattr(everybody, "_watches", _Growing([before := Watch("before")]))
    told: list[str] = []
    on_each(lambda watch: told.append(watch.name))

    assert wait_until(lambda: len(told) > 1)
    assert (before.name, sorted(told)) == ("before", ["before", "meanwhile"])
