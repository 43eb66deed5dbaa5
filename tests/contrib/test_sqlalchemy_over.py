"""``contrib.sqlalchemy.over``: reads over a session's own connection."""

from __future__ import annotations

import asyncio
import threading
from contextlib import nullcontext, suppress
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Integer, String, create_engine, event, text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session, sessionmaker

from mysql_redis_cache import AsyncMRCClient, InvalidationFailed, MRCClient
from mysql_redis_cache.contrib.sqlalchemy import after_commit, over
from mysql_redis_cache.drops import Drops
from tests.support.drivers import has_mysqlclient, mysqlclient_as_itself
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

    from tools.private_servers import PrivateRedis

USER = "SELECT name FROM users WHERE id = :UserId"
RENAME = "UPDATE users SET name = ? WHERE id = 1"


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(40))


@pytest.fixture(params=["pymysql", "mysqldb"])
def engine(request: pytest.FixtureRequest, mysql_url: str, tables: None) -> Iterator[Engine]:
    if request.param == "mysqldb" and not has_mysqlclient():
        pytest.skip("mysqlclient is not installed")
    with mysqlclient_as_itself() if request.param == "mysqldb" else nullcontext():
        engine = create_engine(mysql_url.replace("mysql://", f"mysql+{request.param}://"))
        yield engine
        engine.dispose()


@pytest.fixture
def db(engine: Engine) -> Iterator[Any]:
    """The application's."""
    scoped = scoped_session(sessionmaker(engine))
    yield scoped
    scoped.remove()


@pytest.fixture
def client(db: Any, redis_url: str) -> Iterator[MRCClient]:
    with MRCClient(over(db), f"{redis_url}?socket_timeout=10", namespace="shop") as client:
        yield client


@pytest.fixture
def sent(engine: Engine) -> list[str]:
    """What SQLAlchemy sends, and its COMMITs."""
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *about: statements.append(about[2]))
    event.listen(engine, "commit", lambda _: statements.append("COMMIT"))
    return statements


def name_by(client: MRCClient, **options: Any) -> str:
    return str(client.query_with_cache(USER, {"UserId": 1}, **options)[0]["name"])


def test_outside_a_transaction_reads_are_cached_and_begin_none(
    db: Any, client: MRCClient, sent: list[str], engine: Engine
) -> None:
    """A load is one statement, which SQLAlchemy's events see, and the connection is given back."""
    assert [name_by(client), name_by(client)] == ["Ada", "Ada"]
    assert sent == ["SELECT name FROM users WHERE id = 1", "COMMIT"]
    assert not db().in_transaction()
    assert engine.pool.status().endswith("Current Checked out connections: 0")
    assert client.query("SELECT 'a%b\\\\' AS text, 1 AS number") == [{"text": "a%b\\", "number": 1}]


def test_inside_one_they_see_what_it_has_written(db: Any, client: MRCClient, engine: Engine) -> None:
    """Also what the ORM has still to flush; the cache learns of it by the COMMIT."""
    assert name_by(client) == "Ada"
    db.get(User, 1).name = "Ann"
    with client.trace() as trace:
        assert name_by(client) == "Ann"
    assert trace.reads[0].reason == "it is part of a transaction"
    client.drop_outdated_cache(["UserId"], [1])

    with Session(engine) as elsewhere, MRCClient(over(lambda: elsewhere), None) as past:
        assert name_by(past) == "Ada"
    assert client.read_from_cache(USER, {"UserId": 1}) == [{"name": "Ada"}]
    db.commit()
    assert client.read_from_cache(USER, {"UserId": 1}) is None
    assert name_by(client) == "Ann"


def test_without_autoflush_nothing_is_flushed(db: Any, client: MRCClient) -> None:
    """As of the session's own queries."""
    with db.no_autoflush:
        db.get(User, 1).name = "Ann"
        assert name_by(client) == "Ada"
    assert name_by(client) == "Ann"


def test_a_rollback_forgets_the_drops(db: Any, client: MRCClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next COMMIT has those of its own transaction, performed as one."""
    sizes: list[int] = []
    perform = Drops.perform

    def counting(self: Drops, wanted: Any, *arguments: Any, **options: Any) -> int:
        sizes.append(len(wanted))
        return perform(self, wanted, *arguments, **options)

    monkeypatch.setattr(Drops, "perform", counting)
    db.begin()
    client.execute(RENAME, ["Ann"], drops={"UserId": 1})
    db.rollback()
    db.begin()
    client.execute(RENAME, ["Amy"], drops={"UserId": 1})
    client.drop_outdated_cache(["StoreId"], [6])
    assert sizes == []
    db.commit()
    assert (sizes, name_by(client)) == ([2], "Amy")


def test_transactions_and_savepoints_are_the_session_s(db: Any, client: MRCClient) -> None:
    """``client.transaction()`` is one of them; without one a write is committed at once."""
    assert name_by(client) == "Ada"
    with client.transaction() as tx:
        assert db().in_transaction()
        tx.execute(RENAME, ["Ann"])
        with suppress(LookupError), client.transaction() as inner:
            inner.execute(RENAME, ["Eve"])
            raise LookupError
        assert tx.query(USER, {"UserId": 1}) == [{"name": "Ann"}]
        tx.drop_outdated_cache(["UserId"], [1])
    assert not db().in_transaction()
    assert name_by(client) == "Ann"
    assert client.execute(RENAME, ["Amy"], drops={"UserId": 1})[:2] == (1, 0)
    assert not db().in_transaction()
    assert name_by(client) == "Amy"


def test_values_are_those_of_our_own_connections(client: MRCClient, mysql_url: str, db: Any) -> None:
    """And the session's own are what they were."""
    query = "SELECT 1.50 AS price, TIMESTAMP '2026-01-02 03:04:05' AS at, x'00ff' AS raw, NULL AS nothing"
    with MRCClient(mysql_url) as own:
        assert client.query(query) == own.query(query)
        with db.begin():
            assert client.query(query) == own.query(query)
            assert db.execute(text("SELECT 1.50, 'Ada'")).one() == (Decimal("1.50"), "Ada")


def test_errors_are_sqlalchemy_s(db: Any, client: MRCClient) -> None:
    """The connection goes on being of use."""
    with pytest.raises(ProgrammingError, match="nowhere"):
        client.query_with_cache("SELECT 1 FROM nowhere")
    with db.begin():
        with pytest.raises(DBAPIError):
            client.query("SELECT 1 FROM nowhere")
        assert db.get(User, 1).name == "Ada"


def test_a_drop_that_fails_is_raised_by_the_commit(
    db: Any, private_redis: Callable[..., PrivateRedis]
) -> None:
    """After those of every client; the write has happened, and the session goes on."""
    server = private_redis()
    with MRCClient(over(db), server.url) as away, MRCClient(over(db), server.url, namespace="b") as other:
        server.stop()
        db.begin()
        away.execute(RENAME, ["Ann"], drops={"UserId": 1})
        other.drop_outdated_cache(["UserId"], [1])
        with pytest.raises(InvalidationFailed) as failure:
            db.commit()
        assert failure.value.committed is True
        assert db.get(User, 1).name == "Ann"
        db.commit()
        server.start()
        assert failure.value.retry() == 0


def test_what_strikes_one_client_s_drops_spares_the_others(
    db: Any, client: MRCClient, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Ctrl-C may: its own go on in a thread, theirs are performed."""
    perform, strikes = Drops.perform, [KeyboardInterrupt]

    def struck(self: Drops, *args: Any, **kwargs: Any) -> int:
        if strikes:
            raise strikes.pop()
        return perform(self, *args, **kwargs)

    with MRCClient(over(db), redis_url, namespace="other") as other:
        assert (name_by(client), name_by(other)) == ("Ada", "Ada")
        db.get(User, 1).name = "Ann"
        client.drop_outdated_cache(["UserId"], [1])
        other.drop_outdated_cache(["UserId"], [1])
        monkeypatch.setattr(Drops, "perform", struck)
        with pytest.raises(KeyboardInterrupt):
            db.commit()
        assert other.read_from_cache(USER, {"UserId": 1}) is None
        assert wait_until(lambda: client.read_from_cache(USER, {"UserId": 1}) is None)


def test_a_refresh_behind_a_reader_s_back_needs_no_session(engine: Engine, redis_url: str) -> None:
    """In its thread there is none, as outside an application's context."""
    here, main = Session(engine), threading.current_thread()

    def current() -> Session:
        assert threading.current_thread() is main
        return here

    windows: dict[str, Any] = {"ttl": 1, "stale_while_revalidate": 600}
    with here, MRCClient(over(current), redis_url) as client:
        assert name_by(client, **windows) == "Ada"
        client.execute(RENAME, ["Ann"])
        assert wait_until(lambda: name_by(client, **windows) == "Ann")
        assert client.stats().refreshes >= 1


def has_looked(client: MRCClient, before: int) -> bool:
    return client.stats().verified > before


def test_a_look_at_a_hit_needs_no_session(engine: Engine, redis_url: str) -> None:
    """Nor does it keep one, whose snapshot would call every later entry outdated."""
    here, main = Session(engine), threading.current_thread()

    def current() -> Session:
        assert threading.current_thread() is main
        return here

    with here, MRCClient(over(current), redis_url, verify=1.0) as client:
        for name in ("Ada", "Ann"):
            before = client.stats().verified
            client.execute(RENAME, [name], drops={"UserId": 1})
            assert name_by(client) == name  # a miss
            assert name_by(client) == name  # a hit, which is looked at
            assert wait_until(partial(has_looked, client, before))
        assert client.stats().stale_found == 0


def test_a_session_on_a_connection_is_inside_its_transaction(engine: Engine, redis_url: str) -> None:
    """As those of test suites are, which roll everything back."""
    with engine.connect() as connection, connection.begin() as outer:
        session = Session(connection, join_transaction_mode="create_savepoint")
        with session, MRCClient(over(lambda: session), redis_url) as client:
            client.execute(RENAME, ["Ann"])
            session.commit()
            assert name_by(client) == "Ann"
            assert client.read_from_cache(USER, {"UserId": 1}) is None
        outer.rollback()


def test_drops_of_both_kinds_follow_one_commit(db: Any, client: MRCClient) -> None:
    """Those of ``after_commit`` too."""
    assert name_by(client) == "Ada"
    db.get(User, 1).name = "Ann"
    after_commit(db, client).drop_outdated_cache(["UserId"], [1])
    client.drop_outdated_cache(["StoreId"], [6])
    db.commit()
    assert name_by(client) == "Ann"


def test_it_is_for_blocking_code(client: MRCClient, redis_url: str) -> None:
    """Coroutines are told so."""
    facade = AsyncMRCClient(client)
    with pytest.raises(TypeError, match="for blocking code"):
        asyncio.run(facade.query("SELECT 1"))
    with (
        MRCClient(over(lambda: AsyncSession()), redis_url) as wrong,  # type: ignore[arg-type,return-value]
        pytest.raises(TypeError, match="must give a blocking Session, not AsyncSession"),
    ):
        wrong.query("SELECT 1")


@pytest.mark.parametrize("wrong", [sessionmaker(), Session()], ids=["sessionmaker", "Session"])
def test_what_gives_no_current_session_is_refused(wrong: Any) -> None:
    """What makes a new one each time, or is of one thread."""
    with pytest.raises(TypeError, match=f"or a function that .*, not {type(wrong).__name__}"):
        over(wrong)
