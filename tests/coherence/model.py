"""An explicit-state model of one cache entry: who reads, writes and drops it, and every order of their steps.

The readers are the real generators of ``mysql_redis_cache.readthrough.protocol``; what their steps meet is in
``world.py``, what everybody else does in ``programs.py``; ``explore.py`` visits all states.

A killed process needs no move of its own where only stale reads are looked for: it is one that is never
scheduled again, and all prefixes are explored. Further reductions, none of which loses a stale read: a wait
is over at once (its caller may be arbitrarily slow anyway); the flight steps of a process with one reader
meet nobody; a sealed flight settles at once; a load is at once where nothing is left to be committed; readers
of one kind are interchangeable.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from mysql_redis_cache.policy import Policy
from mysql_redis_cache.readthrough import protocol as readthrough
from mysql_redis_cache.readthrough.steps import (
    LOAD,
    Acquire,
    Claim,
    Entry,
    Fill,
    Get,
    Join,
    JoinLate,
    Load,
    Loaded,
    Refresh,
    Release,
    Seal,
    Seat,
    Settle,
    Shared,
    Wait,
)

from . import following as followers
from . import nearby, roll
from . import world as redis
from .automaton import Automaton, Failed, Fate, Interrupted
from .programs import Place, Program, may_commit, perform
from .world import Row, Rules, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mysql_redis_cache.readthrough.steps import Steps

    from .following import Followed

__all__ = ["ALONE", "Model", "Reader", "Scenario", "State"]

ALONE = -1
NOBODY = -1
ENDED = -1
IDLE = -2
FATE = Fate()
AFTER_THE_DEADLINE = Fate(now=1e9)
LUCK = Fate(chance=0.001)  # an early refresh is due


class Reader(NamedTuple):
    """One read: the process whose flights it shares (ALONE: its own process), its kind, and its client's."""

    process: int = ALONE
    kind: str = "read"
    indexed: bool = True
    near: bool = False
    strict: bool = False


class Mind(NamedTuple):
    """Where a reader stands, the promise when it started, whom it waits for, and whether it won a lease."""

    stand: int
    promised: int = -1
    waits: int = NOBODY
    won: bool = False


class State(NamedTuple):
    """The world and what everybody in it is at."""

    world: World
    minds: tuple[Mind, ...]
    places: tuple[Place, ...]


Move = tuple[str, State | None]  # None: somebody read a stale row


@dataclass(frozen=True)
class Scenario:
    """Who is there and what may happen.

    Attributes:
        readers: the reads of this library, one each.
        programs: everybody else: writers, drops, the npm package.
        policy: of the readers.
        followers: those who follow the log of the writers.
        faults: how many times Redis may fail to answer a read.
        deadlines: whether waiting may last too long.
        failures: whether loads may fail, be interrupted, or give what is too large to cache.
        cancels: whether readers may be cancelled at any step.
        crashes: whether the processes of readers may be killed.
        takeovers: whether those of followers may be.
        goes_back: whether Redis may go back, once, to what it was.
        expiry: whether a lease or an entry may end at any moment.
        ticks: instead, whether they end by the clock, while holders renew their leases and the index is
            pruned.
        evicts: whether Redis may evict the set that lists the entry (with *ticks*).
        resends: whether Acquire may be sent twice, one copy arriving late.
        late_seals: whether a load without a lease is a query, whose flight is sealed when it is sent.
        counts: whether to count loads.
        rules: what the commands do.
        alter: makes another generator out of a read's.
    """

    readers: tuple[Reader, ...]
    programs: tuple[Program, ...] = ()
    policy: Policy = field(default_factory=Policy)
    followers: tuple[Followed, ...] = ()
    faults: int = 0
    deadlines: bool = False
    failures: bool = False
    cancels: bool = False
    crashes: bool = False
    takeovers: bool = False
    goes_back: bool = False
    expiry: bool = True
    ticks: bool = False
    evicts: bool = False
    resends: bool = False
    late_seals: bool = False
    counts: bool = False
    rules: Rules = redis.SOUND
    alter: Callable[[Steps], Steps] | None = None


class Model:
    """The moves of a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.automaton = Automaton(_kinds(scenario.policy, scenario.alter))
        processes = [reader.process for reader in scenario.readers]
        self._shared = [process != ALONE and processes.count(process) > 1 for process in processes]
        # Each process refreshes one entry behind its readers' backs at a time: readers of their own.
        refreshing = dict.fromkeys(processes) if scenario.policy.needs_age else {}
        self._behind = {process: number for number, process in enumerate(refreshing, start=len(processes))}
        self._groups = [] if self._behind else _groups(scenario.readers)
        self._may_doubt = any("doubt" in program for program in scenario.programs)
        self._same: dict[Any, Any] = {}
        self._performers: dict[type, Callable[[State, int, Any], Iterator[Move]]] = {
            Get: self._get,
            Join: self._join,
            JoinLate: self._join_late,
            Acquire: self._acquire,
            Load: self._load,
            Fill: self._fill,
            Release: self._release,
            Seal: self._seal,
            Settle: self._settle,
            Refresh: self._refresh,
        }

    def initial(self) -> State:
        """Return the state in which nothing has happened."""
        readers = self.scenario.readers
        minds = [Mind(self.automaton.start(reader.kind)) for reader in readers]
        minds += [Mind(IDLE, 0)] * len(self._behind)
        open_ = (NOBODY,) * (1 + max(reader.process for reader in readers))
        places = (Place(),) * len(self.scenario.programs)
        late = (None,) * len(open_)
        near = nearby.Near() if any(reader.near for reader in readers) else None
        following = (followers.Follower(),) * len(self.scenario.followers)
        log = followers.Log(followers=following, may_go_back=self.scenario.goes_back) if following else None
        strict = roll.Roll() if any(reader.strict for reader in readers) else None
        faults = self.scenario.faults
        world = World(open=open_, late=late, faults=faults, near=near, roll=strict, log=log)
        return State(world, tuple(minds), places)

    def has_ended(self, state: State) -> bool:
        """Return whether everybody is at the end."""
        programs = zip(state.places, self.scenario.programs, strict=True)
        return (
            all(mind.stand < 0 for mind in state.minds)
            and all(place.at == len(program) for place, program in programs)
            and followers.has_ended(state.world)
        )

    def moves(self, state: State) -> Iterator[Move]:
        """Yield everything that can happen next, or one move that nothing else could disturb."""
        for label, following in self._moves(state):
            if following is not None:
                following = following._replace(world=nearby.changed(state.world, following.world))
            yield label, following

    def _moves(self, state: State) -> Iterator[Move]:
        if (number := self._undisturbed(state)) is not None:
            yield from self._load(state, number, LOAD)
            return
        for number, mind in enumerate(state.minds):
            if mind.stand >= 0:
                yield from self._reader_moves(state, number, mind)
        for number, place in enumerate(state.places):
            if place.at < len(self.scenario.programs[number]):
                yield from self._program_moves(state, number)
        for label, world in self._world_moves(state):
            yield label, state._replace(world=world)
        world = followers.restored(state.world, self.scenario.rules)
        if world is not None:
            minds = [mind._replace(promised=min(mind.promised, world.promised)) for mind in state.minds]
            yield "Redis goes back", state._replace(world=world, minds=tuple(minds))

    def canonical(self, state: State) -> State:
        """Return the one of all equivalent states, which differ in the numbers of like readers."""
        for group in self._groups:
            order = _order(state, group)
            if order != group:
                state = _renumbered(state, dict(zip(order, group, strict=True)))
        same, world = self._same.setdefault, state.world
        if not self.scenario.evicts:  # then nothing is ever missing
            world = world._replace(known=None, there=False)
        if not self._may_doubt:
            world = world._replace(begun=None, unknown=False)
        return State(
            same(world, world),
            tuple([same(mind, mind) for mind in state.minds]),
            same(state.places, state.places),
        )

    def _undisturbed(self, state: State) -> int | None:
        """Return a reader about to load when nothing is left to be committed."""
        scenario = self.scenario
        if scenario.failures or scenario.crashes or scenario.ticks or scenario.late_seals:
            return None
        if any(map(may_commit, state.places, scenario.programs)):
            return None
        return next((number for number in range(len(state.minds)) if self._loads(state, number)), None)

    def _loads(self, state: State, number: int) -> bool:
        stand = state.minds[number].stand
        return stand >= 0 and self.automaton.stands[stand].step is LOAD

    # Readers

    def _reader_moves(self, state: State, me: int, mind: Mind) -> Iterator[Move]:
        if mind.waits == NOBODY:
            step = self.automaton.stands[mind.stand].step
            yield from self._performers[type(step)](state, me, step)
        elif self.scenario.deadlines:
            world = _given_up(state.world, mind.waits)
            yield self._advance(f"{me} waits no longer", state, me, world, Seat.LATE)
        if self.scenario.cancels:
            yield from self._cancel(state, me)
        if self.scenario.crashes:
            yield self._crash(state, me)

    def _rules(self, me: int) -> Rules:
        indexed = me >= len(self.scenario.readers) or self.scenario.readers[me].indexed
        return self.scenario.rules._replace(indexed=indexed)

    def _advance(
        self, label: str, state: State, me: int, world: World, outcome: Any, fate: Fate = FATE
    ) -> Move:
        """Send an outcome to reader *me*, and take what follows that meets nobody."""
        mind = state.minds[me]
        promised = mind.promised if mind.promised >= 0 else state.world.promised
        stand = self.automaton.send(mind.stand, outcome, fate)
        while (answer := self._at_once(stand, me)) is not None:
            stand = self.automaton.send(stand, answer if answer is Seat.LEADER else None)
        where = self.automaton.stands[stand]
        if where.step is None:
            if isinstance(where.value, Row) and where.value.ours and where.value.version < promised:
                return f"{label}, returns {where.value.version}", None
            stand, promised = ENDED, 0
        won = stand >= 0 and (mind.won or outcome is Claim.WON)
        following = State(world, _put(state.minds, me, Mind(stand, promised, won=won)), state.places)
        if isinstance(where.step, Settle) and not _leads_open(world, me):
            return self._settled(label, following, me, where.step)
        return label, following

    def _at_once(self, stand: int, me: int) -> Seat | bool | None:
        step = self.automaton.stands[stand].step
        if isinstance(step, Wait):
            return True
        if isinstance(step, (Join, JoinLate, Seal, Settle)) and not self._is_shared(me):
            return Seat.LEADER if isinstance(step, (Join, JoinLate)) else True
        return None

    def _is_shared(self, me: int) -> bool:
        return me < len(self._shared) and self._shared[me]

    def _get(self, state: State, me: int, step: Get) -> Iterator[Move]:
        world, policy = state.world, self.scenario.policy
        if (
            world.near is not None
            and world.near.kept is not None
            and self._is_near(me)
            and roll.serves(world)
        ):
            kept = world.near.kept
            yield self._advance(
                f"{me} finds {kept.version} near", state, me, world, Entry(kept, float("inf"))
            )
            return
        cell = world.cell
        entry = (
            None if cell is None else Entry(cell.row, float(cell.left) if policy.needs_age else float("inf"))
        )
        label = f"{me} gets {'nothing' if cell is None else cell.row.version}"
        yield self._advance(label, state, me, world, entry)
        if policy.early_refresh:
            yield self._advance(f"{label} early", state, me, world, entry, LUCK)
        if world.faults:
            yield self._advance(f"{me} gets no answer", state, me, _faulty(world), Claim.UNAVAILABLE)

    def _is_near(self, me: int) -> bool:
        return me < len(self.scenario.readers) and self.scenario.readers[me].near

    def _join(self, state: State, me: int, step: Join) -> Iterator[Move]:
        process, world = self.scenario.readers[me].process, state.world
        leader = world.open[process]
        if leader == NOBODY:
            world = world._replace(open=_put(world.open, process, me))
            yield self._advance(f"{me} leads", state, me, world, Seat.LEADER)
        else:
            minds = _put(state.minds, me, state.minds[me]._replace(waits=leader))
            yield f"{me} joins {leader}", state._replace(minds=minds)

    def _join_late(self, state: State, me: int, step: JoinLate) -> Iterator[Move]:
        process, world = self.scenario.readers[me].process, state.world
        flight = world.late[process]
        if flight is not None and (me in flight[1] or not self.scenario.rules.late_flights_ask):
            minds = _put(state.minds, me, state.minds[me]._replace(waits=flight[0]))
            yield f"{me} joins {flight[0]} late", state._replace(minds=minds)
        else:
            begun = frozenset(number for number, mind in enumerate(state.minds) if mind.promised >= 0)
            world = world._replace(late=_put(world.late, process, (me, begun)))
            yield self._advance(f"{me} leads late", state, me, world, Seat.LEADER)

    def _acquire(self, state: State, me: int, step: Acquire) -> Iterator[Move]:
        world, claim = redis.acquire(state.world, me, step.newer_than, self._rules(me))
        label = f"{me} asks for the lease: {_named(claim)}"
        yield self._advance(label, state, me, world, claim)
        if claim is Claim.LOST and self.scenario.deadlines:
            yield self._advance(f"{label} at the deadline", state, me, world, claim, AFTER_THE_DEADLINE)
        command = ("acquire", me, step.newer_than)
        if self.scenario.resends and command not in world.sent:
            yield self._advance(f"{label}, sent twice", state, me, _sending(world, command), claim)
        yield from self._unanswered(state, me, world, command, Claim.UNAVAILABLE)

    def _fill(self, state: State, me: int, step: Fill) -> Iterator[Move]:
        row: Any = step.payload
        world, accepted = redis.fill(state.world, me, row, self.scenario.rules)
        world = nearby.forget(world) if self._is_near(me) else world
        word = "fills" if accepted else "is refused to fill"
        yield self._advance(f"{me} {word} {row.version}", state, me, world, accepted)
        yield from self._unanswered(state, me, world, ("fill", me, row), False)

    def _release(self, state: State, me: int, step: Release) -> Iterator[Move]:
        name = "discard" if step.outdated else "release"
        world, was_ours = getattr(redis, name)(state.world, me)
        yield self._advance(f"{me} {name}s", state, me, world, was_ours)
        yield from self._unanswered(state, me, world, (name, me), False)

    def _unanswered(
        self, state: State, me: int, done: World, command: tuple[Any, ...], outcome: object
    ) -> Iterator[Move]:
        """Yield the ways in which the answer to a command can fail to come: it is lost, done, or late."""
        if not state.world.faults:
            return
        label = f"{me}'s {command[0]} gets no answer"
        lost = _faulty(state.world)
        yield self._advance(f"{label} and is lost", state, me, lost, outcome)
        if done != state.world:
            yield self._advance(f"{label} and is done", state, me, _faulty(done), outcome)
        yield self._advance(f"{label} and is late", state, me, _sending(lost, command), outcome)

    def _load(self, state: State, me: int, step: Load) -> Iterator[Move]:
        world = state.world._replace(loads=state.world.loads + self.scenario.counts)
        if self._seals_late(state, me):
            world = _sealed(world, me)
        row: Any = Row(world.committed)
        yield self._advance(f"{me} loads {row.version}", state, me, world, Loaded(row, row))
        if self.scenario.failures:
            large = Loaded(row, row, fits=False)
            yield self._advance(f"{me} loads {row.version}, too large to cache", state, me, world, large)
            yield self._advance(f"{me} fails to load", state, me, world, Failed())
            yield self._advance(f"{me} is interrupted", state, me, world, Interrupted())

    def _seal(self, state: State, me: int, step: Seal) -> Iterator[Move]:
        if self._seals_late(state, me):
            yield self._advance(f"{me} goes on unsealed", state, me, state.world, None)
        else:
            yield self._advance(f"{me} seals", state, me, _sealed(state.world, me), None)

    def _seals_late(self, state: State, me: int) -> bool:
        """Return whether the flight of *me* is sealed when its query is sent, and not before."""
        return self.scenario.late_seals and not state.minds[me].won

    def _settle(self, state: State, me: int, step: Settle) -> Iterator[Move]:
        yield self._settled("", state, me, step)

    def _settled(self, label: str, state: State, me: int, step: Settle) -> Move:
        """Land the flight of *me*, which goes on, as do those who joined it."""
        said = f"{label}; {me} settles {_named(step.outcome)}".removeprefix("; ")
        return self._land(self._advance(said, state, me, _given_up(state.world, me), None), me, step.outcome)

    def _land(self, move: Move, leader: int, outcome: Any) -> Move:
        landing: Any = Seat.AGAIN if outcome is None else outcome
        if isinstance(outcome, Loaded):
            landing = Shared(outcome.value)
        label, state = move
        for number in range(len(self._shared)):
            if state is not None and state.minds[number].waits == leader:
                label, state = self._advance(
                    f"{label}; {number} follows", state, number, state.world, landing
                )
        return label, state

    def _refresh(self, state: State, me: int, step: Refresh) -> Iterator[Move]:
        label, following = self._advance(f"{me} asks for a refresh", state, me, state.world, None)
        behind = self._behind[self.scenario.readers[me].process]
        if following is not None and following.minds[behind].stand < 0:
            mind = Mind(self.automaton.start("behind", step.left), 0)
            following = following._replace(minds=_put(following.minds, behind, mind))
        yield label, following

    def _cancel(self, state: State, me: int) -> Iterator[Move]:
        """Cancel a reader, as ``Core.end`` does; what it had sent arrives late or never."""
        world, mind = _given_up(state.world, me), state.minds[me]
        gone = State(world, _put(state.minds, me, Mind(ENDED, 0)), state.places)
        yield self._land((f"{me} is cancelled", gone), me, None)
        step = None if mind.waits != NOBODY else self.automaton.stands[mind.stand].step
        sent: list[tuple[Any, ...]] = []
        if world.lease is not None and world.lease.owner == me:
            sent.append(("release", me))
        if isinstance(step, Fill):
            sent.append(("fill", me, step.payload))
        if isinstance(step, Acquire):
            sent.append(("acquire", me, step.newer_than))
        if sent:
            late = gone._replace(world=_sending(world, *sent))
            yield self._land((f"{me} is cancelled, its commands are late", late), me, None)

    def _crash(self, state: State, me: int) -> Move:
        """Kill the process of a reader."""
        process = ALONE if me >= len(self.scenario.readers) else self.scenario.readers[me].process
        dead = (
            [me]
            if process == ALONE
            else [n for n, r in enumerate(self.scenario.readers) if r.process == process]
        )
        world, minds = state.world, state.minds
        for number in dead:
            world, minds = _given_up(world, number), _put(minds, number, Mind(ENDED, 0))
        return f"the process of {me} is killed", State(world, minds, state.places)

    # Everybody else

    def _program_moves(self, state: State, number: int) -> Iterator[Move]:
        done = perform(self.scenario.programs, state.places, number, state.world, self.scenario.rules)
        if done is not None:
            label, world, place = done
            yield label, State(world, state.minds, _put(state.places, number, place))

    def _world_moves(self, state: State) -> Iterator[tuple[str, World]]:
        world, rules = state.world, self.scenario.rules
        yield from nearby.moves(world, rules)
        yield from followers.moves(world, self.scenario.followers, rules, crash=self.scenario.takeovers)
        for command in world.sent:
            rest = world._replace(sent=tuple([each for each in world.sent if each is not command]))
            yield f"{command[1]}'s late {command[0]} arrives", _arrived(rest, command, rules)
        if self.scenario.ticks:
            yield "tick", redis.tick(world)
            yield "prune", redis.prune(world, rules)
            if self.scenario.evicts and world.there:
                yield "the set is evicted", redis.evict(world)
            if world.lease is not None and self._loads(state, world.lease.owner):  # so its keeper is at work
                owner = world.lease.owner
                yield f"{owner} renews", redis.renew(world, owner, self._rules(owner))
        elif self.scenario.expiry:
            if world.lease is not None:
                yield "the lease ends", world._replace(lease=None)
            if world.cell is not None:
                yield "the entry ends", world._replace(cell=None)


def _kinds(policy: Policy, alter: Callable[[Steps], Steps] | None) -> dict[str, Callable[..., Steps]]:
    altered = alter or (lambda steps: steps)
    return {
        "read": lambda clock, random: altered(readthrough.read(policy, clock, random, load_time=1.0)),
        "refresh": lambda clock, random: altered(readthrough.refresh(policy, clock, random)),
        "behind": lambda _clock, _random, left: altered(readthrough.refresh_behind(left)),
    }


def _arrived(world: World, command: tuple[Any, ...], rules: Rules) -> World:
    match command:
        case ("acquire", owner, newer_than):
            return redis.acquire(world, owner, newer_than, rules)[0]
        case ("fill", owner, row):
            return redis.fill(world, owner, row, rules)[0]
        case ("discard", owner):
            return redis.discard(world, owner)[0]
        case _:
            return redis.release(world, command[1])[0]


def _leads_open(world: World, me: int) -> bool:
    return me in world.open or any(flight is not None and flight[0] == me for flight in world.late)


def _sealed(world: World, leader: int) -> World:
    if leader not in world.open:
        return world
    return world._replace(open=tuple([NOBODY if each == leader else each for each in world.open]))


def _given_up(world: World, leader: int) -> World:
    """Let nobody join a flight of *leader*, of whichever kind."""
    late = tuple([None if each is not None and each[0] == leader else each for each in world.late])
    return _sealed(world, leader)._replace(late=late)


def _faulty(world: World) -> World:
    return world._replace(faults=world.faults - 1)


def _sending(world: World, *commands: tuple[Any, ...]) -> World:
    return world._replace(sent=tuple(sorted({*world.sent, *commands}, key=repr)))


def _put(items: tuple[Any, ...], at: int, item: object) -> tuple[Any, ...]:
    return (*items[:at], item, *items[at + 1 :])


def _named(outcome: object) -> str:
    match outcome:
        case Entry(row, _):
            return f"finds {row.version}"
        case Loaded(row, _, _):
            return f"{row.version} for all"
        case Claim():
            return outcome.name.lower()
    return "nothing" if outcome is None else type(outcome).__name__


# Interchangeable readers


def _groups(readers: tuple[Reader, ...]) -> list[list[int]]:
    groups: dict[Reader, list[int]] = {}
    for number, reader in enumerate(readers):
        groups.setdefault(reader, []).append(number)
    return [group for group in groups.values() if len(group) > 1]


def _order(state: State, group: list[int]) -> list[int]:
    """Return the readers of a group, sorted by what they are at, not by whom they wait for."""
    world, minds = state.world, state.minds
    owner = NOBODY if world.lease is None else world.lease.owner
    ranks = [
        (
            minds[number][0],
            minds[number][1],
            minds[number][2] != NOBODY,
            number == owner,
            number in world.open,
            *(flight is not None and number in flight[1] for flight in world.late),
        )
        for number in group
    ]
    if world.sent:
        ranks = [(*r, [c[0] for c in world.sent if c[1] == n]) for r, n in zip(ranks, group, strict=True)]  # type: ignore[misc]
    return [number for _, number in sorted(zip(ranks, group, strict=True))]


def _renumbered(state: State, numbers: dict[int, int]) -> State:
    world, minds = state.world, list(state.minds)
    for old, new in numbers.items():
        minds[new] = state.minds[old]

    def renumber(number: int) -> int:
        return numbers.get(number, number)

    if world.lease is not None:
        world = world._replace(lease=world.lease._replace(owner=renumber(world.lease.owner)))
    if world.sent:
        sent = [(name, renumber(owner), *rest) for name, owner, *rest in world.sent]
        world = world._replace(sent=tuple(sorted(sent, key=repr)))
    late = [
        flight and (renumber(flight[0]), frozenset(renumber(number) for number in flight[1]))
        for flight in world.late
    ]
    world = world._replace(open=tuple([renumber(leader) for leader in world.open]), late=tuple(late))
    return State(world, tuple([mind._replace(waits=renumber(mind.waits)) for mind in minds]), state.places)
