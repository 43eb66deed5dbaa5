"""The reference names everything that there is to name."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import mysql_redis_cache
from mysql_redis_cache import errors
from mysql_redis_cache.aio import AsyncTransaction
from mysql_redis_cache.calls import Transaction
from mysql_redis_cache.calls.pool import ConnectionPool
from mysql_redis_cache.cli.app import mrc
from mysql_redis_cache.database import options as mysql_options
from tests.docs.pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
WORDS = set(re.findall(r"\w+", " ".join(re.findall(r"`[^`]+`", REFERENCE)) + REFERENCE))
BUILT_IN = (BaseException, OSError, tuple)
# What users call on things that the package calls too.
OF_USERS = {
    ConnectionPool: {"connection", "size", "in_use"},
    Transaction: {"query", "execute", "drop_outdated_cache"},
    AsyncTransaction: {"query", "execute", "drop_outdated_cache"},
}


def methods() -> Iterator[tuple[str, object]]:
    """Every public method and property of what users get into their hands."""
    for name in mysql_redis_cache.__all__:
        kind = getattr(mysql_redis_cache, name)
        inherited = {each for base in BUILT_IN if issubclass(kind, base) for each in dir(base)}
        OF_USERS.setdefault(kind, {each for each in dir(kind) if not each.startswith("_")} - inherited)
    for kind, names in OF_USERS.items():
        for name in sorted(names):
            yield f"{kind.__name__}.{name}", getattr(kind, name)


@pytest.mark.parametrize("name", mysql_redis_cache.__all__)
def test_public_names_are_in_the_reference(name: str) -> None:
    """Every name of the package is."""
    assert name in WORDS


@pytest.mark.parametrize("module", ["celery", "fastapi", "flask", "sqlalchemy", "starlette"])
def test_what_frameworks_are_given_is_in_the_reference(module: str) -> None:
    """Every name of ``contrib`` for users, with every argument."""
    found = importlib.import_module(f"mysql_redis_cache.contrib.{module}")
    functions = [getattr(found, name) for name in found.__all__ if inspect.isroutine(getattr(found, name))]
    arguments = {each for function in functions for each in inspect.signature(function).parameters}

    assert {*found.__all__, *arguments} - WORDS == set()


@pytest.mark.parametrize(("name", "member"), [pytest.param(*each, id=each[0]) for each in methods()])
def test_methods_and_their_arguments_are_in_the_reference(name: str, member: object) -> None:
    """Every method or property is, with every argument it takes."""
    arguments = set(inspect.signature(member).parameters) - {"self"} if callable(member) else set()

    assert {name.partition(".")[2], *arguments} - WORDS == set()


@pytest.mark.parametrize(
    "kind", [mysql_redis_cache.MRCClient, mysql_redis_cache.MRCServer, mysql_redis_cache.AsyncMRCClient]
)
def test_signatures_are_the_code_s(kind: type) -> None:
    """What the reference shows as a class's arguments, with their defaults, is what it takes."""
    shown = re.search(rf"^```\n({kind.__name__}\(.*?\))\n```$", REFERENCE, re.DOTALL | re.MULTILINE)
    assert shown is not None
    actual = [
        str(parameter.replace(annotation=inspect.Parameter.empty)).replace("'", '"')
        for parameter in inspect.signature(kind).parameters.values()
    ]

    found = " ".join(shown[1].split()).removeprefix(f"{kind.__name__}(").removesuffix(")")
    assert found.replace("*, ", "").split(", ") == actual


@pytest.mark.parametrize("name", dir(mysql_redis_cache.MRCClient))
def test_headings_are_the_code_s_signatures(name: str) -> None:
    """A method's heading has its arguments, with their defaults, in order."""
    heading = re.search(rf"^#### `{name}\((.*)\)`$", REFERENCE, re.MULTILINE)
    if heading is None:
        return
    parameters = list(inspect.signature(getattr(mysql_redis_cache.MRCClient, name)).parameters.values())[1:]
    actual = [str(each.replace(annotation=inspect.Parameter.empty)) for each in parameters]

    assert [part for part in heading[1].split(", ") if part not in {"*", ""}] == actual


def test_options_are_in_the_reference() -> None:
    """Every option of mysql_config is, taken or refused."""
    known = set(mysql_options._OPTIONS) | set(mysql_options._REFUSED)

    assert known - WORDS == set()


def test_counters_are_in_the_reference() -> None:
    """Every counter that the code bumps is."""
    sources = Path(mysql_redis_cache.__file__).parent.rglob("*.py")
    bumped = {
        name
        for source in sources
        for call in re.findall(r"\.bump\(([^)]*)\)", source.read_text(encoding="utf-8"))
        for name in re.findall(r'"(\w+)"', call)
    }

    assert bumped
    assert bumped - WORDS == set()


def test_the_error_tree_is_the_code_s() -> None:
    """The drawing is that of the module."""
    drawing = (errors.__doc__ or "").split("::\n\n")[1].split("\n\n")[0]

    assert inspect.cleandoc(drawing) in REFERENCE


def test_commands_and_their_options_are_in_the_reference() -> None:
    """Every command of the command line is, with every option and variable."""
    options = [each for command in mrc.commands.values() for each in command.params]
    long = {name.removeprefix("--") for each in options for name in each.opts if name.startswith("--")}
    variables = {each.envvar for each in options if isinstance(each.envvar, str)}

    assert {*mrc.commands, *re.findall(r"\w+", " ".join(long)), *variables} - WORDS == set()


@pytest.mark.parametrize("variable", ["MRC_TEST_MYSQL_URL", "MRC_TEST_REDIS_URL", "MRC_REQUIRE_NODE"])
def test_environment_variables_are_in_the_reference(variable: str) -> None:
    """What the two commands look at is."""
    assert variable in WORDS
