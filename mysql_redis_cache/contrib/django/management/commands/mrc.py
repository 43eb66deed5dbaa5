"""``manage.py mrc …``: the command line, for the servers that the settings name."""

from __future__ import annotations

from argparse import REMAINDER
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from django.core.management.base import BaseCommand, CommandError

from mysql_redis_cache.contrib.django.configuring import configuration
from mysql_redis_cache.contrib.django.connection import databases

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Mapping

__all__ = ["Command"]


class Command(BaseCommand):
    """Hands its arguments to the command line, with the options that name servers put in front."""

    help = "Look at the cache, drop, find out what is wrong: the command line mrc, for MRC of the settings."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take everything from the name of a command on."""
        parser.add_argument("--client", default="default", metavar="ALIAS", help="Which of MRC's clients.")
        parser.add_argument("arguments", nargs=REMAINDER, metavar="...", help="ls, get, drop, doctor, --help")

    def handle(self, *_: Any, client: str, arguments: list[str], **options: Any) -> None:  # noqa: ARG002
        """Run it; what it ends with is the exit code."""
        try:
            group = import_module("mysql_redis_cache.cli.app").mrc
        except ModuleNotFoundError as error:
            raise CommandError(f"{error}: pip install 'mysql-redis-cache[cli]'") from None
        if arguments and arguments[0] in group.commands:
            taken = {each.name for each in group.commands[arguments[0]].params}
            said = [option for name, option in _servers(client).items() if name in taken]
            arguments = [arguments[0], *said, *arguments[1:]]
        try:
            group.main(arguments or ["--help"], prog_name="manage.py mrc")
        except SystemExit as end:
            if end.code:
                raise


def _servers(alias: str) -> Mapping[str, str]:
    """Return the options that name the servers of a client, by the names of their parameters."""
    said = configuration(alias)
    if not isinstance(said.redis, str):
        raise CommandError(f"MRC[{alias!r}] names Redis by no URL, which the command line needs")
    options = {
        "mysql": f"--mysql={_url(databases()[said.database])}",
        "redis": f"--redis={said.redis}",
        "index": "--index" if said.options["index"] else "--no-index",
    }
    namespace = said.options["namespace"]
    return options | ({"namespace": f"--namespace={namespace}"} if namespace else {})


def _url(database: Mapping[str, Any]) -> str:
    """Return where a database is, as a URL."""
    user, password, host = (quote(str(database[name]), safe="") for name in ("USER", "PASSWORD", "HOST"))
    account = f"{user}:{password}@" if password else f"{user}@" if user else ""
    schema = quote(str(database["NAME"]), safe="")
    if str(database["HOST"]).startswith("/"):
        return f"mysql://{account}localhost/{schema}?unix_socket={host}"
    port = f":{database['PORT']}" if database["PORT"] else ""
    return f"mysql://{account}{host or 'localhost'}{port}/{schema}"
