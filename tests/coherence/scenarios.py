"""What the model explores: the protocol as it is, under every trouble it promises to bear, and spoiled.

``python -m tests.coherence.scenarios`` prints the figures of ``docs/explanation/coherence.md``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from mysql_redis_cache.policy import Policy
from mysql_redis_cache.readthrough.many import (
    AcquireMany,
    FillMany,
    GetMany,
    Job,
    JoinNow,
    LoadMany,
    Perform,
    read_rows,
)
from mysql_redis_cache.readthrough.steps import (
    ACQUIRE_ANY,
    GET,
    LOAD,
    Acquire,
    Claim,
    Entry,
    Fill,
    Join,
    Loaded,
    Seal,
    Seat,
    Settle,
)

from .automaton import Failed, Interrupted
from .explore import explore
from .following import Followed
from .model import Reader, Scenario
from .world import LEASE, Rules

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mysql_redis_cache.readthrough.steps import Step, Steps

__all__ = ["DROPPED_ONCE", "ENDING", "LONG", "ONE_LOAD", "ROBBED", "SAFE", "SPOILED", "UNHEALED"]

ALONE = Reader()
NEAR = Reader(0, near=True)
STRICT = Reader(0, near=True, strict=True)
SHARED = Reader(0)  # in one process with others of its kind
ANEW = Reader(kind="refresh")
SHARED_ANEW = Reader(0, "refresh")
PLAIN = Reader(indexed=False)

# drop_query, which knows the names, does no more than a sweep does when it comes by.
SWEEP = ("commit", "meet lease", "cut lease", "meet entry", "cut entry", "return")
INDEX = ("commit", "meet listed", "cut lease", "cut entry", "return")
LOOK_UP = ("commit", "meet listed", "doubt", "cut lease", "cut entry", "return", *SWEEP[1:])
SETTLE = ("begin", "look for leases", "settle")
RIDE = ("commit", "ride", "alight", "return")
NPM_READ = ("npm get", "npm load", "npm fill")
NPM_DROP = ("commit", "meet lease entry", "cut lease entry")
WRITE_THROUGH = ("commit", "put", "return")
# A statement of the block has committed what came before, and a later one fails: the drops run all the same.
ENDED = ("commit", "ended", *SWEEP[1:])
UNDONE = ("ended",)
# In a process with a near cache. Of a drop elsewhere it promises what pushes have told: the same.
SWEEP_NEAR = (*SWEEP[:-1], "beat", "heard", "return")
INDEX_NEAR = (*INDEX[:-1], "beat", "heard", "return")
# In another process than the near cache, which is strict.
SWEEP_STRICT = (*SWEEP[:-1], "read roll", "hear all", "return")
INDEX_STRICT = (*INDEX[:-1], "read roll", "hear all", "return")
ENTRY = ("put",)  # somebody has read it before
OTHER_DROP = ("read roll", "hear all")
ONE_AFTER_ANOTHER = (ENTRY, (*OTHER_DROP, "commit"), ("alight", *INDEX_STRICT[1:]))
WRITE_NEAR = (*WRITE_THROUGH[:-1], "forget", "return")

# Followers of the binary log, in which a transaction is before it can be read.
WRITER = ("log", "commit")
WRITERS = (("log", "commit", "log", "commit", "log other"),)
BUSY = (WRITER, ("log other",))
FOLLOW = Followed(("see", "visible", *SWEEP[1:-1], "save"), ("here", *SWEEP[1:-1], "save"))
FOLLOW_INDEX = Followed(("see", "visible", *INDEX[1:-1], "save"), ("here", *SWEEP[1:-1], "save"))
EAGER = Followed(("see", *SWEEP[1:-1], "save"), FOLLOW.afresh)
SAVES_FIRST = Followed(("see", "visible", "save", *SWEEP[1:-1]), FOLLOW.afresh)
HERE_LATE = Followed(FOLLOW.follow, (*SWEEP[1:-1], "here", "save"))

SERVE_STALE = Policy(stale_while_revalidate=1)
SERVE_ON_ERROR = Policy(stale_if_error=1)
EARLY = Policy(early_refresh=1)
THREE = (SHARED, SHARED, ALONE)
TWO = (ALONE, ALONE)


def in_list(steps: Steps) -> Steps:
    """Take the steps of a read as those of a list are taken; what is for many is for one here.

    A flight is joined where the list asks for it first, and waited for where it does in the end.
    """
    job = Job(None, steps)
    tasks = read_rows([job])
    send: Any = tasks.send
    outcome: Any = None
    landed: Any = None
    while True:
        try:
            task = send(outcome)
        except StopIteration:
            return job.value
        send = tasks.send
        try:
            match task:
                case GetMany():
                    outcome = [(yield GET)]
                case LoadMany():
                    outcome = [(yield LOAD)]
                case AcquireMany(steps=[step]) | FillMany(steps=[step]):
                    outcome = [(yield step)]
                case JoinNow():
                    landed = yield from _boarding(job.step)
                    outcome = landed is Seat.LEADER
                case Perform(step=Join()) if landed is not None:
                    send = tasks.throw if isinstance(landed, BaseException) else tasks.send
                    outcome, landed = landed, None
                case Perform(step=step):
                    outcome = yield step
        except (Failed, Interrupted) as error:
            send, outcome = tasks.throw, error


def _boarding(join: Any) -> Steps:
    try:
        return (yield join)
    except (Failed, Interrupted) as error:
        return error


SAFE = {
    "sweep": Scenario(THREE, (SWEEP,)),
    "index": Scenario(THREE, (INDEX,)),
    "two sweeps": Scenario((SHARED, SHARED), (SWEEP, SWEEP)),
    "two drops by index": Scenario((ALONE, ALONE, ALONE), (INDEX, INDEX)),
    "a sweep and a drop by index": Scenario((SHARED, SHARED), (SWEEP, INDEX)),
    "two drops share a sweep": Scenario((ALONE, ALONE, ALONE), (SWEEP, RIDE)),
    "time runs, index pruned and leases renewed": Scenario((ALONE, ALONE, ALONE), (INDEX,), ticks=True),
    "the index is evicted": Scenario((ALONE, ALONE), (LOOK_UP,), ticks=True, evicts=True),
    "an index is begun where others have none": Scenario((PLAIN, PLAIN), (LOOK_UP, SETTLE), ticks=True),
    "an index is begun beside others": Scenario((PLAIN, ALONE), (LOOK_UP, SETTLE), ticks=True),
    "waiting takes too long": Scenario(THREE, (SWEEP,), deadlines=True),
    "waiting takes too long, three of one process": Scenario((SHARED,) * 3, (SWEEP,), deadlines=True),
    "waiting takes too long, late seals": Scenario(THREE, (SWEEP,), deadlines=True, late_seals=True),
    "Redis does not answer once": Scenario(THREE, (SWEEP,), faults=1),
    "Redis does not answer once, late seals": Scenario((SHARED,) * 3, (SWEEP,), faults=1, late_seals=True),
    "Redis does not answer, by index": Scenario((ALONE, ALONE), (INDEX,), faults=2),
    "loads fail": Scenario((SHARED, SHARED), (SWEEP,), failures=True),
    "readers are cancelled": Scenario((SHARED, SHARED), (SWEEP,), cancels=True, deadlines=True),
    "reads with refresh=True": Scenario((SHARED, SHARED_ANEW, ANEW), (SWEEP,)),
    "reads with refresh=True, by index": Scenario((SHARED, SHARED_ANEW, ANEW), (INDEX,)),
    "stale_while_revalidate": Scenario((SHARED, SHARED), (SWEEP,), SERVE_STALE, ticks=True),
    "stale_while_revalidate, by index": Scenario((ALONE, ALONE), (INDEX,), SERVE_STALE, ticks=True),
    "stale_if_error": Scenario((SHARED, SHARED), (SWEEP,), SERVE_ON_ERROR, ticks=True, failures=True),
    "early_refresh": Scenario((SHARED, SHARED), (SWEEP,), EARLY),
    "write_to_cache of what was committed": Scenario(THREE, (WRITE_THROUGH,)),
    "write_to_cache beside a drop": Scenario((ALONE, ALONE), (WRITE_THROUGH, INDEX)),
    "a transaction that the server has committed by itself": Scenario(THREE, (ENDED,)),
    "one that it has committed, and one that it has undone": Scenario((SHARED, ALONE), (ENDED, UNDONE)),
    "lists": Scenario(THREE, (SWEEP,), alter=in_list),
    "lists, by index": Scenario(THREE, (INDEX,), alter=in_list),
    "lists, waiting takes too long": Scenario(THREE, (SWEEP,), deadlines=True, alter=in_list),
    "lists, Redis does not answer once": Scenario(
        (SHARED,) * 3, (SWEEP,), faults=1, late_seals=True, alter=in_list
    ),
    "lists, loads fail": Scenario((SHARED, SHARED), (SWEEP,), failures=True, alter=in_list),
    "npm reads (its own fills excused)": Scenario((SHARED, SHARED), (SWEEP, NPM_READ)),
    "npm drops as well": Scenario((SHARED, SHARED), (SWEEP, NPM_DROP)),
    "near cache, sweep": Scenario((NEAR, NEAR), (SWEEP_NEAR,)),
    "near cache, index, and a reader elsewhere": Scenario((NEAR, ALONE), (INDEX_NEAR,)),
    "near cache, write_to_cache": Scenario((NEAR, ALONE), (WRITE_NEAR,)),
    "follower": Scenario(TWO, WRITERS, followers=(FOLLOW,)),
    "follower, by index": Scenario(TWO, WRITERS, followers=(FOLLOW_INDEX,)),
    "follower, killed and taken over": Scenario(TWO, BUSY, followers=(FOLLOW,), takeovers=True),
    "follower, two lead": Scenario(TWO, (WRITER,), followers=(FOLLOW, FOLLOW)),
    "follower, Redis goes back": Scenario(TWO, (WRITER,), followers=(FOLLOW,), goes_back=True),
    "follower, beside drops": Scenario(TWO, (WRITER, SWEEP[1:]), followers=(FOLLOW,)),
    "strict near cache, index elsewhere": Scenario((STRICT,), (ENTRY, INDEX_STRICT)),
}

# Minutes rather than seconds.
LONG = {
    "sweep, four readers": Scenario((SHARED, SHARED, ALONE, ALONE), (SWEEP,)),
    "index, four readers": Scenario((SHARED, SHARED, ALONE, ALONE), (INDEX,)),
    "loads fail, three readers": Scenario(THREE, (SWEEP,), failures=True),
    "early_refresh, three readers": Scenario(THREE, (SWEEP,), EARLY),
    "two sweeps, three readers": Scenario(THREE, (SWEEP, SWEEP)),
    "two drops by index, four readers": Scenario((SHARED, SHARED, ALONE, ALONE), (INDEX, INDEX)),
    "Redis does not answer twice": Scenario(THREE, (SWEEP,), faults=2),
    "everything at once": Scenario(
        (SHARED, SHARED), (SWEEP,), faults=1, deadlines=True, failures=True, cancels=True
    ),
    "three readers are cancelled": Scenario(THREE, (SWEEP,), cancels=True),
    "stale_while_revalidate, three readers": Scenario(THREE, (SWEEP,), SERVE_STALE, ticks=True),
    "stale_while_revalidate, unanswered": Scenario(
        (SHARED, SHARED), (INDEX,), SERVE_STALE, ticks=True, faults=1
    ),
    "waiting takes too long, four of one process": Scenario((SHARED,) * 4, (SWEEP,), deadlines=True),
    "npm reads, three readers": Scenario(THREE, (SWEEP, NPM_READ)),
    "near cache, sweep, a reader elsewhere": Scenario((NEAR, NEAR, ALONE), (SWEEP_NEAR,)),
    "near cache, a sweep and a write": Scenario((NEAR, NEAR), (SWEEP_NEAR, WRITE_NEAR)),
    "follower, three readers": Scenario(THREE, WRITERS, followers=(FOLLOW,), takeovers=True),
    "follower, Redis goes back, other rows are written": Scenario(
        TWO, BUSY, followers=(FOLLOW,), goes_back=True
    ),
    "follower, two lead and are killed, Redis goes back": Scenario(
        (ALONE,), BUSY, followers=(FOLLOW, FOLLOW), takeovers=True, goes_back=True
    ),
    "strict near cache, sweep elsewhere": Scenario((STRICT,), (ENTRY, SWEEP_STRICT)),
    "strict near cache, beside a drop of others": Scenario(
        (STRICT,), (ENTRY, INDEX_STRICT, OTHER_DROP), expiry=False
    ),
}

# Without faults, and with nothing that ends an entry early: the loads of a cold key.
ONE_LOAD = {
    "one process": Scenario((SHARED,) * 4, expiry=False, counts=True),
    "several processes": Scenario((ALONE,) * 4, expiry=False, counts=True),
    "both": Scenario((SHARED, SHARED, SHARED, ALONE, ALONE), expiry=False, counts=True),
}

# One drop can undo a load under way, and delete what the next one filled.
DROPPED_ONCE = {
    "by sweep": Scenario(THREE, (SWEEP,), expiry=False, counts=True),
    "by index": Scenario(THREE, (INDEX,), expiry=False, counts=True),
}
# A holder that lives is robbed of its lease by whoever has waited.
ROBBED = Scenario((ALONE, ALONE), expiry=False, counts=True, rules=Rules(robs=True))

# Nobody waits for ever: from every state all can get to their end, with nobody's deadline to help.
ENDING = {
    "no faults": Scenario((SHARED, SHARED, ALONE), (SWEEP,), expiry=False),
    "loaders are killed": Scenario((SHARED, SHARED, ALONE), (SWEEP,), crashes=True),
    "loads fail": Scenario((SHARED, SHARED, ALONE), (SWEEP,), failures=True, expiry=False),
    "readers are cancelled": Scenario((SHARED, SHARED, ALONE), (), cancels=True),
    "Redis does not answer": Scenario((SHARED, SHARED, ALONE), (), faults=1),
    "follower, Redis goes back": Scenario((ALONE,), BUSY, followers=(FOLLOW,), goes_back=True),
}

# A follower with nothing to do that does not look: what came back stays, while nothing is written.
UNHEALED = Scenario((ALONE,), BUSY, followers=(FOLLOW,), goes_back=True, rules=Rules(looks_while_idle=False))


class Seen(NamedTuple):
    """What a spoiled read remembers of its outcomes."""

    won: bool = False
    loaded: Loaded | None = None
    found: Entry | None = None

    def after(self, step: Step, outcome: object) -> Seen:
        """Remember *outcome*."""
        if isinstance(outcome, Loaded):
            return self._replace(loaded=outcome)
        if isinstance(step, Acquire) and isinstance(outcome, Entry):
            return self._replace(found=outcome)
        return self._replace(won=self.won or outcome is Claim.WON)


def spoil(change: Callable[[Step, Seen], Step | None]) -> Callable[[Steps], Steps]:
    """Return what makes a read whose steps are what *change* makes of them; ``None`` leaves one out."""

    def spoiled(steps: Steps) -> Steps:
        seen, send, outcome = Seen(), steps.send, None
        while True:
            try:
                step = send(outcome)
            except StopIteration as done:
                return done.value
            send, changed = steps.send, change(step, seen)
            try:
                outcome = None if changed is None else (yield changed)
            except (Failed, Interrupted) as error:
                send, outcome = steps.throw, error
            seen = seen.after(step, outcome)

    return spoiled


def _not_before_the_fill(step: Step, seen: Seen) -> Step | None:
    return None if isinstance(step, Seal) and seen.won else step


def _not_before_a_lone_load(step: Step, seen: Seen) -> Step | None:
    return None if isinstance(step, Seal) and not seen.won else step


def _after_a_refused_fill(step: Step, seen: Seen) -> Step | None:
    refused = isinstance(step, Settle) and step.outcome is None and seen.loaded is not None
    return Settle(seen.loaded) if refused else step


def _an_entry_found(step: Step, seen: Seen) -> Step | None:
    found = isinstance(step, Settle) and step.outcome is None and seen.found is not None
    value: Any = seen.found.value if seen.found is not None else None
    return Settle(Loaded(value, value)) if found else step


def _loads_first(_: Steps) -> Steps:
    entry = yield GET
    if entry is not None:
        return entry.value
    loaded = yield LOAD
    if (yield ACQUIRE_ANY) is Claim.WON:
        yield Fill(loaded.payload)
    return loaded.value


ONE_PASS = ("commit", "meet entry", "cut entry", "meet lease", "cut lease", "return")
ONE_BATCH = ("commit", "meet lease entry", "cut lease entry", "return")
VALUES_ALONE = ("commit", "meet entry", "cut entry", "return")
VALUES_FIRST = ("commit", "meet listed", "cut entry", "cut lease", "return")
UNLISTS_LAST = ("commit", "meet listed", "cut lease", "cut entry", "cut listed", "return")
UNLISTS_FIRST = ("commit", "meet listed", "cut listed", "cut lease", "cut entry", "return")
DOUBTS_FIRST = ("commit", "doubt", "meet listed", "cut lease", "cut entry", "return", *SWEEP[1:])
RIDE_LATE = ("commit", "ride late", "alight", "return")

SPOILED = {
    "no lease": Scenario(TWO, (SWEEP,), rules=Rules(lease_counts=False)),
    "lease taken after the load": Scenario(TWO, (SWEEP,), alter=_loads_first),
    "one pass": Scenario(TWO, (ONE_PASS,)),
    "one pass that meets both names at once": Scenario(TWO, (ONE_BATCH,)),
    "leases left alone": Scenario(TWO, (VALUES_ALONE,)),
    "by index, values before leases": Scenario(TWO, (VALUES_FIRST,)),
    "index shrunk by drops, after deleting": Scenario((ALONE,) * 3, (UNLISTS_LAST,) * 2, expiry=False),
    "index shrunk by drops, before deleting": Scenario((ALONE,) * 3, (UNLISTS_FIRST,) * 2, expiry=False),
    "index pruned by a client's clock": Scenario(TWO, (INDEX,), ticks=True, rules=Rules(early_by=LEASE)),
    "renewal that does not register": Scenario(
        TWO, (INDEX,), ticks=True, rules=Rules(renewal_registers=False)
    ),
    "eviction that who registers next does not mark": Scenario(
        TWO, (LOOK_UP,), ticks=True, evicts=True, rules=Rules(loss_is_marked=False)
    ),
    "eviction that a drop does not see": Scenario(
        TWO, (LOOK_UP,), ticks=True, evicts=True, rules=Rules(loss_is_seen=False)
    ),
    "doubts before the look-up": Scenario(TWO, (DOUBTS_FIRST,), ticks=True, evicts=True),
    "index begun, nobody looks for loads under way": Scenario(
        (PLAIN, PLAIN), (LOOK_UP, ("begin", "settle")), ticks=True
    ),
    "transaction that the server has committed, taken for undone": Scenario(
        TWO, (("commit", "ended", "return"),)
    ),
    "drop that joins a sweep under way": Scenario(TWO, (SWEEP, RIDE_LATE)),
    "flight shared after a refused fill": Scenario(
        (SHARED,) * 2, (SWEEP,), alter=spoil(_after_a_refused_fill)
    ),
    "lists, flights shared after a refused fill": Scenario(
        (SHARED,) * 2, (SWEEP,), alter=lambda steps: in_list(spoil(_after_a_refused_fill)(steps))
    ),
    "flight open until the fill is answered": Scenario(
        (SHARED,) * 2, (SWEEP,), alter=spoil(_not_before_the_fill)
    ),
    "flight that shares an entry found": Scenario(
        (SHARED,) * 3 + (ALONE,), (SWEEP,), alter=spoil(_an_entry_found)
    ),
    "lone load shared with late joiners": Scenario(
        (SHARED,) * 3, (SWEEP,), deadlines=True, alter=spoil(_not_before_a_lone_load)
    ),
    "late load shared with who began after it": Scenario(
        (SHARED,) * 4, (SWEEP,), deadlines=True, rules=Rules(late_flights_ask=False)
    ),
    "Acquire sent twice, one copy late": Scenario(TWO, (SWEEP,), resends=True),
    "near cache, a drop does not wait for the push": Scenario((NEAR, ALONE), (SWEEP,)),
    "near cache, a write leaves what is on its way": Scenario(
        (NEAR, ALONE), ((*WRITE_THROUGH[:-1], "forget kept", "return"),)
    ),
    "near cache, replies and pushes by two connections": Scenario(
        (NEAR, ALONE), (SWEEP_NEAR,), rules=Rules(in_order=False)
    ),
    "follower, drops what cannot be read yet": Scenario(TWO, (WRITER,), followers=(EAGER,)),
    "follower, position before the drop": Scenario(TWO, (WRITER,), followers=(SAVES_FIRST,)),
    "follower, begins where the log ends": Scenario(
        TWO, (WRITER,), followers=(FOLLOW,), rules=Rules(here_is_visible=False)
    ),
    "follower, first position after the drop": Scenario(TWO, (WRITER,), followers=(HERE_LATE,)),
    "follower, position in a file, Redis goes back": Scenario(
        TWO, (WRITER,), followers=(FOLLOW,), goes_back=True, rules=Rules(position_in_redis=False)
    ),
    "follower, saves in a Redis that went back before the drop had ended": Scenario(
        TWO, (WRITER,), followers=(FOLLOW,), goes_back=True, rules=Rules(compares_runs=False)
    ),
    "strict near cache, a drop does not read the roll": Scenario((STRICT,), (ENTRY, INDEX)),
    "strict near cache, the roll is read before deleting": Scenario(
        (STRICT,), (ENTRY, ("commit", "read roll", "hear all", *INDEX[1:]))
    ),
    "strict near cache, answers overtake pushes": Scenario(
        (STRICT,), (ENTRY, INDEX_STRICT), rules=Rules(in_order=False)
    ),
    "strict near cache that signs nothing": Scenario(
        (STRICT,), (ENTRY, INDEX_STRICT), rules=Rules(beats_sign=False)
    ),
    "strict near cache that serves past its heartbeat": Scenario(
        (STRICT,), (ENTRY, INDEX_STRICT), rules=Rules(time_ends_vouchers=False)
    ),
    "strict near cache, struck off the roll though it lives": Scenario(
        (STRICT,), ONE_AFTER_ANOTHER, expiry=False, rules=Rules(strikes_the_living=True)
    ),
}


def _report() -> None:
    parts = {"safe": SAFE, "long": LONG, "one load": ONE_LOAD, "ending": ENDING, "spoiled": SPOILED}
    for part, scenarios in parts.items():
        for name, scenario in scenarios.items():
            began = time.process_time()
            found = explore(scenario, ends=part == "ending")
            took = time.process_time() - began
            story = f"stale read in {len(found.story)} steps" if found.story else ""
            print(f"{part:9}{name:45}{found.states:10,}{found.moves:11,}{took:7.1f} s  {story}", flush=True)


if __name__ == "__main__":
    _report()
