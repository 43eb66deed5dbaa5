"""Which servers a command is for: options, else the environment, else a TOML file.

Mounted in the command line of an application, the commands take what options do not say from its config.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

import click
from click.core import ParameterSource

from mysql_redis_cache.client import MRCClient
from mysql_redis_cache.drops import Drops
from mysql_redis_cache.keys import Namespace
from mysql_redis_cache.store import PATIENT, link

if TYPE_CHECKING:
    from collections.abc import Callable

    from mysql_redis_cache.store import Link

__all__ = ["Settings", "servers", "with_account", "with_password", "without_password"]

TABLE = "mysql-redis-cache"
FIELDS = {
    "mysql": str,
    "redis": str,
    "namespace": str,
    "index": bool,
    "mysql-password-file": str,
    "redis-password-file": str,
    "follow": dict,
    "failover": list,
}


@dataclass(frozen=True)
class Settings:
    """The servers that a command is for, and whose entries.

    Attributes:
        mysql: what ``MRCClient`` takes as its ``mysql_config``, or ``None``.
        redis: what it takes as its ``redis_config``, but no ready client, or ``None``.
        namespace: of the clients whose entries are meant.
        index: whether these clients keep an index.
        follow: the rules of the file, or ``None``.
    """

    mysql: str | Mapping[str, Any] | None
    redis: str | Mapping[str, Any] | None
    namespace: str | None
    index: bool
    follow: dict[str, Any] | None = None

    @property
    def names(self) -> Namespace:
        """The names of the entries."""
        return Namespace(self.namespace)

    @property
    def prefix(self) -> str:
        """What stands in front of every key."""
        return self.names.prefix

    def link(self) -> Link:
        """Return the way to Redis, closed at the end of the command."""
        way = link(self.redis_config, timeout=PATIENT)
        click.get_current_context().call_on_close(way.close)
        return way

    def drops(self) -> Drops:
        """Return what drops entries."""
        return Drops(self.link(), self.names, indexed=self.index)

    def client(self, **options: Any) -> MRCClient:
        """Return a client of both servers."""
        return MRCClient(
            self.mysql_config, self.redis_config, namespace=self.namespace, index=self.index, **options
        )

    @property
    def redis_config(self) -> str | Mapping[str, Any]:
        """The config of Redis; a usage error without one."""
        return _given(self.redis, "redis", "redis://localhost:6379/0")

    @property
    def mysql_config(self) -> str | Mapping[str, Any]:
        """The config of MySQL; a usage error without one."""
        return _given(self.mysql, "mysql", "mysql://user@localhost:3306/shop")

    @property
    def redis_url(self) -> str:
        """Where Redis is, to be looked at: a URL, maybe without account."""
        return _as_url(self.redis_config, "redis")

    @property
    def mysql_url(self) -> str:
        """Where MySQL is, in the same way."""
        return _as_url(self.mysql_config, "mysql")

    @property
    def rules(self) -> dict[str, Any]:
        """What a change of each table makes outdated; a usage error without them."""
        if self.follow is None:
            raise click.UsageError(
                f'no rules: give each table a [tool.{TABLE}.follow."schema.table"] in pyproject.toml, '
                "or name a file that has them by --config"
            )
        return self.follow

    @property
    def place(self) -> str:
        """Whose entries these are and where, for a question: no password."""
        whose = f"namespace {self.namespace}" if self.namespace else "no namespace"
        return f"{whose} in {without_password(self.redis_url)}"


def _given(config: Any, name: str, example: str) -> str | Mapping[str, Any]:
    if config is None:
        raise click.UsageError(
            f"no --{name}: name the server by --{name} {example}, by MRC_{name.upper()}_URL, or as {name!r} "
            f"in [tool.{TABLE}] of pyproject.toml"
        )
    if not isinstance(config, (str, Mapping)):
        raise click.UsageError(
            f"the application has a ready {type(config).__name__}; name its server by --{name} {example}"
        )
    return config


def _as_url(config: str | Mapping[str, Any], scheme: str) -> str:
    if isinstance(config, str):
        return config
    if any(config.get(name) for name in ("unix_socket", "unix_socket_path", "path")):
        return "unix://"
    place = f"{config.get('host') or 'localhost'}:{config.get('port') or ''}/{config.get('db', '')}"
    tls = "&".join(name for name in config if name.startswith("ssl_"))
    return f"{scheme}{'s' if config.get('ssl') else ''}://{place}?{tls}"


def servers(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that name servers; it gets them as its argument ``settings``."""

    @wraps(command)
    def called(
        *,
        mysql: str | None,
        redis: str | None,
        namespace: str | None,
        index: bool,
        mysql_password_file: str | None,
        redis_password_file: str | None,
        ask_passwords: bool,
        **arguments: Any,
    ) -> Any:
        mysql = _with_password(mysql, mysql_password_file, "MySQL", ask=ask_passwords)
        redis = _with_password(redis, redis_password_file, "Redis", ask=ask_passwords)
        context = click.get_current_context()
        said = Settings(mysql, redis, namespace, index, (context.default_map or {}).get("follow"))
        return command(settings=_of_application(said, context), **arguments)

    with_options: Callable[..., Any] = called
    for option in reversed(_OPTIONS):
        with_options = option(with_options)
    return with_options


_OF_SERVERS = "mysql", "redis", "namespace", "index"


def _of_application(said: Settings, context: click.Context) -> Settings:
    """Return what the application says that the command is mounted in, and only what was typed beside it."""
    application = context.find_object(Settings)
    if application is None:
        return said
    source = context.get_parameter_source
    untyped = [name for name in _OF_SERVERS if source(name) is not ParameterSource.COMMANDLINE]
    return replace(said, **{name: getattr(application, name) for name in untyped})


def _with_password(url: str | None, file: str | None, server: str, *, ask: bool) -> str | None:
    if url is None:
        return None
    if file is not None:
        return with_password(url, _read(file))
    if ask:
        return with_password(url, click.prompt(f"password of {server}", hide_input=True, err=True))
    return url


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"the password file {file} cannot be read: {type(error).__name__}") from None


def with_password(url: str, password: str) -> str:
    """Put a password into a URL, in place of one that it may have."""
    parts = _taken_apart(url)
    account, _, place = parts.netloc.rpartition("@")
    user = account.partition(":")[0]
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{place}"))


def with_account(url: str, like: str) -> str:
    """Put the account of another URL into one that has none."""
    parts, (account, at, _) = _taken_apart(url), _taken_apart(like).netloc.rpartition("@")
    return url if "@" in parts.netloc else urlunsplit(parts._replace(netloc=f"{account}{at}{parts.netloc}"))


def _taken_apart(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # which may quote the account
        raise click.UsageError(
            "a URL is not valid; percent-encode special characters in user and password"
        ) from None


def without_password(url: str) -> str:
    """Return where a URL leads: no account, and no options, which may hold passwords too."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(no URL)"
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))


# The TOML file


def _configure(context: click.Context, _: click.Parameter, value: str | None) -> None:
    """Have what a file says be the defaults of the options."""
    file = Path(value) if value is not None else _nearest_pyproject()
    if file is None:
        return
    table = _table(file, named=value is not None)
    context.default_map = {**(context.default_map or {}), **table}


def _nearest_pyproject() -> Path | None:
    here = Path.cwd()
    return next((file for at in (here, *here.parents) if (file := at / "pyproject.toml").is_file()), None)


def _table(file: Path, *, named: bool) -> dict[str, Any]:
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        if not named:
            return {}
        raise click.UsageError(f"{file} cannot be read as TOML: {type(error).__name__}") from None
    tools = content.get("tool", {})
    project = tools.get(TABLE) if isinstance(tools, dict) else None
    found = content if named and project is None else {} if project is None else project
    if not isinstance(found, dict):
        raise click.UsageError(f"{file}: {TABLE} must be a table: [tool.{TABLE}]")
    for field, said in found.items():
        _check(file, field, said)
    return {field.replace("-", "_"): said for field, said in found.items()}


_KINDS: dict[type, str] = {dict: "table"}


def _check(file: Path, field: str, said: object) -> None:
    if field not in FIELDS:
        nearest = get_close_matches(field, FIELDS, 1, 0.0)[0]
        raise click.UsageError(f"{file}: unknown field {field!r}; did you mean {nearest!r}?")
    if not isinstance(said, FIELDS[field]):
        kind = _KINDS.get(FIELDS[field], FIELDS[field].__name__)
        raise click.UsageError(f"{file}: {field} must be a {kind}")


_OPTIONS: list[Callable[[Callable[..., Any]], Callable[..., Any]]] = [
    click.option("--mysql", metavar="URL", envvar="MRC_MYSQL_URL", help="mysql://user@host:3306/schema"),
    click.option("--redis", metavar="URL", envvar="MRC_REDIS_URL", help="redis://host:6379/0"),
    click.option("--namespace", metavar="NAME", envvar="MRC_NAMESPACE", help="Of the clients."),
    click.option(
        "--index/--no-index", envvar="MRC_INDEX", default=False, help="Whether the clients keep an index."
    ),
    click.option(
        "--mysql-password-file", metavar="FILE", envvar="MRC_MYSQL_PASSWORD_FILE", help="Its password."
    ),
    click.option(
        "--redis-password-file", metavar="FILE", envvar="MRC_REDIS_PASSWORD_FILE", help="Its password."
    ),
    click.option("--ask-passwords", is_flag=True, help="Ask for the passwords that no file has."),
    click.option(
        "--config",
        metavar="FILE",
        envvar="MRC_CONFIG",
        is_eager=True,
        expose_value=False,
        callback=_configure,
        help="A TOML file with these options; by default [tool.mysql-redis-cache] of the pyproject.toml "
        "of this folder or one above.",
    ),
]
