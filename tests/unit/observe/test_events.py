"""Events: who hears what, and that nobody is harmed by it."""

from __future__ import annotations

from threading import Thread
from typing import Any

import pytest

from mysql_redis_cache.observe import Drop, Event, Events, Hit, Miss, RedisUp


def hit(**about: Any) -> Hit:
    return Hit(read=1, query="SELECT 1", digest="0" * 40, names=("UserId",), **about)


def test_a_hook_hears_what_it_subscribed_to() -> None:
    """Everything, or some kinds; until it unsubscribes."""
    events = Events()
    everything: list[Event] = []
    drops: list[Event] = []
    end = events.subscribe(everything.append)
    events.subscribe(drops.append, [Drop])

    events.publish(hit())
    events.publish(drop := Drop(names=("UserId",), entries=1, seconds=0.1))
    end()
    end()
    events.publish(RedisUp())

    assert [type(each) for each in everything] == [Hit, Drop]
    assert drops == [drop]
    assert events.hears(Drop)
    assert not events.hears(Miss)


def test_keys_are_told_to_those_who_ask_for_them() -> None:
    """They have values of params in front."""
    events = Events()
    heard: list[Any] = []
    events.subscribe(heard.append)
    events.subscribe(heard.append, keys=True)

    events.publish(hit(), "UserId=7_" + "0" * 40)

    assert [each.key for each in heard] == [None, "UserId=7_" + "0" * 40]


def test_a_hook_that_raises_is_logged_once_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """Neither the call nor the hooks after it."""
    events = Events()
    heard: list[Event] = []

    def fail(event: Event) -> None:
        raise LookupError("the hook's own trouble")

    events.subscribe(fail)
    events.subscribe(heard.append)
    events.publish(RedisUp())
    events.publish(RedisUp())

    assert len(heard) == 2
    assert len([each for each in caplog.records if "hook" in each.getMessage()]) == 1
    assert "the hook's own trouble" in caplog.text


@pytest.mark.parametrize(
    ("hook", "kinds"),
    [(None, None), (print, Hit), (print, [Hit, int]), (print, ["Hit"])],
)
def test_bad_subscriptions_are_refused(hook: Any, kinds: Any) -> None:
    """At once, not with the first event."""
    with pytest.raises(TypeError, match="must"):
        Events().subscribe(hook, kinds)


class _Interrupted(Events):
    """One thread subscribes while another is about to."""

    def __init__(self) -> None:
        super().__init__()
        self.others: list[Thread] = []

    def _hear(self, subscriptions: tuple[Any, ...]) -> None:
        if not self.others:
            other = Thread(target=self.subscribe, args=(print,))
            self.others.append(other)
            other.start()
            other.join(0.2)  # it is over by then, or waits
        super()._hear(subscriptions)


def test_threads_may_subscribe_at_one_time() -> None:
    """Both are heard."""
    events = _Interrupted()
    events.subscribe(repr)
    events.others[0].join(10)

    assert {each.hook for each in events.heard} == {repr, print}


def test_a_hook_may_end_its_own_subscription() -> None:
    """Those after it hear the event all the same."""
    events = Events()
    heard: list[Event] = []
    ends: list[Any] = []
    ends.append(events.subscribe(lambda _: ends[0]()))
    events.subscribe(heard.append)
    events.publish(RedisUp())
    events.publish(RedisUp())

    assert (len(heard), len(events.heard)) == (2, 1)


def test_each_subscription_is_complained_of(caplog: pytest.LogCaptureFixture) -> None:
    """One that takes the place of another that ended, too."""
    events = Events()

    def fail(event: Event) -> None:
        raise LookupError

    for _ in range(2):
        end = events.subscribe(fail)
        events.publish(RedisUp())
        events.publish(RedisUp())
        end()

    assert len(caplog.records) == 2
