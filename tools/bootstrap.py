"""Make what the commands of the Makefile need: a virtual environment, database servers, node.

Runs on a bare machine, so with the standard library alone. What is there already is used; what is
missing is installed by apt-get (as root or with sudo) or Homebrew; servers may also come from
``docker compose``. Where nothing of that works, the error lists what to do.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools.programs import find_mysql, find_program, find_redis, has_docker  # noqa: E402, needs the path above

LOCK = ROOT / "requirements-dev.lock"
INSTALL_SECONDS = 900.0
MINIMUM_PYTHON = (3, 11)


class BootstrapError(RuntimeError):
    """Something is missing and cannot be installed from here; the message says what to do."""


def main() -> int:
    """Do what the command line asks; 0 if everything is there now."""
    parser = argparse.ArgumentParser(description="Make what the commands of the Makefile need.")
    parser.add_argument("groups", nargs="*", help="dependency groups of pyproject.toml to install")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", help="the virtual environment")
    parser.add_argument("--servers", action="store_true", help="MariaDB or MySQL, and Redis or Valkey")
    parser.add_argument("--node", action="store_true", help="node and npm, for the interop tests")
    parser.add_argument("--chromium", action="store_true", help="a browser, for the tests of the site")
    parser.add_argument("--mysqlclient", action="store_true", help="the other driver that Django may use")
    wanted = parser.parse_args()
    try:
        ensure_programs(servers=wanted.servers, node=wanted.node, chromium=wanted.chromium)
        ensure_environment(wanted.venv.absolute(), wanted.groups)
        if wanted.mysqlclient:
            ensure_mysqlclient(wanted.venv.absolute() / "bin" / "python")
    except BootstrapError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def say(text: str) -> None:
    """One line of progress."""
    print(f"bootstrap: {text}", flush=True)


# Programs


@dataclass(frozen=True)
class Program:
    """Something that a package manager installs."""

    name: str
    apt: tuple[str, ...]
    brew: tuple[str, ...]
    own: str = ""  # the environment variable that names one's own instead


# The -core packages hold the server programs without a system service; Redis has no such package.
MYSQL = Program(
    "MariaDB or MySQL", ("mariadb-server-core", "mariadb-client-core"), ("mariadb",), "MRC_TEST_MYSQL_URL"
)
REDIS = Program("Redis or Valkey", ("redis-server",), ("redis",), "MRC_TEST_REDIS_URL")
NODE = Program("node and npm", ("nodejs", "npm"), ("node",))
CHROMIUM = Program("Chromium and its driver", ("chromium", "chromium-driver"), ("chromium", "chromedriver"))
MYSQLCLIENT = Program(
    "what mysqlclient is built with",
    ("gcc", "libc6-dev", "libmariadb-dev", "pkg-config"),
    ("pkg-config",),  # the library comes with the server
)
VENV = Program("the venv module", (f"python{sys.version_info.major}.{sys.version_info.minor}-venv",), ())


def ensure_programs(*, servers: bool, node: bool, chromium: bool = False) -> None:
    """Find or install the programs; a missing node is fatal only where it is required."""
    missing = [VENV] if importlib.util.find_spec("ensurepip") is None else []
    missing += missing_servers() if servers else []
    # Asked for together: one run of the package manager takes half the time of two.
    missing += [NODE] if node and not has_node() else []
    missing += [CHROMIUM] if chromium and not has_chromium() else []
    if missing:
        install(missing)
    if servers and missing_servers():
        use_docker(missing_servers())
    if node and not has_node():
        do_without_node()
    if chromium and not has_chromium():
        raise BootstrapError(
            "Chromium and chromedriver not found, and not installable from here: install them"
        )


def missing_servers() -> list[Program]:
    """The servers that are neither installed nor named by the environment."""
    found = {MYSQL: find_mysql(), REDIS: find_redis()}
    return [program for program, path in found.items() if path is None and program.own not in os.environ]


def has_node() -> bool:
    """Whether node and npm are on the PATH."""
    return shutil.which("node") is not None and shutil.which("npm") is not None


def has_chromium() -> bool:
    """Whether Chromium and its driver are on the PATH."""
    return find_program("chromium") is not None and find_program("chromedriver") is not None


def install(programs: list[Program]) -> None:
    """Install with the package manager of this machine; without one, do nothing."""
    names = ", ".join(program.name for program in programs)
    if shutil.which("apt-get") and (root := root_command()) is not None:
        say(f"installing {names} with apt-get (a minute or two)")
        apt = [
            *root,
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            "apt-get",
            "-q",
            "-o",
            "DPkg::Lock::Timeout=120",
        ]
        run([*apt, "update"], quiet=True)
        packages = [package for program in programs for package in program.apt]
        run([*apt, "install", "-y", "--no-install-recommends", *packages], quiet=True)
    elif shutil.which("brew"):
        say(f"installing {names} with Homebrew")
        run(["brew", "install", "--quiet", *(package for program in programs for package in program.brew)])


def root_command() -> list[str] | None:
    """What to put before a command that needs root; None if we cannot become root."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") is None:
        return None
    silent = ["sudo", "-n"]
    if subprocess.run([*silent, "true"], capture_output=True, timeout=20, check=False).returncode == 0:
        return silent
    return ["sudo"] if sys.stdin.isatty() else None  # asks for the password


def use_docker(missing: list[Program]) -> None:
    """Fetch the images of compose.yaml if Docker is there; else say what to do."""
    names = " and ".join(program.name for program in missing)
    if not has_docker():
        raise BootstrapError(
            f"{names} not found, and not installable from here (no apt-get with root or sudo, no Homebrew, "
            "no docker compose). Do one of these:\n"
            "  - install MariaDB (or MySQL) and Redis (or Valkey) (mariadbd and redis-server on the PATH)\n"
            "  - start Docker: its servers come from compose.yaml\n"
            "  - set MRC_TEST_MYSQL_URL=mysql://user:password@host:port/ (its account may create schemas)\n"
            "    and MRC_TEST_REDIS_URL=redis://host:port/15 (an empty database, which is flushed)"
        )
    say(f"{names} from docker compose")
    run(["docker", "compose", "--file", str(ROOT / "compose.yaml"), "pull", "--quiet"])


def do_without_node() -> None:
    """Say in one line what is left out, or fail where node is required."""
    reason = "node and npm are missing and could not be installed"
    if os.environ.get("CI") == "true" or os.environ.get("MRC_REQUIRE_NODE") == "1":
        raise BootstrapError(f"{reason}; the interop tests with the npm package need them")
    say(f"{reason}: the interop tests with the npm package are left out")


# The virtual environment


def ensure_environment(venv: Path, groups: list[str]) -> None:
    """Make the environment and install the project and its groups, unless that is done already."""
    python = venv / "bin" / "python"
    if not works(python):
        say(f"making {venv}")
        run([sys.executable, "-m", "venv", "--clear", str(venv)])
    stamp = venv / ".bootstrap.json"
    wanted = {"requirements": requirements_digest(), "groups": sorted(groups)}
    done = json.loads(stamp.read_text()) if stamp.exists() else {"requirements": "", "groups": []}
    if done["requirements"] == wanted["requirements"] and set(groups) <= set(done["groups"]):
        return
    say(f"installing {' and '.join(['the project', *groups])} into {venv}")
    command = [
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--constraint",
        str(LOCK),
    ]
    run([*command, "--editable", f"{ROOT}[rsa]", *group_requirements(groups)], quiet=True)
    if done["requirements"] == wanted["requirements"]:
        wanted["groups"] = sorted({*groups, *done["groups"]})
    stamp.write_text(json.dumps(wanted))


def ensure_mysqlclient(python: Path) -> None:
    """Build mysqlclient, which has no wheels; where that fails, say what is left out, or fail in CI."""
    if runs(python, "import MySQLdb"):
        return
    if shutil.which("mariadb_config") is None and shutil.which("mysql_config") is None:
        install([MYSQLCLIENT])
    say("building mysqlclient")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        run([*pip, "--constraint", str(LOCK), *group_requirements(["mysqlclient"])], quiet=True)
    except BootstrapError:
        if os.environ.get("CI") == "true":
            raise
        say("mysqlclient could not be built: its tests are left out")


def works(python: Path) -> bool:
    """Whether an environment's Python runs and is new enough; a moved or upgraded one does not."""
    return runs(python, f"import sys; sys.exit(sys.version_info < {MINIMUM_PYTHON})")


def runs(python: Path, check: str) -> bool:
    """Whether a Python runs a line of code."""
    try:
        return (
            subprocess.run([python, "-c", check], capture_output=True, timeout=30, check=False).returncode
            == 0
        )
    except OSError:
        return False


def requirements_digest() -> str:
    """Changes with the requirements and the versions locked for them, not with the tools' settings."""
    project = read_project()
    parts = {name: project.get(name) for name in ("build-system", "project", "dependency-groups")}
    return hashlib.sha256((json.dumps(parts, sort_keys=True) + LOCK.read_text()).encode()).hexdigest()


def group_requirements(groups: list[str]) -> list[str]:
    """The requirements of dependency groups (PEP 735), included groups expanded."""
    known = read_project()["dependency-groups"]
    found: list[str] = []
    for group in groups:
        if group not in known:
            raise BootstrapError(
                f"no dependency group {group!r} in pyproject.toml; there are {', '.join(known)}"
            )
        for entry in known[group]:
            found += [entry] if isinstance(entry, str) else group_requirements([entry["include-group"]])
    return found


def read_project() -> dict[str, Any]:
    """``pyproject.toml``."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def run(command: list[str], *, quiet: bool = False) -> None:
    """Run a command within the time limit; a quiet one is heard only if it fails."""
    where = subprocess.PIPE if quiet else None
    try:
        done = subprocess.run(
            command,
            stdout=where,
            stderr=subprocess.STDOUT if quiet else None,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BootstrapError(f"{' '.join(command)} did not end within {INSTALL_SECONDS:g} s") from None
    if done.returncode:
        raise BootstrapError(f"{' '.join(command)} failed ({done.returncode})\n{done.stdout or ''}".rstrip())


if __name__ == "__main__":
    sys.exit(main())
