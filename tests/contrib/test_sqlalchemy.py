"""``contrib.sqlalchemy``: drops after a session's COMMIT, and ``text()`` in cached reads."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import bindparam, create_engine, event, text
from sqlalchemy.exc import IntegrityError, InvalidRequestError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from mysql_redis_cache import AsyncMRCClient, AsyncMRCServer, InvalidationFailed, MRCClient, MRCServer
from mysql_redis_cache.contrib.sqlalchemy import after_commit, statement
from mysql_redis_cache.drops import Drops

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pymysql.connections import Connection
    from sqlalchemy import Engine

    from tools.private_servers import PrivateRedis

    NameOf = Callable[..., str]

RENAME = text("UPDATE users SET name = :name WHERE id = 1")


@pytest.fixture
def engine(mysql_url: str, tables: None) -> Iterator[Engine]:
    engine = create_engine(mysql_url.replace("mysql://", "mysql+pymysql://"))
    yield engine
    engine.dispose()


def rename(session: Session, name: str, client: MRCClient | MRCServer) -> None:
    """Write, and have the entry dropped that holds the old name."""
    session.execute(RENAME, {"name": name})
    after_commit(session, client).drop_outdated_cache(["UserId"], [1])


@pytest.fixture
def dropped(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many drops were performed together, each time."""
    counts: list[int] = []
    perform = Drops.perform

    def counted(self: Drops, wanted: Any, *args: Any, **kwargs: Any) -> int:
        counts.append(len(wanted))
        return perform(self, wanted, *args, **kwargs)

    monkeypatch.setattr(Drops, "perform", counted)
    return counts


def test_drops_follow_the_commit(engine: Engine, client: MRCClient, name_of: NameOf) -> None:
    """Not before it: whoever reads until then gets what is committed, and caches it."""
    assert name_of() == "Ada"
    with Session(engine) as session:
        with session.begin():
            rename(session, "Ann", client)
            assert name_of() == "Ada"
        assert name_of() == "Ann"
        rename(session, "Amy", client)  # another transaction of the same session
        session.commit()
        assert name_of() == "Amy"


def test_all_drops_of_a_transaction_are_one(
    engine: Engine, client: MRCClient, dropped: list[int], redis_url: str
) -> None:
    """Of each client or server; and a session that has nothing to drop performs none."""
    with MRCServer(redis_url, namespace="shop") as server, Session(engine) as session:
        drops = after_commit(session, client)
        drops.drop_outdated_cache(["UserId"], [1])
        drops.drop_many("UserId", [2, 3])
        drops.drop_query("SELECT 1")
        drops.drop_all()
        after_commit(session, client).drop_outdated_cache(["StoreId"], [6])
        after_commit(session, server).drop_outdated_cache(["StoreId"], [7])
        session.commit()
        assert sorted(dropped) == [1, 5]
        session.commit()
        assert len(dropped) == 2
        drops.drop_all()  # what was asked once goes on being of use
        session.commit()
    assert len(dropped) == 3


def test_bad_pairs_are_refused_at_once(engine: Engine, client: MRCClient) -> None:
    """Where they stand, not after the COMMIT."""
    with Session(engine) as session, pytest.raises(ValueError, match="2 names"):
        after_commit(session, client).drop_outdated_cache(["UserId", "StoreId"], [1])


@pytest.mark.parametrize("end", [Session.rollback, Session.close, Session.invalidate])
def test_what_was_not_committed_drops_nothing(
    engine: Engine, client: MRCClient, name_of: NameOf, dropped: list[int], end: Callable[[Session], None]
) -> None:
    """Neither then nor after the session's next COMMIT."""
    assert name_of() == "Ada"
    with Session(engine) as session:
        rename(session, "Ann", client)
        end(session)
        session.execute(text("SELECT 1"))
        session.commit()
    assert dropped == []


def test_savepoints_wait_for_the_outermost_commit(
    engine: Engine, client: MRCClient, name_of: NameOf, dropped: list[int]
) -> None:
    """Their release commits nothing; what one that was rolled back asked for costs a read, no more."""
    with Session(engine) as session:
        with session.begin():
            with session.begin_nested():
                rename(session, "Ann", client)
                with session.begin_nested():
                    rename(session, "Amy", client)
            with suppress(LookupError), session.begin_nested():
                rename(session, "Eve", client)
                raise LookupError
            assert (name_of(), dropped) == ("Ada", [])
        assert (name_of(), dropped) == ("Amy", [3])

        nested = session.begin_nested()
        rename(session, "Ida", client)
        nested.commit()
        assert name_of() == "Amy"
        session.rollback()
        assert (name_of(), dropped) == ("Amy", [3])


def test_a_commit_that_may_have_happened_is_followed_by_the_drops(
    engine: Engine, client: MRCClient, name_of: NameOf, mysql_admin: Connection, dropped: list[int]
) -> None:
    """A connection that was lost during COMMIT does not tell."""
    assert name_of() == "Ada"

    @event.listens_for(engine, "commit")
    def lose(connection: Any) -> None:
        number = connection.connection.thread_id()
        connection.connection.driver_connection.commit()  # it takes effect, and nobody learns of it
        with mysql_admin.cursor() as cursor:
            cursor.execute("KILL %s", [number])

    with Session(engine) as session:
        rename(session, "Ann", client)
        with pytest.raises(OperationalError):
            session.commit()
    assert (name_of(), dropped) == ("Ann", [1])


def test_a_failed_statement_drops_nothing(engine: Engine, client: MRCClient, dropped: list[int]) -> None:
    """It ends in a rollback."""
    again = text("INSERT INTO users VALUES (1, 'Eve', 6)")
    with Session(engine) as session:
        rename(session, "Ann", client)
        with pytest.raises(IntegrityError):
            session.execute(again)
    assert dropped == []


def test_a_drop_that_fails_is_told_and_can_be_repeated(
    engine: Engine, mysql_url: str, private_redis: Callable[..., PrivateRedis]
) -> None:
    """The write has happened, the connection is given back, and the session goes on."""
    server = private_redis()
    with MRCClient(mysql_url, server.url) as client, Session(engine) as session:
        server.stop()
        rename(session, "Ann", client)
        with pytest.raises(InvalidationFailed, match="was committed, but dropping UserId failed") as failure:
            session.commit()
        assert failure.value.committed is True
        assert engine.pool.status().endswith("Current Checked out connections: 0")
        assert session.scalar(text("SELECT name FROM users WHERE id = 1")) == "Ann"
        session.commit()  # has nothing to drop any more
        server.start()
        assert failure.value.retry() == 0


def test_a_drop_that_fails_keeps_no_other_client_s_from_being_performed(
    engine: Engine, client: MRCClient, name_of: NameOf
) -> None:
    """Whichever was asked first."""
    with MRCServer("redis://127.0.0.1:1/0") as away:
        for name, clients in (("Ann", (away, client)), ("Bea", (client, away))):
            name_of()
            with Session(engine) as session:
                for each in clients:
                    rename(session, name, each)
                with pytest.raises(InvalidationFailed):
                    session.commit()
                assert name_of() == name


@pytest.mark.parametrize("moment", ["before_commit", "after_commit"])
def test_drops_may_be_asked_for_by_a_listener(
    engine: Engine, client: MRCClient, name_of: NameOf, moment: str
) -> None:
    """Of the session, or of all sessions, which work out there what has changed."""

    def ask(session: Session, *_: object) -> None:
        after_commit(session, client).drop_outdated_cache(["UserId"], [1])

    for target, name in ((Session, "Ann"), (None, "Bea")):
        name_of()
        with Session(engine) as session:
            event.listen(target or session, moment, ask)
            try:
                session.execute(RENAME, {"name": name})
                session.commit()
            finally:
                event.remove(target or session, moment, ask)
        assert name_of() == name


def test_what_strikes_during_the_drop_leaves_it_to_a_thread(
    engine: Engine, client: MRCClient, name_of: NameOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Ctrl-C may: the drop happens all the same."""
    perform, struck = Drops.perform, []

    def strike(self: Drops, *args: Any, **kwargs: Any) -> int:
        if not struck:
            struck.append(True)
            raise KeyboardInterrupt
        return perform(self, *args, **kwargs)

    assert name_of() == "Ada"
    monkeypatch.setattr(Drops, "perform", strike)
    with Session(engine) as session:
        rename(session, "Ann", client)
        with pytest.raises(KeyboardInterrupt):
            session.commit()
    for thread in [each for each in threading.enumerate() if each.name.endswith("-drops")]:
        thread.join(10)
    assert name_of() == "Ann"


def test_a_scoped_session_is_the_one_of_this_thread(
    engine: Engine, client: MRCClient, name_of: NameOf
) -> None:
    """As those of web applications are."""
    scoped = scoped_session(sessionmaker(engine))
    assert name_of() == "Ada"
    rename(scoped, "Ann", client)  # type: ignore[arg-type]
    scoped.commit()
    assert name_of() == "Ann"
    scoped.remove()


def test_an_async_session_awaits_its_drops(
    mysql_url: str, client: MRCClient, name_of: NameOf, redis_url: str
) -> None:
    """The event loop runs meanwhile; scoped ones and savepoints as elsewhere."""
    url = mysql_url.replace("mysql://", "mysql+aiomysql://")

    async def work() -> None:
        engine = create_async_engine(url)
        facade = AsyncMRCClient(client)
        async with AsyncSession(engine) as session, session.begin():
            async with session.begin_nested():
                await session.execute(RENAME, {"name": "Ann"})
                after_commit(session, facade).drop_outdated_cache(["UserId"], [1])
            assert name_of() == "Ada"
        assert name_of() == "Ann"

        scoped = async_scoped_session(async_sessionmaker(engine), asyncio.current_task)
        async with AsyncMRCServer(redis_url, namespace="shop") as server:
            await scoped.execute(RENAME, {"name": "Amy"})
            after_commit(scoped, server).drop_outdated_cache(["UserId"], [1])
            await scoped.commit()
            await scoped.remove()
        assert name_of() == "Amy"
        await engine.dispose()

    assert name_of() == "Ada"
    asyncio.run(work())


def test_a_session_takes_a_client_of_its_kind(engine: Engine, client: MRCClient) -> None:
    """A blocking drop would stop the event loop, an asynchronous one nobody would await."""
    facade = AsyncMRCClient(client)

    with pytest.raises(TypeError, match="a blocking session needs MRCClient or MRCServer, not AsyncMRC"):
        after_commit(Session(engine), facade)
    with pytest.raises(TypeError, match="an AsyncSession needs AsyncMRCClient or AsyncMRCServer, not MRC"):
        after_commit(AsyncSession(), client)


def test_what_is_no_session_is_refused(engine: Engine, client: MRCClient) -> None:
    """What makes sessions would make one that nobody commits."""
    with pytest.raises(TypeError, match="must be a session of SQLAlchemy, not sessionmaker"):
        after_commit(sessionmaker(engine), client)  # type: ignore[arg-type]


# statement()

USER = "SELECT name FROM users WHERE id = :UserId"


def test_a_text_with_bound_params_is_read(client: MRCClient) -> None:
    """It has the entry of the same text with the same params."""
    bound = text(USER).bindparams(UserId=1)

    assert client.query_with_cache(*statement(bound), ttl=60) == [{"name": "Ada"}]
    assert client.query_with_cache(*statement(bound), one=True) == {"name": "Ada"}
    assert client.read_from_cache(USER, {"UserId": 1}) == [{"name": "Ada"}]
    assert client.query_many_with_cache([statement(bound)]) == [[{"name": "Ada"}]]
    assert client.drop_outdated_cache(["UserId"], [1]) == 1


def test_lists_colons_and_percent_signs_mean_the_same(client: MRCClient) -> None:
    """A list expands, a colon with a backslash is one, a percent sign is just that."""
    many = text("SELECT name FROM users WHERE id IN :Ids ORDER BY id")
    bound = many.bindparams(bindparam("Ids", [1, 2], expanding=True))

    assert [row["name"] for row in client.query_with_cache(*statement(bound))] == ["Ada", "Bob"]
    alike = text("SELECT name FROM users WHERE name LIKE 'A%' AND id = :UserId").bindparams(UserId=1)
    assert client.query_with_cache(*statement(alike)) == [{"name": "Ada"}]
    assert statement(text(r"SELECT '12\:30', '%' AS a"))[0] == "SELECT '12:30', '%' AS a"


def test_a_param_without_value_is_refused() -> None:
    """It would be NULL, and find nothing for ever."""
    with pytest.raises(InvalidRequestError, match="UserId"):
        statement(text(USER))
