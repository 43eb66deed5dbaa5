"""The rows of a list are read by the steps of single reads, taken together: whatever comes of each step."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import pytest

from mysql_redis_cache.policy import Policy
from mysql_redis_cache.readthrough.many import (
    AcquireMany,
    FillMany,
    GetMany,
    Job,
    JoinNow,
    LoadMany,
    Perform,
    read_many,
    read_rows,
)
from mysql_redis_cache.readthrough.protocol import bypass, read, refresh
from mysql_redis_cache.readthrough.steps import (
    Acquire,
    Claim,
    Entry,
    Fill,
    Get,
    Join,
    JoinLate,
    Load,
    Loaded,
    Release,
    Seal,
    Settle,
    Shared,
    Wait,
)

POLICY = Policy()


class Servers:
    """Answer the tasks of a list by chance, and look at the rules meanwhile."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.now = 0.0
        self.held: set[int] = set()
        self.led: set[int] = set()
        self.sealed: set[int] = set()
        self.filled: set[int] = set()
        self.queries = 0

    def clock(self) -> float:
        return self.now

    def job(self, number: int) -> Job:
        steps = self.chance.choices([read, refresh, bypass], [8, 1, 1])[0]
        return Job(number, bypass() if steps is bypass else steps(POLICY, self.clock, self.chance.random))

    def answer(self, task: Any) -> Any:
        match task:
            case GetMany(reads):
                return [self.chance.choice([None, None, self.entry()]) for _ in reads]
            case JoinNow(number):
                leads = self.chance.random() < 0.8
                self.led |= {number} if leads else set()
                return leads
            case AcquireMany(reads):
                assert not self.held, "leases were taken while others were held"
                return [self.claim(number) for number in reads]
            case LoadMany(reads):
                self.queries += 1
                if self.chance.random() < 0.1:
                    raise LookupError
                return [self.loaded() for _ in reads]
            case FillMany(reads, steps):
                return [self.fill(number) for number, _ in zip(reads, steps, strict=True)]
            case Perform(number, step):
                return self.perform(number, step)

    def perform(self, number: int, step: Any) -> Any:
        match step:
            case Wait() | Join() | JoinLate():
                assert not self.held, "somebody is waited for while leases are held"
                self.now += getattr(step, "seconds", 0.0) + 3
                return Shared(number)
            case Acquire():
                return self.claim(number)
            case Load():
                return self.loaded()
            case Fill():
                return self.fill(number)
            case Release():
                self.held.discard(number)
                return False
            case Seal():
                self.sealed.add(number)
            case Settle():
                assert number not in self.held, "a flight landed before its lease was given back"
                self.led.discard(number)
            case Get():
                return None
        return None

    def claim(self, number: int) -> Any:
        claim = self.chance.choice([Claim.WON, Claim.WON, Claim.LOST, Claim.UNAVAILABLE, self.entry()])
        self.held |= {number} if claim is Claim.WON else set()
        return claim

    def fill(self, number: int) -> bool:
        assert number in self.held, "filled without a lease"
        assert number in self.sealed, "filled before the flight was sealed"
        self.held.remove(number)
        self.filled.add(number)
        return self.chance.random() < 0.8

    def entry(self) -> Entry:
        return Entry("entry", 100.0)

    def loaded(self) -> Loaded:
        return Loaded("loaded", b"[]", fits=self.chance.random() < 0.9)


@pytest.mark.parametrize("seed", range(300))
def test_leases_precede_loads_and_nothing_is_waited_for_while_one_is_held(seed: int) -> None:
    """Each read comes to its end, holds nothing then, and was filled under its lease after its seal alone."""
    servers = Servers(random.Random(seed))
    jobs = [servers.job(number) for number in range(servers.chance.choice([1, 3, 12]))]
    steps = read_rows(jobs)
    task, failed = None, False
    try:
        task = steps.send(None)
        while True:
            try:
                outcome = servers.answer(task)
            except LookupError as error:
                task = steps.throw(error)
            else:
                task = steps.send(outcome)
    except StopIteration:
        pass
    except LookupError:  # a load failed: what the others hold is given back by the driver
        failed = True

    if not failed:
        assert [job.step for job in jobs] == [None] * len(jobs)
        assert {job.value for job in jobs} <= {"entry", "loaded", *range(12)}
        assert (servers.held, servers.led) == (set(), set())


@pytest.mark.parametrize("read_all", [read_many, read_rows])
def test_flights_led_here_end_before_others_are_waited_for(read_all: Any) -> None:
    """Two lists of one process, each leading what the other waits for, would else wait for each other."""
    jobs = [Job(number, read(POLICY, lambda: 0.0, lambda: 0.5)) for number in range(2)]
    joined, led = jobs
    asked: list[tuple[int, type]] = []
    steps, outcome = read_all(jobs), None
    with suppress(StopIteration):
        while True:
            match steps.send(outcome):
                case GetMany(reads):
                    outcome = [None] * len(reads)
                case JoinNow(number):
                    outcome = number == led.read
                case AcquireMany(reads):
                    outcome = [Claim.LOST] if not asked else [Entry("entry", 9.0)]
                case Perform(number, step):
                    asked.append((number, type(step)))
                    outcome = {Acquire: Entry("entry", 9.0), Join: Shared("shared")}.get(type(step))

    assert [each for each in asked if each[1] in {Wait, Join}] == [(led.read, Wait), (joined.read, Join)]
    assert [job.value for job in jobs] == ["shared", "entry"]
