"""The environment of PyPI's actvalue.mysql-redis-cache, which needs Python 3.13 and our import name."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYPI_PACKAGES = ("actvalue.mysql-redis-cache==0.4.0", "uvloop>=0.20")


class _UnavailableError(RuntimeError):
    """The peer cannot be measured here; the message says in one line why."""


@cache
def pypi_python() -> str | None:
    """The interpreter that has the peer installed, its environment made on first use.

    ``None`` where there is no Python 3.13 or no package index; then one line says so.
    """
    try:
        return _environment()
    except (_UnavailableError, OSError, subprocess.TimeoutExpired) as error:
        print(f"actvalue.mysql-redis-cache is left out: {error}", file=sys.stderr)
        return None


def _environment() -> str:
    folder = ROOT / ".venvs" / "peer-pypi"
    python = folder / "bin" / "python"
    if (folder / "complete").exists():
        return str(python)
    base = _new_enough_python()
    if base is None:
        raise _UnavailableError("it needs Python 3.13, which is not on this machine")
    shutil.rmtree(folder, ignore_errors=True)
    _run([base, "-m", "venv", str(folder)])
    _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PYPI_PACKAGES])
    (folder / "complete").touch()
    return str(python)


def _new_enough_python() -> str | None:
    pyenv = sorted(Path.home().glob(".pyenv/versions/3.1[34]*/bin/python"))
    candidates = [sys.executable, *map(str, pyenv), shutil.which("python3.13"), shutil.which("python3.14")]
    return next((python for python in candidates if python and _is_new_enough(python)), None)


def _is_new_enough(python: str) -> bool:
    # Asked, not taken by its name: what pyenv puts on the PATH as python3.13 may not run at all.
    check = [python, "-c", "import sys; sys.exit(sys.version_info < (3, 13))"]
    return subprocess.run(check, capture_output=True, timeout=30, check=False).returncode == 0


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        reason = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise _UnavailableError(f"{' '.join(command[:4])} failed: {' '.join(reason)}")
