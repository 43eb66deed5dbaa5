"""Hits per second of many threads of one process: this library beside redis-py and orjson by hand."""

from __future__ import annotations

import gc
import itertools
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import chart
import orjson
import redis
from aims import Aim, aims_table
from chart import Axes, Line, write_lines
from measure import Figure, rotated
from report import duration, table, times
from workload import CACHED_USERS, FEW_QUERY, TTL, Databases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from workload import Workload

NAMES = ["UserId"]
OURS, RAW = "MRCClient", "redis-py + orjson by hand"
COLOURS = {OURS: chart.OURS, RAW: chart.BY_HAND}
THREADS = (1, 2, 4, 8, 16)
MANY = 16
ROUNDS, SECONDS = 15, 0.2
QUICK_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Sample:
    """What so many threads did together: reads a second, and seconds of CPU for each."""

    rate: float
    cpu: float


@dataclass(slots=True)
class ThreadsResult:
    """The samples of each subject, by the number of threads."""

    samples: dict[int, dict[str, list[Sample]]] = field(default_factory=dict)

    def rate(self, threads: int, subject: str) -> float:
        """The median of reads a second."""
        return Figure.of([sample.rate for sample in self.samples[threads][subject]]).median

    def cpu(self, threads: int, subject: str) -> float:
        """The median of the CPU of a read, over all threads."""
        return Figure.of([sample.cpu for sample in self.samples[threads][subject]]).median

    def ratio(self, threads: int) -> Figure:
        """How many times the reads a second by hand ours are, compared round by round."""
        both = self.samples[threads]
        return Figure.of([ours.rate / raw.rate for ours, raw in zip(both[OURS], both[RAW], strict=True)])


def measure_threads(workload: Workload, *, quick: bool) -> ThreadsResult:
    """Have threads read the very same entries in both ways, in turns."""
    from mysql_redis_cache import MRCClient

    result = ThreadsResult()
    way = workload.patient_redis(Databases.COLD)
    with MRCClient(workload.mysql, way) as client, redis.Redis(**workload.redis(Databases.COLD)) as raw:
        raw.flushdb()
        keys = [client.get_key_from_query(FEW_QUERY, [user], NAMES) for user in range(CACHED_USERS + 1)]
        reads: dict[str, Callable[[int], object]] = {
            OURS: lambda user: client.query_with_cache(FEW_QUERY, [user], NAMES, TTL),
            RAW: lambda user: orjson.loads(raw.get(keys[user])),  # type: ignore[arg-type]
        }
        for user in range(1, CACHED_USERS + 1):
            reads[OURS](user)
        gc.collect()
        gc.freeze()
        for threads in THREADS:
            result.samples[threads] = _in_turns(reads, threads, QUICK_ROUNDS if quick else ROUNDS)
    return result


def _in_turns(
    reads: dict[str, Callable[[int], object]], threads: int, rounds: int
) -> dict[str, list[Sample]]:
    samples: dict[str, list[Sample]] = {subject: [] for subject in reads}
    for turn in range(rounds + 1):
        for subject in rotated(list(reads), turn):
            sample = _sample(reads[subject], threads)
            if turn:  # the first opened connections
                samples[subject].append(sample)
    return samples


def _sample(read: Callable[[int], object], threads: int) -> Sample:
    counts, ready = [0] * threads, threading.Barrier(threads + 1)

    def work(place: int) -> None:
        users = itertools.cycle(range(1, CACHED_USERS + 1))
        for _ in range(place * CACHED_USERS // threads):
            next(users)
        count = 0
        ready.wait()
        until = time.perf_counter() + SECONDS
        while time.perf_counter() < until:
            read(next(users))
            count += 1
        counts[place] = count

    started = [threading.Thread(target=work, args=(place,)) for place in range(threads)]
    for thread in started:
        thread.start()
    ready.wait()
    start, start_computing = time.perf_counter(), time.process_time()
    for thread in started:
        thread.join()
    seconds, computing = time.perf_counter() - start, time.process_time() - start_computing
    return Sample(sum(counts) / seconds, computing / sum(counts))


def threads_text(result: ThreadsResult) -> str:
    """A row for each number of threads, and the aims."""
    rows = [
        [str(threads), *(_cell(result, threads, subject) for subject in both), times(result.ratio(threads))]
        for threads, both in result.samples.items()
    ]
    return f"{table(['threads', OURS, RAW, ''], rows)}\n\n{aims_table(list(_aims(result)))}"


def threads_chart(path: Path, result: ThreadsResult) -> None:
    """Hits per second over the number of threads."""
    lines = [
        Line(subject, COLOURS[subject], {each: result.rate(each, subject) for each in result.samples})
        for subject in (OURS, RAW)
    ]
    title = "Cached reads of many threads of one process: higher is better"
    write_lines(path, Axes(title, "threads", "hits per second"), lines)


def _cell(result: ThreadsResult, threads: int, subject: str) -> str:
    rate, cpu = result.rate(threads, subject), result.cpu(threads, subject)
    return f"{rate:,.0f}/s, CPU {duration(cpu)}"


def _aims(result: ThreadsResult) -> Iterator[Aim]:
    for threads in result.samples:
        if threads <= 4 or threads == MANY:
            factor = 2 if threads == MANY else 1
            ratio = result.ratio(threads)
            what = f"hits per second against {RAW}, {threads} {'thread' if threads == 1 else 'threads'}"
            yield Aim(what, f"at least {factor} ×", times(ratio), ratio.median >= factor)
