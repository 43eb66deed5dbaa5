"""Hit, miss, key and drop: what one call costs in each library, and the commands that Redis sees."""

from __future__ import annotations

import gc
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import redis
from measure import Operation, Plan, Timings, interleave
from workload import CACHED_USERS, Databases, Workload, fill_drop_database, restore_dropped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from subjects import Subject


@dataclass(frozen=True, slots=True)
class Task:
    """One row of the table."""

    operation: str
    title: str
    plan: Plan
    quick: Plan


TASKS = (
    Task("hit", "hit, 10 rows", Plan(60, 100), Plan(25, 60)),
    Task("miss_few", "miss, 10 rows", Plan(15, 40), Plan(5, 25)),
    Task("miss_many", "miss, 10,000 rows", Plan(9, 1), Plan(3, 1)),
    Task("key", "key of two params", Plan(25, 2000), Plan(10, 1000)),
    Task("drop", "drop 6 keys", Plan(3, 1, is_warmed_up=False), Plan(1, 1, is_warmed_up=False)),
)
DROP_KEYS = 300_000
QUICK_DROP_KEYS = 30_000
SHORTEST_SAMPLE = 0.05
MOST_REPEATS = 20


@dataclass(slots=True)
class CoreResult:
    """What was measured, by operation; of drops also how many entries each subject's took away."""

    timings: dict[str, Timings] = field(default_factory=dict)
    deleted: dict[str, int] = field(default_factory=dict)
    commands: dict[str, list[str]] = field(default_factory=dict)
    hit_bytes: int = 0
    drop_keys: int = 0


def measure_core(
    workload: Workload, subjects: Sequence[Subject], *, quick: bool, parts: set[str]
) -> CoreResult:
    """Measure the *parts* wanted (``hit``, ``miss``, ``key``, ``drop``) on every subject that has them."""
    result = CoreResult(drop_keys=QUICK_DROP_KEYS if quick else DROP_KEYS)
    gc.collect()
    gc.freeze()  # what the set-up left behind is not walked again while measuring
    for task in TASKS:
        if task.operation.split("_")[0] not in parts:
            continue
        operations = _prepared(task.operation, workload, subjects, result)
        result.timings[task.operation] = interleave(operations, task.quick if quick else task.plan)
        if task.operation == "hit":
            result.commands = {
                title: commands_of(operation, workload) for title, operation in operations.items()
            }
    return result


def _prepared(
    name: str, workload: Workload, subjects: Sequence[Subject], result: CoreResult
) -> dict[str, Operation]:
    able = [subject for subject in subjects if name in subject.operations]
    if name == "drop":
        stores = _filled_stores(workload, able, result.drop_keys)
        return {each.title: _restored(each, stores[each.title], result.deleted) for each in able}
    admins = {subject.title: redis.Redis(**workload.redis(subject.database)) for subject in able}
    emptied = {each.title: _emptied(each.operations[_filler(name)], admins[each.title]) for each in able}
    if name.startswith("miss"):
        return emptied
    if name == "hit":
        for fill in emptied.values():
            fill(CACHED_USERS)
        result.hit_bytes = _entry_size(admins[able[0].title])
    return {each.title: each.operations[name] for each in able}


def _filler(name: str) -> str:
    return name if name.startswith("miss") else "miss_few"


def _emptied(operation: Operation, admin: redis.Redis) -> Operation:
    """*operation* on a database that was emptied before, unmeasured."""

    def measure(calls: int) -> float:
        admin.flushdb()
        return operation(calls)

    return measure


def _filled_stores(workload: Workload, subjects: Sequence[Subject], count: int) -> dict[str, redis.Redis]:
    """The database that each subject drops from: one of its own for the index, one for all the others."""
    shared = redis.Redis(**workload.redis(Databases.DROP))
    indexed = redis.Redis(**workload.redis(Databases.INDEX))
    fill_drop_database(shared, count)
    fill_drop_database(indexed, count, indexed=True)
    return {each.title: indexed if each.database == Databases.INDEX else shared for each in subjects}


def _restored(subject: Subject, store: redis.Redis, deleted: dict[str, int]) -> Operation:
    """The drop of *subject*; what it took away is counted and written anew, unmeasured.

    Quick drops are repeated until they add up to something that can be measured.
    """

    def measure(calls: int) -> float:
        seconds, repeats = 0.0, 0
        while seconds < SHORTEST_SAMPLE and repeats < MOST_REPEATS:
            before = store.dbsize()
            seconds += subject.operations["drop"](1)
            deleted[subject.title] = before - store.dbsize()
            restore_dropped(store)
            repeats += 1
        return seconds / repeats * calls

    return measure


def _entry_size(client: redis.Redis) -> int:
    return int(client.strlen(client.randomkey() or b""))


def commands_of(operation: Operation, workload: Workload) -> list[str]:
    """The commands that Redis gets from one hit; those that its own scripts run are left out."""
    admin = redis.Redis(**workload.redis(0))
    admin.ping()  # connected before anything is listened to
    with redis.Redis(**workload.redis(0)).monitor() as monitor:
        operation(1)
        admin.echo("the end")
        seen: list[str] = []
        for line in monitor.listen():
            if line["command"].upper().startswith("ECHO"):
                return seen
            if line["client_type"] != "lua":
                seen.append(line["command"].split()[0].upper())
    raise AssertionError
