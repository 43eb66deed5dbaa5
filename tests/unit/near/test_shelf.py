"""What is kept in this process: bounds, who goes, and what is served when."""

from __future__ import annotations

import math
import threading

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from mysql_redis_cache.near.shelf import LARGEST, OVERHEAD, SEEN, Kept, Shelf, Voucher
from mysql_redis_cache.options import Near

ROOM = 10 * (OVERHEAD + 10)


def shelf(max_bytes: int = 1 << 20, max_entries: int = 1000) -> Shelf:
    return Shelf(Near(max_bytes=max_bytes, max_entries=max_entries))


def voucher(until: float = math.inf) -> Voucher:
    made = Voucher()
    made.until = until
    return made


def kept(payload: bytes = b"[1]", until: float = 100.0, by: Voucher | None = None) -> Kept:
    return Kept(payload, until, math.inf, by or voucher())


def test_an_entry_is_served_until_it_is_over() -> None:
    """And at that moment no more."""
    entries = shelf()
    entries.put(b"key", kept(until=100.0))

    found = entries.get(b"key", 99.9)
    assert found is not None
    assert found.payload == b"[1]"
    assert entries.get(b"key", 100.0) is None
    assert entries.get(b"other", 0.0) is None


def test_an_entry_is_served_while_somebody_vouches_for_it() -> None:
    """The connection that would tell of its change must be known to live."""
    by = voucher(until=10.0)
    entries = shelf()
    entries.put(b"key", kept(by=by))

    assert entries.get(b"key", 9.9)
    assert entries.get(b"key", 10.0) is None
    by.until = 20.0
    assert entries.get(b"key", 10.0)


def test_what_is_hit_stays_and_the_rest_goes() -> None:
    """However much else comes along."""
    entries = shelf(max_entries=10)
    entries.put(b"hit", kept())
    entries.put(b"idle", kept())
    for number in range(50):
        assert entries.get(b"hit", 0.0)
        entries.put(b"%d" % number, kept())

    assert entries.get(b"hit", 0.0)
    assert entries.get(b"idle", 0.0) is None
    assert len(entries) == 10
    assert entries.evictions == 42


def test_all_hit_and_one_goes() -> None:
    """The hand goes around once, and no further."""
    entries = shelf(max_entries=3)
    for number in range(3):
        entries.put(b"%d" % number, kept())
        entries.get(b"%d" % number, 0.0)
    entries.put(b"new", kept())

    assert len(entries) == 3
    assert entries.get(b"new", 0.0)
    assert entries.get(b"0", 0.0) is None


def test_a_large_entry_is_not_kept_nor_fetched() -> None:
    """It would push out too many others; the one that it replaces is gone all the same."""
    entries = shelf(max_bytes=80_000)
    entries.put(b"key", kept(b"x"))
    large = b"x" * (80_000 // LARGEST)

    assert not entries.admits(b"key", len(large))
    entries.put(b"key", kept(large))
    assert entries.get(b"key", 0.0) is None
    assert entries.size == 0


def test_a_key_is_fetched_when_it_is_seen_again() -> None:
    """What is read once is not worth a fetch; what was kept, or was outdated by a push, is at once."""
    entries = shelf()

    assert not entries.admits(b"key", 10)
    assert entries.admits(b"key", 10)
    entries.put(b"kept", kept(until=0.0))
    assert entries.admits(b"kept", 10)
    entries.discard(b"kept")
    assert entries.admits(b"kept", 10)


def test_the_keys_seen_once_are_bounded() -> None:
    """A walk over a million keys leaves no million behind."""
    entries = shelf()
    for number in range(3 * SEEN):
        entries.admits(b"%d" % number, 10)

    assert len(entries._seen) <= SEEN


def test_what_came_over_one_connection_goes_alone() -> None:
    """The entries of other servers stay."""
    mine, other = voucher(), voucher()
    entries = shelf()
    entries.put(b"mine", kept(by=mine))
    entries.put(b"other", kept(by=other))
    entries.take_out_all_of(mine)

    assert entries.get(b"mine", 0.0) is None
    assert entries.get(b"other", 0.0)


def test_hits_need_nobody_to_wait() -> None:
    """Many threads read while one puts and takes out, and none meets an error or another's payload."""
    entries, failures, over = shelf(max_entries=50), [], threading.Event()
    names = [b"%d" % number for number in range(100)]

    def read() -> None:
        while not over.is_set():
            for name in names:
                found = entries.get(name, 0.0)
                if found is not None and found.payload != name:
                    failures.append(name)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for turn in range(3000):
        entries.put(names[turn % 100], kept(names[turn % 100]))
        entries.discard(names[(turn * 7) % 100])
    over.set()
    for thread in threads:
        thread.join(10)
    assert failures == []


class Shelves(RuleBasedStateMachine):
    """A shelf beside a plain dictionary that knows every payload ever put last under a key."""

    keys = Bundle("keys")

    def __init__(self) -> None:
        super().__init__()
        self.shelf = shelf(max_bytes=ROOM * LARGEST, max_entries=8)
        self.last: dict[bytes, Kept] = {}
        self.vouchers = [voucher(), voucher()]

    @rule(target=keys, key=st.binary(max_size=3))
    def name(self, key: bytes) -> bytes:
        return key

    @rule(key=keys, size=st.integers(0, 2 * ROOM), until=st.floats(0, 10), by=st.integers(0, 1))
    def put(self, key: bytes, size: int, until: float, by: int) -> None:
        entry = kept(b"x" * size, until, self.vouchers[by])
        self.shelf.put(key, entry)
        self.last[key] = entry

    @rule(key=keys)
    def discard(self, key: bytes) -> None:
        self.shelf.discard(key)
        self.last.pop(key, None)

    @rule(by=st.integers(0, 1))
    def lose(self, by: int) -> None:
        lost, self.vouchers[by] = self.vouchers[by], voucher()
        lost.until = -math.inf
        self.shelf.take_out_all_of(lost)
        self.last = {key: entry for key, entry in self.last.items() if entry.voucher is not lost}

    @rule()
    def clear(self) -> None:
        self.shelf.clear()
        self.last.clear()

    @rule(key=keys, now=st.floats(0, 10))
    def get(self, key: bytes, now: float) -> None:
        found = self.shelf.get(key, now)
        assert found is None or (found is self.last.get(key) and found.until > now)

    @invariant()
    def is_within_bounds(self) -> None:
        sizes = [len(key) + len(entry.payload) + OVERHEAD for key, entry in self.shelf._kept.items()]
        assert self.shelf.size == sum(sizes) <= ROOM * LARGEST
        assert len(self.shelf) <= 8


TestShelves = Shelves.TestCase
