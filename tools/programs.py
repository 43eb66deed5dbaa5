"""Which server programs there are on this machine, and whether Docker could stand in for them."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress

__all__ = [
    "describe_mysql",
    "describe_redis",
    "find_mysql",
    "find_program",
    "find_redis",
    "has_docker",
    "is_mariadb",
]

ASK_SECONDS = 20.0
# Folders that hold servers but are often missing from an ordinary user's PATH.
MORE_FOLDERS = (
    "/usr/sbin",
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/libexec",
    "/usr/local/mysql/bin",
    *(
        f"{brew}/{part}"
        for brew in ("/opt/homebrew", "/usr/local")
        for part in ("bin", "opt/mariadb/bin", "opt/mysql/bin", "opt/redis/bin", "opt/valkey/bin")
    ),
)


def find_program(*names: str) -> str | None:
    """The path of the first of *names* that is installed, on the PATH or where servers usually lie."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *MORE_FOLDERS])
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


def find_mysql() -> str | None:
    """The MariaDB or MySQL server program that MRC_MYSQL_PROGRAM names, or one that is found, or None."""
    return os.environ.get("MRC_MYSQL_PROGRAM") or find_program("mariadbd", "mysqld")


def find_redis() -> str | None:
    """The Redis or Valkey server program, or None."""
    return find_program("redis-server", "valkey-server")


def is_mariadb(program: str) -> bool:
    """Whether a server program is MariaDB's (Debian links ``mysqld`` to it) and not MySQL's."""
    return "MariaDB" in _version(program)


def describe_mysql() -> str:
    """Which MariaDB or MySQL a private server would be, on one line."""
    return _describe(find_mysql())


def describe_redis() -> str:
    """Which Redis or Valkey a private server would be, on one line."""
    return _describe(find_redis())


def has_docker() -> bool:
    """Whether ``docker compose`` is there and its engine answers."""
    if shutil.which("docker") is None:
        return False
    asked = (["docker", "compose", "version"], ["docker", "info"])
    with suppress(subprocess.TimeoutExpired):
        return all(_ask(command).returncode == 0 for command in asked)
    return False


def _describe(program: str | None) -> str:
    if program is not None:
        return f"{_version(program)} (private)"
    return "from compose.yaml (private)" if has_docker() else "none here; `make servers` installs one"


def _version(program: str) -> str:
    return " ".join(_ask([program, "--version"]).stdout.split())


def _ask(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=ASK_SECONDS, check=False)
