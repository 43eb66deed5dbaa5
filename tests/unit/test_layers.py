"""The wings of the package: imports point down only, each driver has one door, and what is pure stays so."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parents[2] / "mysql_redis_cache"

# From the top down: a line imports from lines below its own only. A wing is a folder; its modules follow,
# from the top down as well, "|" between two floors. In brackets: the drivers that are imported there and
# nowhere else; "pure" means neither I/O, nor waiting, nor threads, and so does a star for one module.
HOUSE = """
    __main__
    cli/          app | looking dropping warming following doctor watching verifying
                  | redis_checks key_checks mysql_checks drawing
                  | inventory settings findings health
                  | speaking inputs endings gathering* keyboard | followers*    [click rich]
    testing/      plugin | recorder | clients conditions fakes watching | faces    [pytest]
    __init__
    contrib/      fastapi instrumentor | celery flask opentelemetry prometheus sentry sqlalchemy starlette
                  | django/__init__ django/apps django/management/commands/mrc | django/checks django/drops
                  django/panels | django/tables | django/clients | django/configuring | django/connection
                  | django/management/__init__ django/management/commands/__init__
                  [asgiref celery debug_toolbar django fastapi flask opentelemetry prometheus_client
                   sentry_sdk sqlalchemy starlette]
    client server
    aio/          client server | transaction | borrowing decorating facade driver | loads | loops | direct
                  | gather lanes | threads workers    [anyio asyncio]
    calls/        blocking | decorating
                  | listing reading halves statements dropping instant lasting transaction
                  | asking caching pending pool waiting watched*
    readthrough/  blocking | explaining | core | loading | watching nearby | cache | fetching | asking
                  | listed verifying writes | reads | crowd guard many* params*
                  | background breaker* flight functions* interruptions load_times* reports
                  | protocol* | steps*
    joined
    transaction
    follow/       streaming | follower | checking leading session | performing pacing schema telling
                  | envelopes* planning* progress source | connect_values* effects* place*
                  | outdated* rules* stream wording*
    drops/        following | dropping | lookup rollcall sharing | settling | sweep | budget
    near/         caches | listener | feed* talk | roll* shelf*
    store/        entries ledger noticeboard streams | config | cluster | single sentinel bounds | exchange
                  | connections pinned sharing scripts | failures index* replies topology    [redis]
    database/     database dump external | session | pool | idle | connection | talk | driver | state*
                  | config effects* sent wire* | encryption optionfile options endings* failures functions*
                  | identity*    [pymysql dbutils]
    options*
    observe/      watch | listening metrics* | readings* | read_events* | events* queries reporting
                  | traces* explanation* | stats* counters*
    binlog/       reader | rows | layouts | tables | declared mariadb_gtids readers
                  | columns json_binary statements transactions
                  | charsets compressed decimals files gtids networks payloads temporal variables
                  | chartables cursor events kinds spellings    [pure]
    keys/         namespace finding | wanted | naming | folding matching | pairs | jstext    [pure]
    sql/          statements | binding lists summaries targets verdicts | places
                  | literals named scanner    [pure]
    values/       shapes rows | misfits | typed | adjusting cells given
                  | codec hints zones | buffers decimals    [pure]
    policy* errors* gtids*
    runtime/      context | slots repeating | process tls unheard waiters kept*
"""

DRIVERS = {
    *("pymysql", "dbutils", "redis", "anyio", "trio", "asyncio", "click", "rich", "pytest"),
    *(
        "asgiref",
        "celery",
        "debug_toolbar",
        "django",
        "fastapi",
        "flask",
        "opentelemetry",
        "prometheus_client",
    ),
    *("sentry_sdk", "sqlalchemy", "starlette"),
}
IMPURE = {
    *DRIVERS,
    "concurrent",
    "http",
    "multiprocessing",
    "selectors",
    "socket",
    "ssl",
    "subprocess",
    "threading",
}


class Floor(NamedTuple):
    """Where a module stands: its line in the house, its floor in the wing, and what it may do there."""

    line: int
    floor: int
    is_pure: bool
    drivers: frozenset[str]


def read_house(text: str) -> dict[str, Floor]:
    """Read the tree: modules by their path without suffix, ``wing/module`` or ``module``."""
    lines = re.sub(r"\n {18,}(?=\S)", " ", text).strip().splitlines()
    house: dict[str, Floor] = {}
    for height, line in enumerate(reversed(lines)):
        rooms, _, bracket = line.partition("[")
        words = frozenset(bracket.rstrip("] ").split())
        wing, slash, inside = rooms.strip().partition("/")
        drivers = words - {"pure"}
        if slash:
            house[f"{wing}/__init__"] = Floor(height, 99, "pure" in words, drivers)
        for floor, modules in enumerate(reversed((inside if slash else wing).split("|"))):
            for module in modules.split():
                name = module.rstrip("*")
                is_pure = "pure" in words or name != module
                house[f"{wing}/{name}" if slash else name] = Floor(height, floor, is_pure, drivers)
    return house


PLACES = read_house(HOUSE)
FILES = {str(path.relative_to(PACKAGE).with_suffix("")): path for path in sorted(PACKAGE.rglob("*.py"))}


def wing_of(module: str) -> str:
    return module.partition("/")[0]


def imported(module: str) -> set[str]:
    """What a module imports anywhere: our own modules as in ``HOUSE``, of others the top package."""
    here = (PACKAGE.name, *module.split("/")[:-1])
    names: set[str] = set()
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(here[: len(here) + 1 - node.level]) if node.level else ""
            origin = ".".join(filter(None, (above, node.module)))
            names.update(f"{origin}.{alias.name}" for alias in node.names)
    return {_as_module(name) for name in names}


def _as_module(name: str) -> str:
    package, *parts = name.split(".")
    if package != PACKAGE.name:
        return package
    for length in range(len(parts), 0, -1):
        path = "/".join(parts[:length])
        for candidate in (path, f"{path}/__init__"):
            if candidate in FILES:
                return candidate
    return "__init__"


def test_every_module_has_a_place_and_every_place_a_module() -> None:
    """A new module is given its place in the tree, and a removed one leaves none."""
    assert set(FILES) == set(PLACES)


@pytest.mark.parametrize("module", FILES)
def test_imports_point_down_only(module: str) -> None:
    """No module imports from its own floor or one above, not even for types."""
    here = PLACES[module]
    ours = {name for name in imported(module) if name in PLACES}
    inside = {name for name in ours if wing_of(name) == wing_of(module) and "/" in module}
    assert {name for name in inside if PLACES[name].floor >= here.floor} == set()
    assert {name for name in ours - inside if PLACES[name].line >= here.line} == set()


@pytest.mark.parametrize("module", FILES)
def test_drivers_have_one_door(module: str) -> None:
    """A driver is imported in the wing that its line gives it to, and nowhere else."""
    assert imported(module) & DRIVERS <= PLACES[module].drivers


@pytest.mark.parametrize("module", [name for name, place in PLACES.items() if place.is_pure])
def test_pure_modules_do_no_io(module: str) -> None:
    """Keys, SQL, values and decisions need neither sockets nor threads, nor anything that does."""
    assert imported(module) & IMPURE == set()
    ours = {name for name in imported(module) if name in PLACES and not name.endswith("__init__")}
    assert {name for name in ours if not PLACES[name].is_pure} == set()


def test_each_wing_says_what_lives_there() -> None:
    """The one sentence that a newcomer needs stands at the top of the wing."""
    silent = [
        name
        for name in FILES
        if name.endswith("/__init__") and not ast.get_docstring(ast.parse(FILES[name].read_text()))
    ]
    assert silent == []


def test_the_unit_tests_have_the_same_wings() -> None:
    """Whoever looks for the tests of a wing finds a folder of its name."""
    folders = {path.parent.name for path in Path(__file__).parent.glob("*/test_*.py")}
    assert folders <= {wing_of(module) for module in PLACES if "/" in module}


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/explanation/architecture.md"])
def test_the_drawn_houses_have_every_wing(page: str) -> None:
    """Who reads the tree or looks at the picture sees the house as it is."""
    text = (PACKAGE.parent / page).read_text(encoding="utf-8")
    tree, picture = re.findall(r"^  (\w+)/ ", text, re.MULTILINE), re.findall(r"<b>(\w+)/</b>", text)

    assert set(tree or picture) == {wing_of(module) for module in PLACES if "/" in module}


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("from mysql_redis_cache.keys import make_key", "keys/__init__"),
        ("from mysql_redis_cache.keys.pairs import SURROGATE", "keys/pairs"),
        ("from mysql_redis_cache import sql", "sql/__init__"),
        ("import redis.connection", "redis"),
    ],
)
def test_imports_are_understood(source: str, name: str, tmp_path: Path) -> None:
    """The way of reading imports is tested too: a check that sees nothing passes everything."""
    file = tmp_path / "probe.py"
    file.write_text(source)
    FILES["probe"] = file
    try:
        assert imported("probe") == {name}
    finally:
        del FILES["probe"]
