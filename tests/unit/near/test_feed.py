"""What is said over a tracked connection: marks, pushes, beats, in every order in which they can come."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mysql_redis_cache.near.feed import Feed, Unsuitable
from mysql_redis_cache.near.roll import CALL, ROLL, Sign
from mysql_redis_cache.near.shelf import Shelf
from mysql_redis_cache.options import Near

MASTER = {b"role": b"master"}
OPTIONS = Near(ttl=10, heartbeat=3)


def opened(options: Near = OPTIONS, now: float = 0.0) -> tuple[Feed, Shelf]:
    shelf = Shelf(options)
    feed = Feed(shelf, options)
    feed.open(now)
    for reply in (MASTER, b"OK", MASTER):
        feed.replied(reply)
    return feed, shelf


def fetch(feed: Feed, payload: Any = b"[1]", left: Any = 60_000, now: float = 0.0) -> None:
    feed.fetch([b"key"], now)
    feed.replied(left)
    feed.replied(payload)


def push(feed: Feed, *keys: bytes) -> None:
    feed.pushed([b"invalidate", list(keys)])


def test_an_entry_is_asked_for_with_its_age() -> None:
    """Both in one round trip, and once however many want it."""
    feed, _ = opened()

    assert feed.fetch([b"key", b"key"], 0.0) == [(b"PTTL", b"key"), (b"GET", b"key")]
    assert feed.fetch([b"key"], 0.0) == []


def test_an_entry_is_kept_for_its_life_and_no_longer_than_redis_does() -> None:
    """Counted from before it was asked for."""
    feed, shelf = opened(Near(ttl=10, heartbeat=100))
    fetch(feed, left=60_000, now=1.0)
    assert shelf.get(b"key", 10.9)
    assert shelf.get(b"key", 11.0) is None

    fetch(feed, left=2_000, now=20.0)
    found = shelf.get(b"key", 21.9)
    assert found is not None
    assert found.ends == 22.0
    assert shelf.get(b"key", 22.0) is None


@pytest.mark.parametrize(
    ("left", "payload"),
    [
        (-2, None),
        (-2, b"[1]"),
        (60_000, None),
        (60_000, b"[]"),
        (60_000, b"null"),
        (60_000, ValueError("WRONGTYPE")),
        (ValueError("NOPERM"), b"[1]"),
        (0, b"[1]"),
    ],
)
def test_what_is_absent_or_refused_is_not_kept(left: Any, payload: Any) -> None:
    """Nor is an answer without rows: the next insert makes it wrong."""
    feed, shelf = opened()
    fetch(feed, payload, left)

    assert shelf.get(b"key", 0.0) is None


def test_an_entry_without_an_end_lives_for_the_ttl() -> None:
    """Whoever wrote it gave it none."""
    feed, shelf = opened(Near(ttl=10, heartbeat=100))
    fetch(feed, left=-1)

    assert shelf.get(b"key", 9.9)
    assert shelf.get(b"key", 10.0) is None


STRICT = Near(ttl=10, heartbeat=3, strict=True)
SIGNED: tuple[Any, ...] = (None, 1, MASTER)


def sign_of(commands: Any) -> Sign:
    """Return the sign before a beat, which goes in this order."""
    (get, call), (hset, roll, name, sign), hello = commands
    assert (get, call, hset, roll, name, hello) == (b"GET", CALL, b"HSET", ROLL, b"me", (b"HELLO", b"3"))
    read = Sign.of(sign)
    assert read is not None
    return read


def about(policy: str = "volatile-ttl", most: int = 1 << 20) -> bytes:
    """Return what Redis says of its memory."""
    return f"# Memory\r\nmaxmemory:{most}\r\nmaxmemory_policy:{policy}\r\n".encode()


def strict() -> Feed:
    feed = Feed(Shelf(STRICT), STRICT, b"me")
    assert feed.open(0.0, b"before")[2:4] == [(b"INFO", b"memory"), (b"HDEL", ROLL, b"before")]
    for reply in (MASTER, b"OK", about(), 1, *SIGNED):
        feed.replied(reply)
    return feed


def test_a_strict_one_signs_before_each_beat() -> None:
    """How many there were, up to which all is known, and for how long it vouches."""
    feed = strict()
    assert sign_of(feed.beat(1.0)) == (2, 1, 3000)
    assert sign_of(feed.beat(1.0)) == (3, 1, 3000)
    for reply in SIGNED * 2:
        feed.replied(reply)

    assert sign_of(feed.beat(2.0)) == (4, 3, 3000)


def test_who_is_called_beats_twice_at_once() -> None:
    """Once behind what the caller waits for, and once to tell that this was answered."""
    feed = strict()
    feed.beat(1.0)  # which may have been there before the call
    push(feed, CALL, b"key")
    assert feed.next_beat() == 2.0
    for _ in range(2):
        for reply in SIGNED:
            feed.replied(reply)
        assert feed.next_beat() < 1.0
        feed.beat(1.0)
    for reply in SIGNED:
        feed.replied(reply)

    assert feed.next_beat() == 2.0


@pytest.mark.parametrize("reply", [ValueError("OOM"), b"QUEUED"])
def test_a_sign_that_is_refused_ends_it(reply: Any) -> None:
    """Nobody would wait for it."""
    feed = strict()
    feed.beat(1.0)
    feed.replied(None)
    with pytest.raises(Unsuitable, match="writing mrc:near was answered by"):
        feed.replied(reply)


def test_a_call_that_is_refused_ends_it_too() -> None:
    """It would not hear that somebody waits."""
    feed = strict()
    feed.beat(1.0)
    with pytest.raises(Unsuitable, match="GET mrc:near:call was answered by NOPERM"):
        feed.replied(ValueError("NOPERM"))


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
def test_a_server_that_may_evict_the_roll_is_refused(policy: str) -> None:
    """A drop that finds no roll takes it that nobody is there."""
    feed = Feed(Shelf(STRICT), STRICT, b"me")
    feed.open(0.0)
    feed.replied(MASTER)
    feed.replied(b"OK")
    with pytest.raises(Unsuitable, match=f"{policy} Redis may evict the roll .* set maxmemory-policy"):
        feed.replied(about(policy))


@pytest.mark.parametrize(
    "reply", [about("noeviction"), about("allkeys-lru", 0), b"# Memory", ValueError("NOPERM")]
)
def test_a_server_that_keeps_the_roll_or_does_not_tell_is_taken(reply: Any) -> None:
    """Nothing is evicted where there is no bound, whatever the policy."""
    feed = Feed(Shelf(STRICT), STRICT, b"me")
    feed.open(0.0)
    for each in (MASTER, b"OK", reply, *SIGNED):
        feed.replied(each)

    assert feed.voucher.until > 0


def test_who_is_not_strict_does_not_ask() -> None:
    """There is no roll to lose."""
    assert (b"INFO", b"memory") not in Feed(Shelf(OPTIONS), OPTIONS, b"me").open(0.0)


@pytest.mark.parametrize("when", ["before both replies", "between the replies", "after both"])
def test_a_push_makes_a_fetch_void_whenever_it_comes(when: str) -> None:
    """What the reply holds may be what was there before."""
    feed, shelf = opened()
    feed.fetch([b"key"], 0.0)
    if when == "before both replies":
        push(feed, b"key")
    feed.replied(60_000)
    if when == "between the replies":
        push(feed, b"key")
    feed.replied(b"[1]")
    if when == "after both":
        assert shelf.get(b"key", 0.0)
        push(feed, b"other", b"key")

    assert shelf.get(b"key", 0.0) is None


def test_a_fetch_begun_after_the_push_is_kept() -> None:
    """The answer to the one before it is not."""
    feed, shelf = opened()
    feed.fetch([b"key"], 0.0)
    push(feed, b"key")
    assert feed.fetch([b"key"], 0.0)
    feed.replied(60_000)
    feed.replied(b"[1]")
    assert shelf.get(b"key", 0.0) is None
    feed.replied(60_000)
    feed.replied(b"[2]")

    found = shelf.get(b"key", 0.0)
    assert found is not None
    assert found.payload == b"[2]"


def test_a_flush_empties_everything() -> None:
    """Redis names no keys then."""
    feed, shelf = opened()
    fetch(feed)
    feed.fetch([b"on its way"], 0.0)
    feed.pushed([b"invalidate", None])
    feed.replied(60_000)
    feed.replied(b"[1]")

    assert len(shelf) == 0


def test_nothing_is_served_before_the_first_beat_is_answered() -> None:
    """Nor is anything fetched lost by that."""
    shelf = Shelf(OPTIONS)
    feed = Feed(shelf, OPTIONS)
    feed.open(0.0)
    feed.fetch([b"key"], 0.0)
    feed.replied(MASTER)
    feed.replied(b"OK")
    assert feed.voucher.until < 0
    feed.replied(MASTER)
    feed.replied(60_000)
    feed.replied(b"[1]")

    assert shelf.get(b"key", 2.9)


def test_an_answered_beat_vouches_from_when_it_was_sent() -> None:
    """Not from when its answer came: what changed in between may still be on its way."""
    feed, shelf = opened()
    fetch(feed)
    feed.beat(2.0)
    feed.replied(MASTER)

    assert shelf.get(b"key", 4.9)
    assert shelf.get(b"key", 5.0) is None


def test_a_beat_without_an_answer_is_silence() -> None:
    """After as long as one vouches."""
    feed, _ = opened()
    assert feed.next_beat() == 1.0
    feed.beat(1.0)

    assert not feed.is_silent(4.0)
    assert feed.is_silent(4.1)


def test_who_waits_for_a_beat_hears_of_its_answer_or_of_the_end() -> None:
    """And of nothing else."""
    feed, _ = opened()
    heard: list[str] = []
    feed.beat(0.0, [lambda: heard.append("first")])
    feed.beat(0.0, [lambda: heard.append("second")])
    assert heard == []
    feed.replied(MASTER)
    assert heard == ["first"]
    feed.end()
    assert heard == ["first", "second"]


def test_after_the_end_nothing_is_served() -> None:
    """Whatever is still on its way."""
    feed, shelf = opened()
    fetch(feed)
    feed.fetch([b"other"], 0.0)
    feed.beat(0.0)
    feed.end()
    for reply in (60_000, b"[1]", MASTER):
        feed.replied(reply)

    assert shelf.get(b"key", 0.0) is None
    assert shelf.get(b"other", 0.0) is None


@pytest.mark.parametrize(
    "replies",
    [
        ({b"role": b"replica"},),
        (ValueError("ERR unknown command"),),
        (MASTER, ValueError("NOPERM")),
        (MASTER, b"OK", {b"role": b"slave"}),
        (MASTER, b"OK", MASTER, b"too many"),
    ],
)
def test_a_server_that_cannot_keep_its_word_is_refused(replies: tuple[Any, ...]) -> None:
    """A replica, one without RESP3, an account without the right, a stream out of step."""
    feed = Feed(Shelf(OPTIONS), OPTIONS)
    feed.open(0.0)
    *well, last = replies
    for reply in well:
        feed.replied(reply)
    with pytest.raises(Unsuitable):
        feed.replied(last)


def test_a_key_of_another_node_is_noticed() -> None:
    """The layout has to be asked for anew."""
    feed, _ = opened()
    fetch(feed, ValueError("MOVED 1234 127.0.0.1:7000"), ValueError("MOVED 1234 127.0.0.1:7000"))

    assert feed.has_moved


def test_other_pushes_are_nothing_to_it() -> None:
    """Such as those of pub/sub."""
    feed, shelf = opened()
    fetch(feed)
    feed.pushed([b"message", b"channel", b"key"])

    assert shelf.get(b"key", 0.0)


class Feeds(RuleBasedStateMachine):
    """A server with one tracked connection, whatever interleaves with what is said and heard over it.

    What is served is no older than what was there one heartbeat ago, and never older than a drop or write
    here that has returned: a drop changes the entry, asks for a beat and returns when that is answered; a
    write changes it, forgets it here and returns.
    """

    def __init__(self) -> None:
        super().__init__()
        self.feed, self.shelf = opened(Near(ttl=1000, heartbeat=3))
        self.now = 0.0
        self.version = self.promised = 0
        self.history = [(0.0, 0)]
        self.is_tracked = False
        self.said: deque[tuple[bytes, ...]] = deque()
        self.stream: deque[tuple[str, Any]] = deque()  # in the order in which the server did what it tells of

    @rule()
    def change(self) -> None:
        self._changed()

    def _changed(self) -> int:
        self.version += 1
        self.history.append((self.now, self.version))
        if self.is_tracked:
            self.stream.append(("push", [b"invalidate", [b"key"]]))
        self.is_tracked = False
        return self.version

    @rule()
    def drop(self) -> None:
        version = self._changed()
        self.said += self.feed.beat(self.now, [lambda: self.promise(version)])

    @rule()
    def write(self) -> None:
        version = self._changed()
        self.feed.forget(b"key")
        self.promise(version)

    def promise(self, version: int) -> None:
        self.promised = max(self.promised, version)

    @rule()
    def fetch(self) -> None:
        self.said += self.feed.fetch([b"key"], self.now)

    @rule()
    def beat(self) -> None:
        self.said += self.feed.beat(self.now)

    @precondition(lambda self: self.said)
    @rule(count=st.integers(1, 4))
    def do(self, count: int) -> None:
        answers: dict[bytes, Any] = {b"HELLO": MASTER, b"PTTL": 60_000, b"GET": b"%d" % self.version}
        for _ in range(min(count, len(self.said))):
            command, *_ = self.said.popleft()
            self.is_tracked = self.is_tracked or command in {b"PTTL", b"GET"}
            self.stream.append(("reply", answers[command]))

    @precondition(lambda self: self.stream)
    @rule(count=st.integers(1, 4))
    def hear(self, count: int) -> None:
        for _ in range(min(count, len(self.stream))):
            kind, said = self.stream.popleft()
            (self.feed.pushed if kind == "push" else self.feed.replied)(said)
            self.serves_nothing_too_old()

    @rule()
    def tick(self) -> None:
        self.now += 0.5

    @invariant()
    def is_right(self) -> None:
        self.serves_nothing_too_old()

    def serves_nothing_too_old(self) -> None:
        found = self.shelf.get(b"key", self.now)
        if found is not None:
            before = [version for at, version in self.history if at <= self.now - 3]
            assert int(found.payload) >= max([self.promised, *before])


TestFeeds = Feeds.TestCase
TestFeeds.settings = settings(max_examples=200, stateful_step_count=40)
