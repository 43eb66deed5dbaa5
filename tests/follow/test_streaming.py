"""Changes that Debezium Server writes to Redis streams: dropped by the same rules, then acknowledged."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from mysql_redis_cache import CacheUnavailable
from mysql_redis_cache.follow import CannotFollow, Follower, StreamFollower, streaming
from mysql_redis_cache.store.streams import Streams
from tests.support.debezium import Sink, definition, envelope
from tests.support.following import Cached, following, rules_for
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

pytestmark = pytest.mark.real

GROUP = "mrc-follow:default"
NEVER = "11111111-1111-1111-1111-111111111111:7"


class Changed:
    """A table whose changes go to its stream, as Debezium would have them go there."""

    def __init__(self, cached: Cached, client: redis.Redis, redis_url: str) -> None:
        self.cached, self.client = cached, client
        self.sink = Sink(client)
        self.table = (cached.server.schema, "t")
        self.stream = f"shopdb.{self.table[0]}.t"
        self.url = redis_url.replace("redis://", "redis-stream://") + "/shopdb"
        self.arguments = (self.url, cached.server.url, redis_url, rules_for(self.table[0], {"t": {"k": "k"}}))

    def update(self, key: int, value: int, gtid: str | None = None) -> bytes:
        """Change a row, and tell of it; return the ID."""
        done = self.cached.client.execute("UPDATE t SET v = ? WHERE k = ?", [value, key]).gtid
        row = {"id": key, "k": key}
        before, after = {**row, "v": value - 1}, {**row, "v": value}
        return self.sink.add(self.table, envelope(self.table, "u", before, after, gtid or done))

    @contextmanager
    def followed(self, **options: Any) -> Iterator[Follower]:
        with following(*self.arguments, kind=StreamFollower, **options) as follower:
            yield follower

    @property
    def pending(self) -> int:
        """How many events were read and not acknowledged."""
        return int(self.client.xpending(self.stream, GROUP)["pending"])


@pytest.fixture
def changed(cached: Cached, redis_client: redis.Redis, redis_url: str) -> Changed:
    """A table with two rows, and rules for one of its columns."""
    cached.server.run(
        "CREATE TABLE t (id INT PRIMARY KEY, k INT, v INT)", "INSERT INTO t VALUES (1, 1, 0), (2, 2, 0)"
    )
    return Changed(cached, redis_client, redis_url)


@pytest.mark.parametrize("extended", [False, True])
def test_changes_are_dropped_and_then_acknowledged(changed: Changed, extended: bool) -> None:
    """In both message formats; entries of other rows stay."""
    changed.sink.extended = extended
    with changed.followed() as follower:
        for value in range(1, 4):
            changed.cached.read("t", k=1)
            changed.cached.read("t", k=2)
            changed.update(1, value)
            changed.cached.wait_gone("t", k=1)
            assert changed.cached.is_cached("t", k=2)
        assert wait_until(lambda: changed.pending == 0)
        stats = follower.stats()
        assert (stats["wide"], stats["afresh"], stats["transactions"]) == (0, 1, 3)
    assert changed.client.xinfo_groups(changed.stream)[0]["last-delivered-id"] > b"0"


def test_the_first_start_drops_everything_and_reads_the_last_minute(
    changed: Changed, caplog: pytest.LogCaptureFixture
) -> None:
    """What was written just before may not have been visible then."""
    changed.update(2, 1)
    changed.cached.read("t", k=1)
    with changed.followed() as follower:
        assert not changed.cached.is_cached("t", k=1)
        assert follower.stats()["transactions"] == 1
    assert "no position is known: all entries of k are dropped" in caplog.text


def test_what_came_meanwhile_is_dropped_exactly(changed: Changed) -> None:
    """The next follower goes on where the one before has ended."""
    with changed.followed():
        pass
    changed.cached.read("t", k=1)
    changed.cached.read("t", k=2)
    changed.update(1, 1)
    with changed.followed() as follower:
        assert not changed.cached.is_cached("t", k=1)
        assert changed.cached.is_cached("t", k=2)
        assert follower.stats()["afresh"] == 0


def test_what_was_read_and_not_dropped_is_read_again(
    changed: Changed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A follower that ended before its drop was done leaves its events to the next."""

    def fail(*_: object) -> int:
        raise CacheUnavailable("the drop cannot be done")

    with changed.followed():
        pass
    changed.cached.read("t", k=1)
    with monkeypatch.context() as patched:
        patched.setattr(Follower, "_drop", fail)
        with changed.followed(level=False) as first:
            changed.update(1, 1)
            assert wait_until(lambda: first.stats()["retries"])
    assert changed.pending == 1
    assert changed.cached.is_cached("t", k=1)
    with changed.followed() as second:
        changed.cached.wait_gone("t", k=1)
        assert second.stats()["afresh"] == 0
        assert wait_until(lambda: changed.pending == 0)


def test_what_a_deposed_leader_has_read_is_read_again(
    changed: Changed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have ended with it, after another had taken over and looked at what was left."""
    read, lost = Streams.read, list[Any]()

    def lose(streams: Streams, *, again: bool) -> Any:
        entries = read(streams, again=again)
        if not entries or lost:
            return entries
        lost.append(entries)
        return []

    monkeypatch.setattr(streaming, "_LOOK_EVERY", 0.3)
    monkeypatch.setattr(Streams, "read", lose)
    with changed.followed() as follower:
        changed.cached.read("t", k=1)
        changed.update(1, 1)
        changed.cached.wait_gone("t", k=1)
        assert lost
        assert follower.stats()["afresh"] == 1


def test_one_leads_and_another_takes_over(changed: Changed) -> None:
    """As with the log itself."""
    with changed.followed(level=False) as first:
        assert wait_until(lambda: first.stats()["leader"])
        with changed.followed(level=False) as second:
            first.stop()
            changed.cached.read("t", k=1)
            changed.update(1, 1)
            changed.cached.wait_gone("t", k=1)
            assert wait_until(lambda: second.stats()["leader"])


def test_what_was_trimmed_unread_drops_everything_once(
    changed: Changed, caplog: pytest.LogCaptureFixture
) -> None:
    """A stream with a bound may lose what nobody has read: then everything may be outdated."""
    with changed.followed():
        changed.update(2, 1)
        assert wait_until(lambda: changed.client.xinfo_groups(changed.stream)[0]["entries-read"] == 1)
    changed.cached.read("t", k=1)
    changed.update(1, 1)
    changed.update(2, 2)
    changed.client.xtrim(changed.stream, maxlen=1, approximate=False)
    with changed.followed() as follower:
        assert not changed.cached.is_cached("t", k=1)
        assert follower.stats()["afresh"] == 1
    assert "were trimmed before they were read" in caplog.text
    with changed.followed() as follower:
        assert follower.stats()["afresh"] == 0


def test_what_was_trimmed_before_it_was_acknowledged_drops_everything(
    changed: Changed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event is known by its number alone."""
    monkeypatch.setattr(Streams, "acknowledge", lambda *_: None)
    with changed.followed() as follower:
        changed.update(2, 1)
        assert wait_until(lambda: follower.stats()["batches"])
    monkeypatch.undo()
    changed.client.xtrim(changed.stream, maxlen=0)
    changed.cached.read("t", k=1)
    with changed.followed() as follower:
        assert not changed.cached.is_cached("t", k=1)
        assert follower.stats()["wide"] == 1


@pytest.mark.parametrize("lost", ["stream", "group", "position", "older position", "delivered"])
def test_a_lost_place_drops_everything(changed: Changed, lost: str) -> None:
    """The stream, the group or our own position are gone or went back, while it runs or while it does not."""

    state, older = "{mrc:follow:default}", b""

    def lose() -> None:
        if lost == "stream":
            changed.client.delete(changed.stream)
        elif lost == "group":
            changed.client.xgroup_destroy(changed.stream, GROUP)
        elif lost == "position":
            changed.client.delete(state)
        elif lost == "older position":
            changed.client.restore(state, 0, older, replace=True)
        else:
            changed.client.xgroup_setid(changed.stream, GROUP, "0-1")

    with changed.followed() as follower:
        older = changed.client.dump(state) or b""
        changed.update(2, 1)
        assert wait_until(lambda: follower.stats()["transactions"] == 1)
        if lost != "delivered":
            changed.cached.read("t", k=1)
            lose()
            changed.update(2, 2)
            changed.cached.wait_gone("t", k=1)
    lose()
    changed.cached.read("t", k=1)
    with changed.followed() as follower:
        assert not changed.cached.is_cached("t", k=1)
        assert follower.stats()["afresh"] == 1


def test_what_is_not_understood_drops_all_names(changed: Changed) -> None:
    """And it goes on."""
    with changed.followed() as follower:
        changed.cached.read("t", k=1)
        changed.sink.add(changed.table, b"{")
        changed.cached.wait_gone("t", k=1)
        assert follower.stats()["wide"] == 1
        changed.cached.read("t", k=1)
        changed.update(1, 1)
        changed.cached.wait_gone("t", k=1)


def test_a_table_that_changed_its_shape_is_followed_on(changed: Changed) -> None:
    """Its names are dropped, and the schema is read again."""
    with changed.followed() as follower:
        changed.cached.read("t", k=2)
        ddl = "ALTER TABLE t MODIFY k VARCHAR(9)"
        gtid = changed.cached.client.execute(ddl).gtid
        changed.sink.add(None, definition(changed.table, ddl, gtid))
        changed.cached.wait_gone("t", k=2)
        changed.cached.read("t", k="1")
        done = changed.cached.client.execute("UPDATE t SET v = 5 WHERE k = '1'").gtid
        fields = {"k": {"type": "string"}}
        value = envelope(changed.table, "u", {"k": "1"}, {"k": "1"}, done, fields=fields)
        changed.sink.add(changed.table, value)
        changed.cached.wait_gone("t", k="1")
        assert follower.stats()["wide"] == 1


def test_a_change_that_never_gets_visible_is_dropped_all_the_same(
    changed: Changed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After a while, with a warning: Debezium may read another server."""
    monkeypatch.setattr(streaming, "_VISIBLE_WITHIN", 0.2)
    with changed.followed():
        changed.cached.read("t", k=1)
        changed.update(1, 1, gtid="77-1-7" if changed.cached.server.is_mariadb else NEVER)
        changed.cached.wait_gone("t", k=1)
    assert "is this the server that Debezium reads?" in caplog.text


def test_a_check_looks_at_the_streams(changed: Changed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are not there are a note; a Redis that is too old is a problem."""
    follower = StreamFollower(*changed.arguments)
    try:
        report = follower.check()
        assert report.is_fine
        assert f"there is no stream shopdb, {changed.stream} yet" in "; ".join(report.notes)
        monkeypatch.setattr(Streams, "knows_counts", lambda _: False)
        with pytest.raises(CannotFollow, match=r"older than 7\.0"):
            follower.run()
    finally:
        follower.close()


@pytest.mark.parametrize(
    ("changes", "rules", "said"),
    [
        ("redis://:s3cret@h:1/0/p", {"a.b": {"K": "k"}}, "changes must be redis-stream://"),
        ("redis-stream://:s3cret@h\u2100:1/0/p", {"a.b": {"K": "k"}}, "changes must be redis-stream://"),
        ("redis-stream://:s3cret@h:1/0", {"a.b": {"K": "k"}}, "topic.prefix"),
        ("redis-stream://:s3cret@h:1/p", {"a.b": {"K": "k"}}, "topic.prefix"),
        ("redis-stream://:s3cret@h:1/0/p", {"table_tags": True}, "table_tags needs the binary log"),
    ],
)
def test_bad_arguments_are_refused(changes: str, rules: dict[str, Any], said: str) -> None:
    """At once, and without the password."""
    with pytest.raises(ValueError, match=said) as raised:
        StreamFollower(changes, "mysql://u@h/", "redis://h", rules)
    assert "s3cret" not in str(raised.value)
