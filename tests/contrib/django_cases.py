"""What the Django app promises, as tests that Django's own runner runs for the example project.

``test_django.py`` starts them, once with each driver.
"""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from io import StringIO
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
import redis
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import OperationalError, ProgrammingError, connection, models, transaction
from django.db.models import F
from django.test import AsyncClient, SimpleTestCase, TestCase, TransactionTestCase, override_settings
from shop import queries
from shop.models import Label, Order, User

from mysql_redis_cache import MRCClient, MRCServer
from mysql_redis_cache.contrib.django import (
    async_client,
    client,
    clients,
    drop_on_commit,
    drops,
    drops_failed,
)
from mysql_redis_cache.contrib.django.configuring import configuration
from mysql_redis_cache.contrib.django.tables import TABLE_TAG
from mysql_redis_cache.drops import Drops
from mysql_redis_cache.follow import rules
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

REDIS = settings.CACHES["default"]["LOCATION"]
NOWHERE = "redis://127.0.0.1:1/0"
NAMES = "SELECT name FROM shop_user WHERE id = ?"


def mrc(**fields: Any) -> Any:
    return override_settings(MRC={"default": {"REDIS": REDIS, "INDEX": True, **fields}})


def in_redis() -> list[bytes]:
    """The names of all entries."""
    with redis.Redis.from_url(REDIS) as server:
        return [name for name in server.scan_iter() if b"mrc:" not in name]


@contextmanager
def performed() -> Iterator[list[int]]:
    """Count the matchers of each drop that is performed."""
    sizes: list[int] = []
    perform = Drops.perform

    def counting(self: Drops, wanted: Any, *arguments: Any, **options: Any) -> int:
        sizes.append(len(wanted))
        return perform(self, wanted, *arguments, **options)

    with patch.object(Drops, "perform", counting):
        yield sizes


class Undone(Exception):
    """Undoes a block of ``atomic()``."""


undone = partial(suppress, Undone)


class Case:
    """What both kinds of test begin with: an empty Redis, one user."""

    def setUp(self) -> None:
        with redis.Redis.from_url(REDIS) as server:
            server.flushdb()
        self.ada = User.objects.create(name="Ada", store_id=6)
        with redis.Redis.from_url(REDIS) as server:
            server.flushdb()

    def name(self, **options: Any) -> str:
        row = client.query_with_cache(NAMES, [self.ada.pk], ["UserId"], one=True, **options)
        assert row is not None
        return str(row["name"])


class InTransactionTest(Case, TestCase):
    """Each test is a transaction that is never committed."""

    def test_reads_see_what_is_not_committed_and_cache_nothing(self) -> None:
        with self.assertNumQueries(2):
            assert [self.name(), self.name()] == ["Ada", "Ada"]
        assert queries.names(6) == ["Ada"]
        assert client.query_many_with_cache([(NAMES, [self.ada.pk])]) == [[{"name": "Ada"}]]
        assert in_redis() == []

    def test_statements_are_part_of_it(self) -> None:
        assert client.execute("UPDATE shop_user SET name = ? WHERE id = ?", ["Eve", self.ada.pk])[:2] == (
            1,
            0,
        )
        self.ada.refresh_from_db()
        assert self.ada.name == "Eve"
        assert client.query(NAMES, [self.ada.pk]) == [{"name": "Eve"}]
        inserted = client.execute("INSERT INTO shop_label (text) VALUES (?)", ["new"])
        assert inserted[:2] == (1, Label.objects.get().pk)
        assert client.query_to_promise(NAMES, [self.ada.pk]) == [{"name": "Eve"}]

    def test_drops_wait_for_a_commit(self) -> None:
        client.write_to_cache("v1", 1, [7], ["Id"])
        with self.captureOnCommitCallbacks() as calls:
            assert client.drop_outdated_cache(["Id"], [7]) == 0
            drop_on_commit(["Id"], [8])
        assert (len(calls), client.read_from_cache("v1", [7], ["Id"])) == (2, 1)

        with performed() as sizes, self.captureOnCommitCallbacks(execute=True):
            client.drop_outdated_cache(["Id"], [7])
            drop_on_commit(["Id"], [9])
        assert sizes == [5]  # with those of before, which have not been performed, each once
        assert client.read_from_cache("v1", [7], ["Id"]) is None

        client.write_to_cache("v1", 1, [7], ["Id"])
        with performed() as sizes, self.captureOnCommitCallbacks(execute=True):
            drop_on_commit(["Id"], [7])
        assert (sizes, client.read_from_cache("v1", [7], ["Id"])) == ([1], None)

    def test_a_client_s_transaction_is_a_savepoint(self) -> None:
        with undone(), client.transaction() as tx:
            tx.execute("UPDATE shop_user SET name = 'Eve'")
            assert self.name() == "Eve"
            raise Undone
        assert self.name() == "Ada"

    async def test_coroutines_load_over_the_test_s_connection_and_cache_nothing(self) -> None:
        async def load() -> list[str]:
            return [user.name async for user in User.objects.all()]

        assert await queries.user_async(self.ada.pk) == {"id": self.ada.pk, "name": "Ada", "store_id": 6}
        many = await async_client.query_many_with_cache([(NAMES, [self.ada.pk]), (NAMES, [0])])
        assert many == [[{"name": "Ada"}], []]
        assert await async_client.with_cache(load, "names_v1") == ["Ada"]
        assert await async_client.with_cache(User.objects.count, "count_v1") == 1
        assert in_redis() == []


class CommittedTest(Case, TransactionTestCase):
    """Transactions that are committed, or not there."""

    def test_a_miss_is_one_query_and_a_hit_is_none(self) -> None:
        with self.assertNumQueries(1):
            assert [self.name() for _ in range(3)] == ["Ada"] * 3
        (entry,) = in_redis()
        assert entry.startswith(f"{connection.settings_dict['NAME']}:UserId={self.ada.pk}_".encode())

    async def test_coroutines_share_entries_with_blocking_code(self) -> None:
        assert await queries.user_async(self.ada.pk) == await sync_to_async(queries.user)(self.ada.pk)
        assert len(in_redis()) == 1
        await User.objects.filter(pk=self.ada.pk).aupdate(name="Eve")
        assert (await queries.user_async(self.ada.pk) or {})["name"] == "Ada"  # no signal, no tag
        assert await async_client.drop_outdated_cache(["UserId"], [self.ada.pk]) == 1
        assert (await AsyncClient().get(f"/users/{self.ada.pk}/async")).json()["name"] == "Eve"

    def another(self) -> MRCClient:
        """A client with connections of its own."""
        said = connection.settings_dict
        own = {"host": said["HOST"], "port": said["PORT"], "user": said["USER"], "password": said["PASSWORD"]}
        return MRCClient(own | {"db": said["NAME"]})

    def test_a_connection_that_django_replaces_when_it_is_next_used(self) -> None:
        order = Order.objects.create(user=self.ada, state="new", total=1)
        (number,) = client.query("SELECT CONNECTION_ID() AS id", into=int)
        with self.another() as other:
            other.execute("KILL ?", [number])
        connection.health_check_enabled, connection.health_check_done = True, False
        (row,) = client.query_with_cache("SELECT total, placed_at FROM shop_order WHERE id = ?", [order.pk])
        assert (row["total"], type(row["placed_at"])) == (1.0, str)

    def test_values_are_those_of_the_library_s_own_connections(self) -> None:
        Order.objects.create(user=self.ada, state="nëw\\", total=Decimal("9.90"))
        texts = ["SELECT * FROM shop_order", "SELECT NOW(6) > 0, SUM(total), X'00', NULL FROM shop_order"]
        with self.another() as other:
            for text in texts:
                assert (
                    repr(client.query_with_cache(text)) == repr(other.query(text)) == repr(client.query(text))
                )

    def test_strings_arrive_whatever_the_sql_mode_is(self) -> None:
        sent = ["O'Brien", "a\\", "\\' OR 1 -- ", 'x"y', "%s", "é\0", "\n"]
        for mode in ("", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES"):
            with connection.cursor() as cursor:
                cursor.execute("SET SESSION sql_mode = %s", [mode])
            columns = ", ".join(f"? AS c{place}" for place in range(len(sent)))
            (row,) = client.query(f"SELECT {columns}", sent)
            assert list(row.values()) == sent, mode
        connection.close()

    def test_a_transaction_reads_its_own_writes_and_drops_when_it_is_committed(self) -> None:
        assert self.name() == "Ada"
        with performed() as sizes, transaction.atomic():
            self.ada.name = "Eve"
            self.ada.save()
            assert self.name() == "Eve"
            Order.objects.create(user=self.ada, state="new", total=1)
            assert client.read_from_cache(NAMES, [self.ada.pk], ["UserId"]) == [{"name": "Ada"}]
            assert sizes == []
        assert len(sizes) == 1
        assert self.name() == "Eve"

    def test_a_transaction_that_is_rolled_back_drops_nothing(self) -> None:
        assert self.name() == "Ada"
        with performed() as sizes:
            with undone(), transaction.atomic():
                self.ada.name = "Eve"
                self.ada.save()
                raise Undone
            with transaction.atomic():
                pass
        assert (sizes, self.name()) == ([], "Ada")

    def test_a_savepoint_that_is_undone_takes_no_other_s_drops_along(self) -> None:
        for number in (1, 2, 3):
            client.write_to_cache("v1", 1, [number], ["Id"])
        with transaction.atomic():
            with undone(), transaction.atomic():
                drop_on_commit(["Id"], [1])
                raise Undone
            drop_on_commit(["Id"], [2])
            with transaction.atomic():
                drop_on_commit(["Id"], [3])
        assert [client.read_from_cache("v1", [number], ["Id"]) for number in (2, 3)] == [None, None]

    def test_a_client_s_transaction_is_django_s(self) -> None:
        assert self.name() == "Ada"
        with client.transaction() as tx:
            assert connection.in_atomic_block
            tx.execute("UPDATE shop_user SET name = ? WHERE id = ?", ["Eve", self.ada.pk])
            tx.drop_outdated_cache(["UserId"], [self.ada.pk])
            assert tx.query(NAMES, [self.ada.pk]) == [{"name": "Eve"}]
        assert self.name() == "Eve"
        client.execute(
            "UPDATE shop_user SET name = ? WHERE id = ?", ["Flo", self.ada.pk], drops={"UserId": self.ada.pk}
        )
        assert self.name() == "Flo"

    def test_without_autocommit_nothing_is_cached(self) -> None:
        transaction.set_autocommit(False)
        try:
            assert self.name() == "Ada"
        finally:
            transaction.rollback()
            transaction.set_autocommit(True)
        assert in_redis() == []

    def test_somebody_else_s_function_that_raises_after_the_commit_keeps_no_drop(self) -> None:
        def fail() -> None:
            raise Undone

        assert self.name() == "Ada"
        with undone(), transaction.atomic():
            transaction.on_commit(fail)
            User.objects.update(name="Eve")
            drop_on_commit(["UserId"], [self.ada.pk])
        assert self.name() == "Eve"

    def test_drops_follow_a_commit_by_hand(self) -> None:
        def rename(name: str, end: Any) -> list[str]:
            """The names that others read from the cache before and after the end."""
            seen = []
            User.objects.update(name=name)
            with transaction.atomic():
                drop_on_commit(["UserId"], [self.ada.pk])
            drop_on_commit(["UserId"], [self.ada.pk])
            seen.append(client.read_from_cache(NAMES, [self.ada.pk], ["UserId"]))
            end()
            seen.append(client.read_from_cache(NAMES, [self.ada.pk], ["UserId"]))
            return [rows and rows[0]["name"] for rows in seen]

        for _ in range(2):
            assert self.name() == "Ada"
            transaction.set_autocommit(False)
            try:
                assert rename("Eve", transaction.rollback) == ["Ada", "Ada"]
                assert rename("Eve", transaction.commit) == ["Ada", None]
                assert connection.run_on_commit == []
            finally:
                transaction.rollback()
                transaction.set_autocommit(True)
            with transaction.atomic():
                User.objects.update(name="Ada")
                drop_on_commit(["UserId"], [self.ada.pk])

    def test_a_drop_that_fails_after_the_commit_is_told_and_can_be_repeated(self) -> None:
        failures: list[Any] = []

        def hear(sender: str, failure: Any, **_: Any) -> None:
            failures.append((sender, failure))
            raise RuntimeError("of the receiver's own")

        namespace = connection.settings_dict["NAME"]
        client.write_to_cache("v1", 1, [7], ["Id"])
        drops_failed.connect(hear)
        try:
            with mrc(REDIS=NOWHERE), self.assertLogs("mysql_redis_cache", "ERROR") as log:
                with transaction.atomic():
                    drop_on_commit(["Id"], [7])
                    drop_on_commit(["Id"], [8])
                drop_on_commit(["Id"], [9])
        finally:
            drops_failed.disconnect(hear)
        assert [sender for sender, _ in failures] == ["default", "default"]
        assert len(log.records) == 4
        message = failures[0][1].to_json()
        assert [each["key_values"] for each in json.loads(message)["drops"]] == [[7], [8]]
        with MRCServer(REDIS, namespace=namespace, index=True) as server:
            assert server.drop_again(message) == 1

    def test_a_refresh_behind_a_reader_s_back_leaves_no_connection_open(self) -> None:
        opened = "SELECT COUNT(*) AS n FROM information_schema.processlist WHERE db = DATABASE()"
        with mrc(OPTIONS={"stale_while_revalidate": 60}):
            assert self.name(ttl=1) == "Ada"
            User.objects.update(name="Eve")
            assert wait_until(lambda: self.name(ttl=1) == "Eve")
            assert wait_until(lambda: client.query(opened) == [{"n": 1}])

    def test_moments_are_aware_both_ways(self) -> None:
        order = Order.objects.create(user=self.ada, state="new", total=1)
        (bought,) = queries.orders(self.ada.pk)
        assert (bought.placed_at, bought.placed_at.tzinfo) == (order.placed_at, UTC)
        later = datetime.now(UTC) + timedelta(hours=1)
        text = "SELECT id FROM shop_order WHERE placed_at < ?"
        assert client.query_with_cache(text, [later], ["Before"]) == [{"id": order.pk}]

    def test_what_is_refused(self) -> None:
        for text in ("CALL p()", "START TRANSACTION", "UPDATE shop_user SET name = 'x'"):
            with pytest.raises(ValueError):
                client.query_with_cache(text)
        with pytest.raises(RuntimeError, match="has no pool"):
            client.get_mysql_pool()

    async def test_transactions_of_coroutines_are_refused(self) -> None:
        with pytest.raises(TypeError, match="begin in blocking code"):
            async with async_client.transaction():
                pass

    def test_errors_are_django_s(self) -> None:
        for ask in (connection.cursor().execute, client.query_with_cache):
            with pytest.raises(ProgrammingError) as caught:
                ask("SELECT * FROM no_such_table")
            assert caught.value.args[0] == 1146


class Parcel(Order):
    """A subclass that is defined after the declaration."""

    class Meta:
        app_label = "shop"
        proxy = True


class DeclaredDropsTest(Case, TransactionTestCase):
    """``@drops(Order, UserId="user_id")`` of the example."""

    def setUp(self) -> None:
        super().setUp()
        self.bob = User.objects.create(name="Bob", store_id=6)
        self.order = Order.objects.create(user=self.ada, state="new", total=1)
        for user in (self.ada, self.bob):
            client.write_to_cache("v1", 1, [user.pk], ["UserId"])

    def left(self) -> list[str]:
        users = (self.ada, self.bob)
        return [user.name for user in users if client.read_from_cache("v1", [user.pk], ["UserId"])]

    def test_a_row_that_stays_where_it_is(self) -> None:
        self.order.state = "paid"
        with performed() as sizes:
            self.order.save(update_fields=["state"])
        assert self.left() == ["Bob"]
        assert sizes == [1, 1]  # and the tag of its table

    def test_a_row_that_moves(self) -> None:
        self.order.user = self.bob
        self.order.save()
        assert self.left() == []

    def test_a_row_whose_instance_is_outdated(self) -> None:
        outdated = Order.objects.get()
        Order.objects.update(user=self.bob)
        outdated.save()  # back to Ada
        assert self.left() == []

    def test_a_value_that_the_database_works_out(self) -> None:
        self.order.user_id = F("user_id") + (self.bob.pk - self.ada.pk)
        self.order.save()
        assert self.left() == []

    def test_new_rows(self) -> None:
        with self.assertNumQueries(1):
            Order.objects.create(user=self.bob, state="new", total=1)
        assert self.left() == ["Ada"]

    def test_a_row_written_over_by_its_key(self) -> None:
        Order(pk=self.order.pk, user=self.bob, state="x", total=1, placed_at=self.order.placed_at).save()
        assert self.left() == []

    def test_deleted_rows(self) -> None:
        outdated = Order.objects.get()
        Order.objects.update(user=self.bob)
        outdated.delete()
        assert self.left() == ["Ada"]

    def test_deleted_rows_of_a_query_and_of_a_cascade(self) -> None:
        Order.objects.create(user=self.bob, state="new", total=1)
        client.write_to_cache("v1", 1, [self.bob.pk], ["UserId"])
        Order.objects.filter(user=self.ada).delete()
        assert self.left() == ["Bob"]
        User.objects.filter(pk=self.bob.pk).delete()
        assert self.left() == []

    def test_deferred_fields(self) -> None:
        order = Order.objects.only("state").get()
        order.state = "paid"
        order.save()
        assert self.left() == ["Bob"]

    def test_subclasses_are_heard_too(self) -> None:
        assert models.signals.pre_delete.has_listeners(Parcel)
        assert not models.signals.pre_delete.has_listeners(Label)

    def test_bad_declarations(self) -> None:
        with pytest.raises(ValueError, match="no column for 'usr'; it has id, user_id, state"):
            drops(Order, UserId="usr")
        with pytest.raises(ValueError, match="no column for 'labels'"):
            drops(Order, UserId="labels")
        with pytest.raises(ValueError, match="names no pair"):
            drops(Order)


class TableTagsTest(Case, TransactionTestCase):
    """``TABLE_TAGS``: whatever Django sends."""

    def setUp(self) -> None:
        super().setUp()
        self.order = Order.objects.create(user=self.ada, state="new", total=1)
        self.label = Label.objects.create(text="gift")

    def dropped(self) -> set[str]:
        """The tables whose tags have been dropped since the last call."""
        tables = ["shop_user", "shop_order", "shop_label", "shop_order_labels"]
        gone = {table for table in tables if client.read_from_cache(table, tags={"Table": table}) is None}
        for table in tables:
            client.write_to_cache(table, 1, tags={"Table": table})
        return gone

    def test_every_kind_of_write(self) -> None:
        def raw(text: str) -> None:
            with connection.cursor() as cursor:
                cursor.execute(text)

        def many() -> None:
            with connection.cursor() as cursor:
                cursor.executemany("INSERT INTO shop_label (text) VALUES (%s)", [["a"], ["b"]])

        self.order.state = "paid"
        writes: list[tuple[Any, set[str]]] = [
            (self.order.save, {"shop_order"}),
            (lambda: Label.objects.create(text="x"), {"shop_label"}),
            (lambda: Label.objects.bulk_create([Label(text="x"), Label(text="y")]), {"shop_label"}),
            (lambda: Order.objects.update(state="sent"), {"shop_order"}),
            (lambda: Order.objects.filter(user__name="Ada").update(state="x"), {"shop_order"}),
            (lambda: Order.objects.bulk_update([self.order], ["state"]), {"shop_order"}),
            (lambda: self.order.labels.add(self.label), {"shop_order_labels"}),
            (lambda: self.order.labels.remove(self.label), {"shop_order_labels"}),
            (lambda: self.order.labels.set([self.label]), {"shop_order_labels"}),
            (self.order.labels.clear, {"shop_order_labels"}),
            (lambda: raw("UPDATE shop_user SET name = 'Eve'"), {"shop_user"}),
            (many, {"shop_label"}),
            (lambda: client.execute("DELETE FROM shop_label"), {"shop_label"}),
            (lambda: list(User.objects.select_for_update()) if connection.in_atomic_block else None, set()),
            (self.ada.delete, {"shop_user", "shop_order", "shop_order_labels"}),
        ]
        self.dropped()
        for place, (write, tables) in enumerate(writes):
            write()
            assert self.dropped() == tables, place

    def test_with_the_commit_as_one_drop(self) -> None:
        self.dropped()
        with performed() as sizes, transaction.atomic():
            for _ in range(3):
                Label.objects.create(text="x")
            self.order.labels.add(self.label)
        assert sizes == [2]
        assert self.dropped() == {"shop_label", "shop_order_labels"}
        with undone(), transaction.atomic():
            Label.objects.create(text="x")
            raise Undone
        assert self.dropped() == set()

    def test_a_write_that_fails_may_have_written(self) -> None:
        self.dropped()
        with pytest.raises(OperationalError):
            connection.cursor().execute("UPDATE shop_label SET nothing = 1")
        assert self.dropped() == {"shop_label"}

    def test_a_connection_that_is_opened_amid_other_wrappers(self) -> None:
        self.dropped()
        seen: list[str] = []

        def see(execute: Any, sql: str, *rest: Any) -> Any:
            seen.extend([sql] * sql.startswith("UPDATE"))
            return execute(sql, *rest)

        for _ in range(2):
            connection.close()
            connection.execute_wrappers.clear()
            with connection.execute_wrapper(see):
                Label.objects.update(text="y")
            assert self.dropped() == {"shop_label"}
        Label.objects.update(text="z")
        assert (len(seen), self.dropped()) == (2, {"shop_label"})

    def test_only_if_asked_for(self) -> None:
        with mrc():
            self.dropped()
            Label.objects.create(text="x")
            assert self.dropped() == set()

    def test_the_tag_is_the_follower_s(self) -> None:
        assert rules.TABLE_TAG == TABLE_TAG


class SettingsTest(SimpleTestCase):
    """What the setting may say, and what is said to it."""

    databases = frozenset({"default"})

    def test_clients_follow_the_settings(self) -> None:
        before = client.get_key_from_query("v1")
        with mrc(NAMESPACE=None, OPTIONS={"namespace": "blog"}):
            assert client.get_key_from_query("v1") == f"blog:{before.partition(':')[2]}"
            assert async_client.get_key_from_query("v1") == client.get_key_from_query("v1")
        assert client.get_key_from_query("v1") == before
        client.close()
        assert client.get_key_from_query("v1") == before

    def test_a_namespace_is_kept_apart_from_that_of_tests(self) -> None:
        name = connection.settings_dict["NAME"]
        for given, used in (("shop", f"shop.{name}:"), (None, f"{name}:")):
            with mrc(NAMESPACE=given):
                assert client.get_key_from_query("v1").startswith(used)

    def test_a_forked_test_process_has_the_namespace_of_its_own_database(self) -> None:
        key = client.get_key_from_query("v1")
        try:
            with patch.dict(connection.settings_dict, NAME="clone_1"):
                clients.after_fork_in_child()
                assert client.get_key_from_query("v1").startswith("clone_1:")
        finally:
            client.close()
        assert client.get_key_from_query("v1") == key

    def test_clients_by_alias(self) -> None:
        two = {"default": {"REDIS": REDIS}, "other": {"REDIS": None, "NAMESPACE": "other"}}
        with override_settings(MRC=two):
            assert list(clients) == ["default", "other"]
            assert (clients["default"], clients["other"].aio) == (client, clients["other"].aio)
            assert clients["other"].get_key_from_query("v1").startswith("other.")
        with pytest.raises(ImproperlyConfigured, match=r"MRC has no 'other'; it has 'default'"):
            clients["other"]

    def test_places_of_a_cache(self) -> None:
        places: list[tuple[Any, Any]] = [
            ({"LOCATION": [REDIS, "redis://replica"]}, ""),
            ({"LOCATION": f"{REDIS};redis://replica"}, ""),
            ({"LOCATION": REDIS, "OPTIONS": {"db": 1}}, "?db=1"),
            (
                {"LOCATION": f"{REDIS}?a=b", "OPTIONS": {"PASSWORD": "p@:/w", "x": 1}},
                "?a=b&password=p%40%3A%2Fw",
            ),
        ]
        for cache, more in places:
            with override_settings(CACHES={"default": cache}, MRC={"default": {"CACHE": "default"}}):
                assert configuration("default").redis == f"{REDIS}{more}"

    def test_checks(self) -> None:
        good = {"REDIS": REDIS}
        memory = "django.core.cache.backends.locmem.LocMemCache"
        elsewhere = {"CACHES": {"default": {"BACKEND": memory, "LOCATION": "here"}}}
        faults: list[tuple[Any, str, str]] = [
            ({"MRC": None}, "E001", "must be a dict of clients"),
            ({"MRC": {"default": 7}}, "E001", "must be a dict, not int"),
            ({"MRC": {"default": good | {"DATABSE": "x"}}}, "E002", "did you mean 'DATABASE'"),
            ({"MRC": {"default": good | {"DATABASE": "x"}}}, "E003", "DATABASES has 'default'"),
            ({"MRC": {"default": {}}}, "E004", "needs CACHE"),
            ({"MRC": {"default": good | {"CACHE": "default"}}}, "E004", "or else REDIS"),
            ({"MRC": {"default": {"CACHE": "x"}}}, "E004", "CACHES has 'default'"),
            ({"MRC": {"default": {"CACHE": "default"}}, **elsewhere}, "E004", "LOCATION that is no redis://"),
            ({"MRC": {"default": {"REDIS": "http://"}}}, "E005", "redis_config is not a redis://"),
            ({"MRC": {"default": good | {"OPTIONS": {"nmespace": 1}}}}, "E005", "nmespace"),
            ({"MRC": {"default": good | {"OPTIONS": {"near": 1}}}}, "E005", "near must be"),
            (
                {"MRC": {"default": good | {"TABLE_TAGS": True, "OPTIONS": {"names": {"UserId"}}}}},
                "E005",
                "'Table' is none of the declared",
            ),
            ({"MRC": {"default": good | {"TABLE_TAGS": True}}}, "W002", "walks over all keys"),
        ]
        for said, number, text in faults:
            with override_settings(**said):
                found = [each for each in checks.run_checks() if "mysql_redis_cache" in str(each.id)]
            assert [each.id for each in found] == [f"mysql_redis_cache.{number}"], said
            assert text in found[0].msg, found
        assert checks.run_checks() == []
        with patch.dict(connection.settings_dict, ATOMIC_REQUESTS=True):
            assert [each.id for each in checks.run_checks()] == ["mysql_redis_cache.W001"]


class CommandTest(Case, TransactionTestCase):
    """``manage.py mrc``."""

    def run_(self, *arguments: str) -> str:
        with patch("sys.stdout", StringIO()) as output:
            call_command("mrc", *arguments)
        return output.getvalue()

    def test_commands_are_for_the_servers_of_the_settings(self) -> None:
        self.name()
        assert f"UserId={self.ada.pk}_" in self.run_("ls")
        assert self.run_("drop", f"UserId={self.ada.pk}", "--yes").strip() == "1"
        assert "Usage: manage.py mrc" in self.run_()
        with pytest.raises(SystemExit) as end:
            self.run_("drop", f"UserId={self.ada.pk}")  # nobody to ask
        assert end.value.code == 2

    def test_mysql_is_reached_too(self) -> None:
        with pytest.raises(SystemExit) as end, patch("sys.stdout", StringIO()) as output:
            call_command("mrc", "doctor", "--json")
        assert end.value.code in {6, 7}
        about = {finding["about"] for finding in json.loads(output.getvalue())["findings"]}
        assert "MySQL" in str(about)

    def test_a_client_without_a_url(self) -> None:
        with mrc(REDIS=None), pytest.raises(CommandError, match="names Redis by no URL"):
            self.run_("ls")
