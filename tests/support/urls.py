"""Server URLs, as the tests take them apart: on purpose not with the library's own parser."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

__all__ = ["mysql_arguments", "patient", "with_database", "with_options"]


def mysql_arguments(url: str) -> dict[str, Any]:
    """A ``mysql://`` URL as arguments of ``pymysql.connect``."""
    parts = urlsplit(url)
    arguments: dict[str, Any] = {
        "host": parts.hostname,
        "port": parts.port or 3306,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "charset": "utf8mb4",
        "connect_timeout": 10,
        "read_timeout": 60,
    }
    if database := unquote(parts.path.lstrip("/")):
        arguments["database"] = database
    return arguments | {name: value for name, value in parse_qsl(parts.query) if name.startswith("ssl")}


def with_database(url: str, database: str | int) -> str:
    """The URL with another schema, or another Redis database number."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def with_options(url: str, **options: object) -> str:
    """The URL with further options."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(options)}"


def patient(url: str) -> str:
    """A Redis URL whose client waits as long as a busy machine needs: where time is not what is tested."""
    return with_options(url, socket_timeout=10, socket_connect_timeout=10)
