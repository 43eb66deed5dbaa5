"""Redis Cluster: every step on one slot, sweeps over all primaries, whatever moves meanwhile."""

from __future__ import annotations

import random
import time
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import redis

from mysql_redis_cache import MRCClient, MRCServer
from mysql_redis_cache.drops import sweep
from mysql_redis_cache.errors import CacheUnavailable, DropTimeout
from mysql_redis_cache.keys.naming import pair_texts
from mysql_redis_cache.store import Cluster, Server, link
from mysql_redis_cache.store.entries import Entries, Found, Name
from tests.support.alarms import Interrupted, alarms
from tests.support.cluster import Node, PrivateCluster, eventually, slot_of
from tests.support.forks import in_child
from tests.support.populating import entry
from tools.programs import find_redis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The nodes have to reach each other on their own ports, which containers do not have here.
pytestmark = pytest.mark.skipif(find_redis() is None, reason="a cluster needs redis-server on the PATH")

ME, NEVER = b"token", -1.0
STORES = range(60)


@pytest.fixture(scope="module")
def formed() -> Iterator[PrivateCluster]:
    with PrivateCluster() as made:
        yield made


@pytest.fixture
def cluster(formed: PrivateCluster) -> PrivateCluster:
    """Six nodes without keys."""
    formed.flush()
    return formed


@pytest.fixture
def way(cluster: PrivateCluster) -> Iterator[Cluster]:
    with cluster.client(socket_timeout=5) as client:  # a busy machine is no failure here
        made = link(client)
    assert isinstance(made, Cluster)
    with closing(made):
        yield made


@pytest.fixture
def entries(way: Cluster) -> Entries:
    return Entries(way, 10)


@pytest.fixture
def drops(cluster: PrivateCluster) -> Iterator[MRCServer]:
    with cluster.client(socket_timeout=5) as client, MRCServer(client) as server:
        yield server


def named(entries: Entries, *values: object) -> Name:
    texts = pair_texts(list(values), ["UserId", "StoreId"][: len(values)])
    name = entries.name(entry(*values).decode(), texts, "", 60, indexed=True)
    assert name is not None
    return name


def fill(entries: Entries, name: Name) -> bytes:
    assert entries.acquire(name, ME, NEVER) is True
    assert entries.fill(name, ME, b"[]", 60) is True
    return name.key


def populate(entries: Entries, users: range = range(1, 3)) -> list[bytes]:
    """Fill an entry for each user and store: on all nodes."""
    return [fill(entries, named(entries, user, store)) for user in users for store in STORES]


def of_user(keys: set[bytes], user: int) -> set[bytes]:
    return {key for key in keys if b"UserId=%d_" % user in key}


# Reads and fills


def test_every_step_is_on_one_slot(entries: Entries, cluster: PrivateCluster) -> None:
    """Acquire, fill, renew, release, put and delete, on every node."""
    for store in STORES:
        name = named(entries, 1, store)
        assert entries.acquire(name, ME, NEVER) is True
        assert entries.acquire(name, b"other", NEVER) is False
        assert entries.renew(name, ME) is True
        assert entries.fill(name, ME, b"[1]", 60) is True
        assert isinstance(entries.acquire(name, b"other", NEVER), Found)
        entries.put(name, b"[2]", 60)
        assert entries.get(name.key) == b"[2]"
        found = entries.get_aged(name.key)
        assert found is not None
        assert 59 <= found.left <= 60
        assert entries.discard(name, ME) is False
        assert entries.acquire(name, ME, NEVER) is True
        entries.release(name, ME)

    assert cluster.all_keys() == set()
    assert len({cluster.owner(slot_of(entry(1, store))) for store in STORES}) == 3


def test_several_are_read_and_won_wherever_they_are(entries: Entries) -> None:
    """In the order asked for, with gaps for what is missing or of another type."""
    keys = populate(entries, range(1, 2))
    asked = [keys[7], entry(99), *keys, keys[7]]
    names = [named(entries, 2, store) for store in STORES]

    assert entries.get_many(asked) == [b"[]", None, *[b"[]"] * len(keys), b"[]"]
    assert [found and found.payload for found in entries.get_many_aged(asked)] == entries.get_many(asked)
    assert entries.acquire_many([(name, ME, NEVER) for name in [*names, names[0]]]) == [True] * (
        len(names) + 1
    )


def test_another_type_is_a_miss(entries: Entries, cluster: PrivateCluster) -> None:
    """As on a single server."""
    name = named(entries, 1, 1)
    cluster.owner(slot_of(name.key)).admin.rpush(name.key, "x")

    assert entries.get(name.key) is None
    assert entries.get_many([name.key, entry(2)]) == [None, None]
    fill(entries, name)


def test_nothing_is_registered_in_an_index(entries: Entries, cluster: PrivateCluster) -> None:
    """Its keys would lie on other slots; drops sweep."""
    keys = populate(entries, range(1, 2))

    assert cluster.all_keys() == set(keys)


@pytest.mark.parametrize(
    ("value", "cacheable"),
    [("{a}", True), ("x{tag}y", True), ("{", True), ("}", False), ("a}b", False), ("{}a", False)],
)
def test_braces_in_values(value: str, cacheable: bool, entries: Entries) -> None:
    """A key's own tag is its lease's too; a brace that would end the lease's tag early bars it."""
    name = entries.name(entry(value, names=("Name",)).decode(), (), "", 60, indexed=False)

    assert (name is not None) is cacheable
    if name is not None:
        assert slot_of(name.key) == slot_of(name.lease)
        fill(entries, name)


def test_a_node_that_forgot_the_scripts_is_sent_them(entries: Entries, cluster: PrivateCluster) -> None:
    """Each node has to be told by itself, also among several."""
    for node in cluster.primaries:
        node.admin.script_flush()
    names = [named(entries, 1, store) for store in STORES]

    assert entries.acquire_many([(name, ME, NEVER) for name in names]) == [True] * len(names)
    for node in cluster.primaries:
        node.admin.script_flush()
    assert all(entries.fill(name, ME, b"[]", 60) for name in names)


# Slots that move


def test_a_slot_that_has_moved_is_found(entries: Entries, way: Cluster, cluster: PrivateCluster) -> None:
    """A command that went to the former owner is sent to the new one, alone or among others."""
    keys = populate(entries, range(1, 2))
    for turn, read in enumerate([lambda: [entries.get(key) for key in keys], lambda: entries.get_many(keys)]):
        slot = slot_of(keys[turn])
        receiver = next(node for node in cluster.primaries if node is not cluster.owner(slot))
        cluster.move(slot, receiver)
        assert read() == [b"[]"] * len(keys)
        assert way._owner(slot) == ("127.0.0.1", receiver.port)


def test_a_slot_under_way_is_served_by_both_sides(entries: Entries, cluster: PrivateCluster) -> None:
    """What is still there by the sender, what has gone by the receiver."""
    name = named(entries, 1, 1)
    slot = slot_of(name.key)
    sender, receiver = cluster.owner(slot), next(n for n in cluster.primaries if n is not cluster.owner(slot))
    fill(entries, name)
    cluster.open(slot, receiver)
    assert entries.get(name.key) == b"[]"
    cluster.carry(slot, sender, receiver)
    assert entries.get(name.key) == b"[]"
    assert entries.get_many([name.key, entry(2, 2)]) == [b"[]", None]
    # A script needs entry and lease on one side: with one of them gone it is told to try again later.
    with pytest.raises(CacheUnavailable):
        entries.acquire(name, ME, float("inf"))
    cluster.close(slot, receiver)

    assert entries.acquire(name, ME, float("inf")) is True


# Drops


def test_a_drop_sweeps_all_primaries(drops: MRCServer, entries: Entries, cluster: PrivateCluster) -> None:
    """Exactly its entries and leases go, and replicas follow their primaries."""
    populate(entries)
    held = [named(entries, 1, store) for store in range(100, 130)]
    for name in held:
        assert entries.acquire(name, ME, NEVER) is True
    for node in cluster.primaries:
        with suppress(redis.ResponseError):
            node.admin.set("session:UserId=1", "x")

    assert drops.drop_outdated_cache(["UserId"], [1], dry_run=True) == len(STORES)
    assert drops.drop_outdated_cache(["UserId"], [1]) == len(STORES)
    assert not any(entries.fill(name, ME, b"[]", 60) for name in held)
    assert of_user(cluster.all_keys(), 1) == set()
    assert len(of_user(cluster.all_keys(), 2)) == len(STORES)
    assert b"session:UserId=1" in cluster.all_keys()
    assert drops.drop_outdated_cache(["UserId", "StoreId"], [2, 7]) == 1


class Act:
    """Does something once, before the n-th batch of a sweep."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.moment, self.count, self.walks, self.act = -1, 0, 0, lambda: None
        scan = sweep.scan

        def watched(*args: Any) -> Iterator[list[bytes]]:
            self.walks += 1
            for names in scan(*args):
                if self.count == self.moment:
                    self.act()
                self.count += 1
                yield names

        monkeypatch.setattr(sweep, "scan", watched)
        monkeypatch.setattr(sweep, "SCAN_COUNT", 10)

    def at(self, moment: int, act: Callable[[], None]) -> None:
        self.moment, self.count, self.walks, self.act = moment, 0, 0, act


def test_leases_of_all_slots_are_given_back(entries: Entries) -> None:
    """On whichever nodes they are."""
    names = [named(entries, 1, store) for store in range(20)]
    for name in names:
        assert entries.acquire(name, b"me", -1.0) is True
    entries.end_many([(name, b"me", False) for name in names])

    assert [entries.acquire(name, b"another", -1.0) for name in names] == [True] * 20


@pytest.fixture
def acting(monkeypatch: pytest.MonkeyPatch) -> Act:
    return Act(monkeypatch)


@pytest.mark.parametrize("part", [0.2, 0.4, 0.55, 0.65])
def test_a_slot_that_moves_during_a_sweep_hides_nothing(
    part: float, acting: Act, drops: MRCServer, entries: Entries, cluster: PrivateCluster
) -> None:
    """Whether it goes to a node already swept or to one still to be: the sweep starts over."""
    loads = [named(entries, 1, store) for store in range(100, 160)]
    for receiver in cluster.primaries:
        populate(entries, range(1, 2))
        assert entries.acquire_many([(name, ME, NEVER) for name in loads]) == [True] * len(loads)
        acting.at(-1, lambda: None)
        drops.drop_outdated_cache(["UserId"], [3])
        batches, moving = acting.count, []
        for sender in {*cluster.primaries} - {receiver}:
            held = sorted(sender.keys())  # first an entry, last a lease: its name begins with a brace
            moving += [slot_of(held[0]), slot_of(held[-1])]
        acting.at(int(part * batches), partial(move, cluster, moving, receiver))
        drops.drop_outdated_cache(["UserId"], [1])

        assert acting.walks > 2 * 3
        assert cluster.all_keys() == set()
        assert not any(entries.fill(name, ME, b"[]", 60) for name in loads)


def move(cluster: PrivateCluster, slots: list[int], receiver: Node) -> None:
    for slot in set(slots):
        cluster.move(slot, receiver)


@pytest.mark.parametrize("place", ["among the primaries", "to a node without slots"])
def test_keys_of_a_slot_under_way_are_dropped_on_both_sides(
    place: str, drops: MRCServer, entries: Entries, cluster: PrivateCluster
) -> None:
    """The sender is walked before the receiver, which may serve no slot at all yet."""
    name = named(entries, 1, 1)
    slot, stay = slot_of(name.key), []
    for number in range(200_000):  # others in the same slot
        if slot_of(key := entry(1, 1000 + number)) == slot:
            stay.append(key)
        if len(stay) == 3:
            break
    sender = cluster.owner(slot)
    receiver = newcomer(cluster) if place == "to a node without slots" else other(cluster, sender)
    fill(entries, name)
    sender.admin.mset(dict.fromkeys(stay, b"[]"))
    cluster.open(slot, receiver)
    try:
        cluster.carry(slot, sender, receiver, count=2)
        assert [len(node.run("GETKEYSINSLOT", slot, 9)) for node in (sender, receiver)] == [2, 2]

        assert drops.drop_outdated_cache(["UserId"], [1]) == 4
        assert of_user(cluster.all_keys() | receiver.keys(), 1) == set()
    finally:
        for node in (sender, receiver):
            node.run("SETSLOT", slot, "STABLE")


def other(cluster: PrivateCluster, node: Node) -> Node:
    return next(each for each in cluster.primaries if each is not node)


def newcomer(cluster: PrivateCluster) -> Node:
    node = cluster.add()
    cluster.meet([node])
    cluster.settle()
    return node


def test_a_failover_by_command_during_a_sweep_starts_it_over(
    acting: Act, drops: MRCServer, entries: Entries, cluster: PrivateCluster
) -> None:
    """The replica that took over is swept."""
    populate(entries)
    demoted = cluster.owner(slot_of(entry(1, 1)))
    replica = next(node for node in cluster.nodes if f"slave {demoted.id}" in node.line())

    def take_over() -> None:
        eventually(lambda: replica.keys() == demoted.keys(), "the copy")
        replica.run("FAILOVER")
        eventually(lambda: "master" in replica.line() and "slave" in demoted.line(), "the failover")

    acting.at(2, take_over)
    drops.drop_outdated_cache(["UserId"], [1])

    assert of_user(cluster.all_keys(), 1) == set()
    assert len(of_user(cluster.all_keys(), 2)) == len(STORES)


def test_a_drop_may_wait_for_the_replicas_of_all(entries: Entries, cluster: PrivateCluster) -> None:
    """Each primary's replica has the deletions when it returns."""
    populate(entries)
    eventually(lambda: all(len(node.run("REPLICAS", node.id)) == 1 for node in serving(cluster)), "replicas")
    with cluster.client() as client, MRCServer(client, wait_replicas=1) as drops:
        assert drops.drop_outdated_cache(["UserId"], [1]) == len(STORES)
    replicas = [node for node in cluster.nodes if "slave" in node.line()]

    assert of_user(set().union(*(node.keys() for node in replicas)), 1) == set()


def serving(cluster: PrivateCluster) -> list[Node]:
    return [node for node in cluster.primaries if len(node.line().split(" ")) > 8]


# Bad luck


@pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_interruptions_mix_up_nothing(way: Cluster, entries: Entries) -> None:
    """Whatever a signal handler interrupts, every reply belongs to its command."""
    names = [named(entries, 1, store) for store in STORES]
    values = {name.key: name.key for name in names}
    for name in names:
        entries.put(name, name.key, 60)
    chance, wrong, right, interrupted = random.Random(3), [], 0, 0
    give_up = time.monotonic() + 60
    with alarms() as alarm:
        while (interrupted < 500 or right < 200) and time.monotonic() < give_up:
            try:
                alarm(chance.uniform(5e-5, 2e-3))
                for _ in range(5):
                    asked = chance.sample(list(values), 3)
                    replies = entries.get_many(asked)
                    right += 1
                    if replies != asked:
                        wrong.append((asked, replies))
                alarm(0)
            except Interrupted:
                interrupted += 1

    assert wrong == []
    assert interrupted >= 500
    assert right >= 200


def test_a_child_has_connections_of_its_own(way: Cluster, entries: Entries) -> None:
    """To every node."""
    keys = populate(entries, range(1, 2))

    def ids() -> list[int]:
        return [part.server.call(b"CLIENT", b"ID") for part in way.parts()[0]]

    own = ids()
    told = in_child(lambda: [entries.get_many(keys) == [b"[]"] * len(keys), ids()])

    assert told[0] is True
    assert all(mine != its for mine, its in zip(own, told[1], strict=True))
    assert ids() == own


def test_a_cluster_that_does_not_answer_costs_a_bounded_time(cluster: PrivateCluster) -> None:
    """Frozen, all of it: a read gives up within the bounds of one server, more or less."""
    with cluster.client() as client:
        made = link(client)
    with closing(made):
        made.call(b"GET", b"key")
        for node in cluster.nodes:
            node.server.suspend()
        try:
            for call in (lambda: made.call(b"GET", b"key"), lambda: made.get_many([b"a", b"b"])):
                began = time.monotonic()
                with pytest.raises(CacheUnavailable):
                    call()
                assert time.monotonic() - began < 1.5
        finally:
            for node in cluster.nodes:
                node.server.resume()
        cluster.settle()
        eventually(lambda: _answers(made), "the answer")


def test_a_drop_ends_in_time_on_a_cluster_that_does_not_answer(cluster: PrivateCluster) -> None:
    """Frozen, all of it: whatever it asks first counts."""
    with cluster.client() as client, MRCServer(client) as drops:
        drops.drop_outdated_cache(["UserId"], [1])
        for node in cluster.nodes:
            node.server.suspend()
        try:
            for idle in (True, False):
                if not idle:
                    drops.close_redis_connection()
                began = time.monotonic()
                with pytest.raises(DropTimeout):
                    drops.drop_outdated_cache(["UserId"], [1], timeout=0.4)
                assert time.monotonic() - began < 1.2
        finally:
            for node in cluster.nodes:
                node.server.resume()
        cluster.settle()
        assert drops.drop_outdated_cache(["UserId"], [1]) == 0


def test_queries_and_everything_are_dropped_on_all_nodes(
    drops: MRCServer, mysql_url: str, cluster: PrivateCluster
) -> None:
    """By walks over all of them, with and without params; single entries where they lie."""
    with cluster.client(socket_timeout=5) as way, MRCClient(mysql_url, way) as client:
        for user in range(20):
            client.write_to_cache("f", user, [user], ["UserId"], tags={"Table": "users"})
            client.write_to_cache("g", user, [user])

        assert drops.drop_many("UserId", [3, 4]) == 2
        assert client.drop_query("g", [3]) is True
        assert drops.drop_query("f", any_params=True, dry_run=True) == 18
        assert drops.drop_query("f", any_params=True) == 18
        assert client.drop_all() == 19
        assert client.drop_all() == 0


def test_many_pairs_are_one_drop_of_all_nodes(
    drops: MRCServer, entries: Entries, cluster: PrivateCluster
) -> None:
    """As on one server."""
    populate(entries, range(1, 9))
    assert drops.drop_outdated_cache(["UserId"] * 3000, list(range(3, 3003)), False) == 6 * len(STORES)
    assert {key[:9] for key in cluster.all_keys()} == {b"UserId=1_", b"UserId=2_"}


def _answers(made: Cluster | Server) -> bool:
    try:
        made.call(b"GET", b"key")
    except CacheUnavailable:
        return False
    return True


def test_a_primary_that_dies_is_replaced(
    way: Cluster, entries: Entries, drops: MRCServer, cluster: PrivateCluster
) -> None:
    """Until its replica has taken over, what lay there fails in bounded time; drops raise, or keep trying."""
    populate(entries)
    dying = cluster.owner(slot_of(entry(1, 1)))
    replica = next(node for node in cluster.nodes if f"slave {dying.id}" in node.line())
    eventually(lambda: replica.keys() == dying.keys(), "the copy")
    dying.server.kill()
    with pytest.raises(CacheUnavailable):
        entries.get(entry(1, 1))
    with pytest.raises(CacheUnavailable):
        drops.drop_outdated_cache(["UserId"], [1])

    assert drops.drop_outdated_cache(["UserId"], [1], retry_for=20) <= len(STORES)
    assert entries.get_many([entry(2, store) for store in STORES]) == [b"[]"] * len(STORES)
    assert entries.get_many([entry(1, store) for store in STORES]) == [None] * len(STORES)
    dying.server.start()
    eventually(lambda: "slave" in dying.line(), "the return as a replica")
    assert entries.get(entry(2, 1)) == b"[]"


# Configuration


@pytest.mark.filterwarnings("ignore:.*read_from_replicas:DeprecationWarning")
def test_a_client_that_reads_from_replicas_is_refused(cluster: PrivateCluster) -> None:
    """What replicas serve may be older than a drop."""
    message = "reads from replicas, which serve stale rows; turn that off"
    with cluster.client(read_from_replicas=True) as client, pytest.raises(ValueError, match=message):
        link(client)


def test_its_connection_arguments_are_taken_within_bounds(cluster: PrivateCluster) -> None:
    """And addresses that have to be mapped are."""
    asked: list[tuple[str, int]] = []

    def remap(address: tuple[str, int]) -> tuple[str, int]:
        asked.append(address)
        return ("localhost", address[1])

    with cluster.client(client_name="shop", address_remap=remap, decode_responses=True) as client:
        made = link(client)
    with closing(made):
        made.call(b"SET", b"key", b"\xff")
        server = made.parts()[0][0].server
        connection = server._connections._make()

        assert made.call(b"GET", b"key") == b"\xff"
        assert (connection.client_name, connection.host, connection.socket_timeout) == (
            "shop",
            "localhost",
            0.25,
        )
        assert asked


@pytest.fixture
def announcing(cluster: PrivateCluster) -> Iterator[PrivateCluster]:
    """A cluster whose nodes are to be reached by a name, as where certificates hold names."""
    settings = ("cluster-announce-hostname", "cluster-preferred-endpoint-type")
    for node in cluster.nodes:
        node.admin.config_set(settings[0], "localhost", settings[1], "hostname")
    eventually(lambda: all(_names(node) == {b"localhost"} for node in cluster.nodes), "the names")
    yield cluster
    for node in cluster.nodes:
        node.admin.config_set(settings[0], "", settings[1], "ip")
    eventually(lambda: all(_names(node) == {b"127.0.0.1"} for node in cluster.nodes), "the addresses")


def _names(node: Node) -> set[bytes]:
    return {server[0] for _, _, *servers in node.run("SLOTS") for server in servers}


def test_nodes_that_announce_names_are_reached_by_them(announcing: PrivateCluster) -> None:
    """For reads, redirections and sweeps, also a node that is only about to get its first slot."""
    cluster = announcing
    with (
        cluster.client(socket_timeout=5) as client,
        closing(link(client)) as made,
        MRCServer(client) as drops,
    ):
        assert isinstance(made, Cluster)
        entries = Entries(made, 10)
        keys = populate(entries, range(1, 2))
        slot = slot_of(keys[0])
        sender = cluster.owner(slot)
        cluster.move(slot, other(cluster, sender))
        assert entries.get_many(keys) == [b"[]"] * len(keys)
        receiver = newcomer(cluster)
        receiver.admin.config_set(
            "cluster-announce-hostname", "localhost", "cluster-preferred-endpoint-type", "hostname"
        )
        eventually(
            lambda: all(b"localhost" in _line_of(node, receiver) for node in cluster.nodes), "its name"
        )
        sender = cluster.owner(slot)
        cluster.open(slot, receiver)
        try:
            cluster.carry(slot, sender, receiver, count=1)
            hosts = {part.server._connections._make().host for part in made.parts()[0]}
            assert hosts == {"localhost"}
            assert drops.drop_outdated_cache(["UserId"], [1]) == len(keys)
            assert of_user(cluster.all_keys() | receiver.keys(), 1) == set()
        finally:
            for node in (sender, receiver):
                node.run("SETSLOT", slot, "STABLE")


def _line_of(node: Node, other_one: Node) -> bytes:
    lines: list[bytes] = node.run("NODES").splitlines()
    return next((line for line in lines if line.startswith(other_one.id.encode())), b"")


def test_a_ready_clients_number_of_connections_counts(cluster: PrivateCluster) -> None:
    """For each node; fifty if its maker said none."""
    limits = []
    for options in ({"max_connections": 7}, {}):
        with cluster.client(**options) as client, closing(link(client)) as made:
            limits.append({part.server._connections._limit for part in made.parts()[0]})

    assert limits == [{7}, {50}]


def test_a_server_that_is_no_cluster_says_so(cluster: PrivateCluster, redis_url: str) -> None:
    """Also if the cluster's nodes were replaced by an ordinary one: an outage, not a crash."""
    made = Cluster([("127.0.0.1", 1)], lambda host, port: link(redis_url), 0.25)  # type: ignore[arg-type,return-value]
    with (
        closing(made),
        pytest.raises(CacheUnavailable, match="no node of the Redis Cluster said who serves what"),
    ):
        made.call(b"GET", b"key")
