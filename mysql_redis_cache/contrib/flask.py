"""The cache of a Flask application: configured by it, used in its views, steered by its command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module, util
from typing import TYPE_CHECKING, Any, NoReturn

from flask import current_app
from flask.cli import AppGroup

from mysql_redis_cache.calls import PARTS
from mysql_redis_cache.client import MRCClient

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["MRC"]

EXTENSION = "mysql_redis_cache"


class MRC(MRCClient):
    """The cache of the application that is running: ``cache = MRC()``, and later ``cache.init_app(app)``.

    It is an ``MRCClient``: each of its calls goes to the client of the current application, which
    ``init_app`` makes from the application's config. It decorates functions before there is any application.
    A client lives as long as its process; no request or context closes it.

    Args:
        app: an application to begin with; the same as ``init_app(app)``.
        prefix: how the names of its config begin. Several caches of one application have different ones.
    """

    _prefix = "MRC"  # of a deferred one too

    def __init__(self, app: Flask | None = None, *, prefix: str = "MRC") -> None:
        self._prefix = prefix
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Make the client of an application; it connects to nothing yet.

        Where click and rich are installed (extra ``cli``) the application has the commands of ``mrc`` too, in
        a group that is named like the prefix, in lower case: ``flask mrc ls``.

        Args:
            app: its config has ``MRC_MYSQL`` and ``MRC_REDIS``, the two configs of ``MRCClient``, and may
                have ``MRC_NAMESPACE``, ``MRC_INDEX``, and ``MRC_OPTIONS``, a mapping of further options.

        Raises:
            RuntimeError: the application has a cache of this prefix already, or its config lacks a name.
            TypeError, ValueError: as of ``MRCClient``.
        """
        clients = app.extensions.setdefault(EXTENSION, {})
        if self._prefix in clients:
            raise RuntimeError(
                f"this application has a cache of the prefix {self._prefix!r} already; for a second one give "
                "MRC a prefix= of its own"
            )
        config = _Config.of(app, self._prefix)
        clients[self._prefix] = MRCClient(
            config.mysql, config.redis, namespace=config.namespace, index=config.index, **config.options
        )
        if util.find_spec("rich"):
            app.cli.add_command(_Commands(config, self._prefix))

    @property
    def client(self) -> MRCClient:
        """The client of the current application.

        Raises:
            RuntimeError: there is no current application, or ``init_app`` was not called with it.
        """
        clients: Mapping[str, MRCClient] = current_app.extensions.get(EXTENSION, {})
        if self._prefix not in clients:
            raise RuntimeError(
                f"the current application has no cache of the prefix {self._prefix!r}; call init_app(app)"
            )
        return clients[self._prefix]

    @property
    def _single(self) -> MRCClient:
        return self.client

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Return a part of the current application's client: all calls begin with one."""
            return getattr(self.client, name) if name in PARTS else super().__getattr__(name)

    def configure(self, *_configs: object, **_options: object) -> NoReturn:
        """Refuse: ``init_app`` does that.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("an application configures this cache: call init_app(app)")

    def _end(self) -> None:
        self.client.close()


@dataclass(frozen=True)
class _Config:
    """What an application says of one cache."""

    mysql: Any
    redis: Any
    namespace: str | None
    index: bool
    options: Mapping[str, Any]

    @classmethod
    def of(cls, app: Flask, prefix: str) -> _Config:
        """Read it, as far as a client does not check it itself."""
        missing = [name for name in (f"{prefix}_MYSQL", f"{prefix}_REDIS") if name not in app.config]
        if missing:
            raise RuntimeError(
                f"app.config has no {' and no '.join(missing)}: set both before init_app(app), such as "
                "'mysql://user@host/schema' and 'redis://host'; None for Redis means no cache"
            )
        options = app.config.get(f"{prefix}_OPTIONS", {})
        if not isinstance(options, Mapping):
            raise TypeError(f"{prefix}_OPTIONS must be a mapping, not {type(options).__name__}")
        return cls(
            app.config[f"{prefix}_MYSQL"],
            app.config[f"{prefix}_REDIS"],
            app.config.get(f"{prefix}_NAMESPACE"),
            app.config.get(f"{prefix}_INDEX", False),
            options,
        )


class _Commands(AppGroup):
    """The group ``mrc``, for one cache of an application. Its code is imported when it is called."""

    def __init__(self, config: _Config, prefix: str) -> None:
        super().__init__(prefix.lower(), help="Look at a cache of MySQL in Redis, and steer it.")
        self._config = config

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Have the group itself called, for the servers of the application."""
        commands, settings = (import_module(f"mysql_redis_cache.cli.{name}") for name in ("app", "settings"))
        config = self._config
        said = settings.Settings(config.mysql, config.redis, config.namespace, config.index)
        return commands.mrc.make_context(*args, **extra, obj=said)
