"""The rooms of the package: imports point down only, and each driver has one door."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "mysql_redis_cache"

# From the top down. A room imports from rooms below its own line only; a folder is one room.
ROOMS = """
    __init__
    aio
    cli
    client
    server
    core
    cache
    reads options
    transaction
    drops
    flight background near guard
    entries
    store
    connections scripts
    database
    mysql_config
    wire
    rows
    cells
    readmany
    readthrough
    breaker
    policy functions
    codec
    buffers
    keys
    folding matching
    pairs
    jstext
    sql
    literals scanner
    process stats errors waiters tls
"""
LEVELS = {room: level for level, line in enumerate(reversed(ROOMS.split("\n"))) for room in line.split()}

# From here down nothing does I/O, waits or knows a driver.
HIGHEST_PURE = "wire"
LEAVES = {"process", "waiters", "tls"}  # know the operating system: pids, forks; locks; certificates
IMPURE = {
    "asyncio",
    "concurrent",
    "http",
    "multiprocessing",
    "selectors",
    "socket",
    "ssl",
    "subprocess",
    "threading",
}
DRIVERS = {
    "pymysql": {"database"},
    "dbutils": {"database"},
    "redis": {"store", "near"},
    "anyio": {"aio"},
    "trio": set(),
    "asyncio": {"aio"},
}

MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path: Path) -> set[str]:
    """The modules that a file imports anywhere, in full: our own as ``mysql_redis_cache.room``."""
    package = (PACKAGE.name, *path.relative_to(PACKAGE).parts[:-1])
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = (
                ".".join((*package[: len(package) + 1 - node.level], node.module or ""))
                if node.level
                else node.module
            )
            names.update(f"{origin}.{alias.name}".replace("..", ".") for alias in node.names)
    return names


def rooms_below(path: Path) -> set[str]:
    """The rooms that a file imports from, its own left out."""
    own = {name.split(".")[1] for name in imported(path) if name.startswith(f"{PACKAGE.name}.")}
    return own - {room_of(path)}


def titled(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", MODULES, ids=titled)
def test_every_module_has_a_room(path: Path) -> None:
    """A new module is given its place in the order."""
    assert room_of(path) in LEVELS


@pytest.mark.parametrize("path", MODULES, ids=titled)
def test_imports_point_down_only(path: Path) -> None:
    """No room imports from its own line or one above, not even for types."""
    level = LEVELS[room_of(path)]
    assert {room for room in rooms_below(path) if LEVELS.get(room, level) >= level} == set()


@pytest.mark.parametrize("path", MODULES, ids=titled)
def test_drivers_have_one_door(path: Path) -> None:
    """A driver is imported in its own room and nowhere else."""
    packages = {name.split(".")[0] for name in imported(path)}
    assert {name for name in packages & set(DRIVERS) if room_of(path) not in DRIVERS[name]} == set()


@pytest.mark.parametrize(
    "path", [path for path in MODULES if LEVELS.get(room_of(path), 99) <= LEVELS[HIGHEST_PURE]], ids=titled
)
def test_pure_rooms_do_no_io(path: Path) -> None:
    """Keys, SQL, values and decisions need neither sockets nor threads."""
    packages = {name.split(".")[0] for name in imported(path)}
    assert packages & IMPURE - ({"threading", "ssl"} if room_of(path) in LEAVES else set()) == set()


def test_no_folder_imports_itself_in_a_circle() -> None:
    """Within a room that is a folder, too, the imports have an order."""
    for folder in {path.parent for path in MODULES if path.parent != PACKAGE}:
        waiting = {
            path.stem: {
                name.split(".")[2]
                for name in imported(path)
                if name.startswith(f"{PACKAGE.name}.{folder.name}.")
            }
            for path in folder.glob("*.py")
        }
        while free := {name for name, needs in waiting.items() if not needs & (set(waiting) - {name})}:
            waiting = {name: needs for name, needs in waiting.items() if name not in free}
        assert waiting == {}
