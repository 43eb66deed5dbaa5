"""``__all__`` of the package and of each module: sorted, complete, and no name that is not there."""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from django.conf import UserSettingsHolder, global_settings, settings

import mysql_redis_cache
from mysql_redis_cache import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(mysql_redis_cache.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if path.stem != "__main__"
)


@pytest.fixture(autouse=True)
def django_settings() -> Iterator[None]:
    """Debug Toolbar cannot be imported without."""
    with patch.dict(vars(settings), {"_wrapped": UserSettingsHolder(global_settings)}, clear=True):
        yield


def sort_key(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest: the order of ruff's RUF022."""
    kind = 0 if name.isupper() else 1 if name[:1].isupper() else 2
    return kind, name


def public_definitions(module: str) -> set[str]:
    """The classes and functions that a module defines at its top, without underscore."""
    source = importlib.import_module(module).__file__
    assert source is not None
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    body = ast.parse(Path(source).read_text()).body
    return {node.name for node in body if isinstance(node, kinds) and not node.name.startswith("_")}


@pytest.mark.parametrize(
    "name", ["AsyncMRCClient", "AsyncMRCServer", "MRCClient", "MRCServer", *errors.__all__]
)
def test_the_package_has_the_documented_names(name: str) -> None:
    """Clients, servers and every error come from the package itself."""
    assert name in mysql_redis_cache.__all__


@pytest.mark.parametrize("module", MODULES)
def test_all_is_sorted_and_exists(module: str) -> None:
    """Every name of ``__all__`` is there, once, in order."""
    namespace = importlib.import_module(module)

    assert sorted(set(namespace.__all__), key=sort_key) == list(namespace.__all__)
    assert [name for name in namespace.__all__ if not hasattr(namespace, name)] == []


@pytest.mark.parametrize("module", MODULES)
def test_all_is_complete(module: str) -> None:
    """What other modules may use is in ``__all__``; what is not has an underscore."""
    assert public_definitions(module) - set(importlib.import_module(module).__all__) == set()


@pytest.mark.parametrize("name", mysql_redis_cache.__all__)
def test_public_names_are_described(name: str) -> None:
    """Every public name and every public method of it has a docstring of its own."""
    thing = getattr(mysql_redis_cache, name)
    methods = (
        {
            f"{name}.{each}": member
            for each, member in vars(thing).items()
            if callable(member) and not each.startswith("_")
        }
        if isinstance(thing, type)
        else {}
    )

    assert [
        title for title, member in {name: thing, **methods}.items() if not (member.__doc__ or "").strip()
    ] == []


@pytest.mark.parametrize("name", mysql_redis_cache.__all__)
def test_public_names_show_as_public(name: str) -> None:
    """A traceback or repr leads to the name that the documentation has, not to a file."""
    thing = getattr(mysql_redis_cache, name)

    assert f"{thing.__module__}.{thing.__qualname__}" == f"mysql_redis_cache.{name}"


def test_completion_shows_what_is_documented() -> None:
    """What a client or server offers after a dot is its methods; parts and hooks have an underscore."""
    reference = (Path(__file__).parents[2] / "docs" / "reference.md").read_text(encoding="utf-8")
    client = mysql_redis_cache.MRCClient("mysql://localhost", "redis://localhost")
    server = mysql_redis_cache.MRCServer("redis://localhost")
    twins = [mysql_redis_cache.AsyncMRCClient(client), mysql_redis_cache.AsyncMRCServer(server)]
    offered = {name for face in (client, server, *twins) for name in dir(face) if not name.startswith("_")}
    documented = set(re.findall(r"[`.](\w+)\(", reference))
    documented |= set(re.findall(r"^#### `(\w+)`$", reference, re.MULTILINE))  # properties

    assert offered - documented == set()


def test_the_version_is_that_of_the_project() -> None:
    """It stands in one place, pyproject.toml."""
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]

    assert mysql_redis_cache.__version__ == project["version"]


def test_other_names_are_not_there() -> None:
    """As in any module."""
    with pytest.raises(AttributeError, match="'mysql_redis_cache' has no attribute 'version'"):
        _ = mysql_redis_cache.version  # type: ignore[attr-defined]


def test_a_copy_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """``getattr`` with a default works there too."""

    def not_found(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", not_found)
    assert getattr(mysql_redis_cache, "__version__", None) is None
