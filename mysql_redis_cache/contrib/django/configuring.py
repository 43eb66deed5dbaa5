"""The setting ``MRC``: what it says, checked, with servers taken from ``DATABASES`` and ``CACHES``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from .connection import databases

__all__ = ["BadSetting", "Configuration", "aliases", "configuration", "remember_databases", "with_table_tags"]

EXAMPLE = "MRC = {'default': {'DATABASE': 'default', 'REDIS': 'redis://localhost:6379/0'}}"
FIELDS = ("DATABASE", "CACHE", "REDIS", "NAMESPACE", "INDEX", "TABLE_TAGS", "OPTIONS")
# Django's names of them, and django-redis'.
CREDENTIALS = ("username", "password", "db")

_databases: dict[str, str] = {}


class BadSetting(ImproperlyConfigured):
    """The setting is of no use; the message says where, and what to write.

    Attributes:
        number: of the system check that tells of it.
    """

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number


@dataclass(frozen=True)
class Configuration:
    """What the setting says of one client.

    Attributes:
        alias: of the client.
        database: an alias of ``DATABASES``.
        redis: a URL or another ``redis_config``; ``None`` for no cache.
        table_tags: whether what Django writes drops the tag of its table.
        options: of the client.
    """

    alias: str
    database: str
    redis: Any
    table_tags: bool
    options: Mapping[str, Any]


def aliases() -> list[str]:
    """Return the names of the clients.

    Raises:
        BadSetting: there is no such setting.
    """
    given = getattr(settings, "MRC", None)
    if not isinstance(given, Mapping):
        raise BadSetting(1, f"the setting MRC must be a dict of clients, such as {EXAMPLE}")
    return list(given)


def with_table_tags() -> list[str]:
    """Return the names of the clients that ask for ``TABLE_TAGS``; none without a setting."""
    given = getattr(settings, "MRC", None) or {}
    return [alias for alias, said in given.items() if isinstance(said, Mapping) and said.get("TABLE_TAGS")]


def configuration(alias: str) -> Configuration:
    """Return what the setting says of a client.

    Raises:
        BadSetting: it says nothing of it, or nothing of use.
    """
    known = aliases()
    if alias not in known:
        raise BadSetting(1, f"MRC has no {alias!r}; it has {', '.join(map(repr, known)) or 'none'}")
    where, given = f"MRC[{alias!r}]", settings.MRC[alias]
    if not isinstance(given, Mapping):
        raise BadSetting(1, f"{where} must be a dict, not {type(given).__name__}; as in {EXAMPLE}")
    for field in given:
        if field not in FIELDS:
            nearest = get_close_matches(str(field), FIELDS, 1, 0.0)[0]
            raise BadSetting(2, f"{where} has an unknown field {field!r}; did you mean {nearest!r}?")
    database = _database(where, given.get("DATABASE", "default"))
    options: dict[str, Any] = {"index": given.get("INDEX", False)}
    if settings.USE_TZ:
        options["timezone"] = connections[database].timezone_name
    namespace = given["NAMESPACE"] if "NAMESPACE" in given else _schema(database)
    if _is_for_tests(database) and "NAMESPACE" in given:
        namespace = ".".join(filter(None, (namespace, _schema(database))))
    options |= {"namespace": namespace, **given.get("OPTIONS", {})}
    return Configuration(alias, database, _redis(where, given), bool(given.get("TABLE_TAGS")), options)


def remember_databases() -> None:
    """Note what the databases are called, before Django's tests call theirs otherwise."""
    _databases.update({alias: _schema(alias) for alias in databases()})


def _is_for_tests(database: str) -> bool:
    return _databases.get(database, _schema(database)) != _schema(database)


def _schema(database: str) -> str:
    return str(databases()[database]["NAME"])


def _database(where: str, alias: object) -> str:
    if alias not in databases():
        known = ", ".join(map(repr, databases()))
        raise BadSetting(3, f"{where}: DATABASE is {alias!r}, and DATABASES has {known}")
    connection = connections[str(alias)]
    if connection.vendor != "mysql":
        raise BadSetting(3, f"{where}: DATABASES[{alias!r}] is {connection.display_name}, not MySQL")
    return connection.alias


def _redis(where: str, given: Mapping[str, Any]) -> Any:
    if ("CACHE" in given) == ("REDIS" in given):
        raise BadSetting(4, f"{where} needs CACHE, an alias of CACHES, or else REDIS, a URL (None: no cache)")
    if "REDIS" in given:
        return given["REDIS"]
    alias = given["CACHE"]
    if alias not in settings.CACHES:
        known = ", ".join(map(repr, settings.CACHES))
        raise BadSetting(4, f"{where}: CACHE is {alias!r}, and CACHES has {known}")
    return _location(f"{where}: CACHES[{alias!r}]", settings.CACHES[alias])


def _location(where: str, cache: Mapping[str, Any]) -> str:
    """Return the URL of a cache's leader: what Django has behind the first place are replicas."""
    location = cache.get("LOCATION", "")
    places = location.replace(";", ",").split(",") if isinstance(location, str) else list(location)
    url = str(places[0]).strip() if places else ""
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise BadSetting(
            4, f"{where} has a LOCATION that is no redis://, rediss:// or unix:// URL; use REDIS"
        )
    options = cache.get("OPTIONS", {})
    given = {name: options.get(name, options.get(name.upper())) for name in CREDENTIALS}
    more = urlencode({name: value for name, value in given.items() if value is not None})
    return url + ("&" if "?" in url else "?") * bool(more) + more
