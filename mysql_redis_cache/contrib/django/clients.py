"""The clients that the settings name: made when they are first used, and anew when the settings change."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from mysql_redis_cache.aio import AsyncMRCClient
from mysql_redis_cache.calls import PARTS
from mysql_redis_cache.client import MRCClient
from mysql_redis_cache.joined import drop_after_commit
from mysql_redis_cache.runtime import process

from .configuring import aliases, configuration, with_table_tags
from .connection import DjangoConnection

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["AsyncDjangoClient", "Clients", "DjangoClient", "async_client", "client", "clients", "new_client"]


class DjangoClient(MRCClient):
    """The ``MRCClient`` that ``MRC[alias]`` describes, over Django's connection; opens nothing when made.

    Inside ``atomic()`` its reads go past the cache, and its drops wait for the COMMIT.

    Attributes:
        aio: the same for coroutines.
    """

    def __init__(self, alias: str, made: Clients) -> None:
        self._alias = alias
        self._clients = made
        self.aio = AsyncDjangoClient(self, made)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Return a part of the client that the settings describe now."""
            if name not in PARTS:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            return getattr(self._clients.made(self._alias)[0], name)

    def drop_on_commit(
        self,
        key_names: Sequence[str],
        key_values: Sequence[object],
        require_all_match: bool = True,
        *,
        using: str | None = None,
    ) -> None:
        """Drop the entries that carry the pairs once the open transaction is committed; at once without one.

        All drops of a transaction are one. One that fails does not raise, since the write has happened: it is
        logged, and ``drops_failed`` has what it takes to try again.

        Args:
            key_names: as for ``drop_outdated_cache``.
            key_values: as for ``drop_outdated_cache``.
            require_all_match: as for ``drop_outdated_cache``.
            using: the alias of the database whose COMMIT is waited for; by default that of the client.

        Raises:
            TypeError, ValueError: bad pairs, at once.
        """
        wanted = self._namespace.matcher(key_names, key_values, require_all_match)
        connection = DjangoConnection(configuration(self._alias).database if using is None else using)
        drop_after_commit(connection, self._drops, self._namespace, wanted)

    def _end(self) -> None:
        self._clients.forget(self._alias)

    def __repr__(self) -> str:
        return f"<DjangoClient {self._alias}>"


class AsyncDjangoClient(AsyncMRCClient):
    """The same from coroutines. What it loads it loads where Django's ORM would, by ``sync_to_async``."""

    def __init__(self, blocking: DjangoClient, made: Clients) -> None:
        self._blocking = blocking
        self._owned = False
        self._clients = made

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Return a part of the client that the settings describe now."""
            if name not in PARTS:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            return getattr(self._clients.made(self._blocking._alias)[1], name)  # noqa: SLF001 - its twin


class Clients:
    """All of them by alias: ``clients["default"]``."""

    def __init__(self) -> None:
        self._standing: dict[str, DjangoClient] = {}
        self.after_fork_in_child()
        process.register(self)

    def after_fork_in_child(self) -> None:
        """Ask the settings anew: each of Django's parallel test processes has a database of its own."""
        self._made: dict[str, tuple[MRCClient, AsyncMRCClient]] = {}
        self._tagged: dict[str, list[DjangoClient]] = {}
        self._lock = threading.RLock()

    def __getitem__(self, alias: str) -> DjangoClient:
        """Return the client of an alias.

        Raises:
            ImproperlyConfigured: ``MRC`` has none.
        """
        configuration(alias)
        return self.standing(alias)

    def __iter__(self) -> Iterator[str]:
        return iter(aliases())

    def standing(self, alias: str) -> DjangoClient:
        """Return the client of an alias, whatever the settings say: they are asked when it is used."""
        with self._lock:
            if alias not in self._standing:
                self._standing[alias] = DjangoClient(alias, self)
            return self._standing[alias]

    def made(self, alias: str) -> tuple[MRCClient, AsyncMRCClient]:
        """Return what the settings describe, blocking and for coroutines, made if that is still to be done.

        Raises:
            ImproperlyConfigured: they do not.
        """
        try:
            return self._made[alias]
        except KeyError:
            pass
        with self._lock:
            if alias not in self._made:
                blocking = new_client(alias)
                self._made[alias] = blocking, AsyncMRCClient(blocking)
            return self._made[alias]

    def tagged(self, database: str) -> list[DjangoClient]:
        """Return the clients for which what is written to a database drops the tags of its tables."""
        try:
            return self._tagged[database]
        except KeyError:
            pass
        said = [configuration(alias) for alias in with_table_tags()]
        found = [self.standing(each.alias) for each in said if each.database == database]
        return self._tagged.setdefault(database, found)

    def forget(self, alias: str | None = None) -> None:
        """Close what was made, of one alias or all: the next use makes it anew."""
        with self._lock:
            self._tagged.clear()
            for each in list(self._made) if alias is None else [alias]:
                blocking, _ = self._made.pop(each, (None, None))
                if blocking is not None:
                    blocking.close()


def new_client(alias: str) -> MRCClient:
    """Make the client that ``MRC[alias]`` describes; it opens nothing.

    Raises:
        ImproperlyConfigured: there is none, or its servers are of no use.
        TypeError, ValueError: an option is.
    """
    found = configuration(alias)
    return MRCClient(DjangoConnection(found.database), found.redis, **found.options)


clients = Clients()
client = clients.standing("default")
async_client = client.aio
