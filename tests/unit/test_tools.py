"""The bootstrap behind `make test` and `make demo`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import bootstrap, programs

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without programs: an empty folder as the PATH, returned to put programs in."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(programs, "MORE_FOLDERS", ())
    for name in ("CI", "MRC_REQUIRE_NODE", "MRC_TEST_MYSQL_URL", "MRC_TEST_REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def put(folder: Path, name: str, script: str = "exit 0") -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_groups_are_expanded() -> None:
    """A group that includes others is what they are together."""
    single = bootstrap.group_requirements(["test"]) + bootstrap.group_requirements(["lint"])
    assert single == bootstrap.group_requirements(["dev"])


def test_an_unknown_group_is_named() -> None:
    """The error names the groups that there are."""
    with pytest.raises(bootstrap.BootstrapError, match=r"'tests'.*test, lint"):
        bootstrap.group_requirements(["tests"])


def test_the_lock_holds_every_requirement_and_no_address() -> None:
    """What pyproject.toml asks for is locked; where it came from is the installer's business."""
    lock = bootstrap.LOCK.read_text()
    locked = {line.split("==")[0] for line in lock.splitlines()}
    groups = bootstrap.read_project()["dependency-groups"]
    wanted = [
        *bootstrap.read_project()["project"]["dependencies"],
        *bootstrap.group_requirements(list(groups)),
    ]
    names = {re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", each)[0]).lower() for each in wanted}

    assert names - locked == set()
    assert "://" not in lock


@pytest.mark.usefixtures("bare")
def test_servers_of_ones_own_are_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that the environment names is not missing."""
    assert bootstrap.missing_servers() == [bootstrap.MYSQL, bootstrap.REDIS]
    monkeypatch.setenv("MRC_TEST_MYSQL_URL", "mysql://127.0.0.1:1/")
    assert bootstrap.missing_servers() == [bootstrap.REDIS]


def test_valkey_and_mysqld_will_do(bare: Path) -> None:
    """Either family of each server is found by its name."""
    put(bare, "mysqld")
    put(bare, "valkey-server")
    assert bootstrap.missing_servers() == []
    assert programs.find_redis() == str(bare / "valkey-server")


@pytest.mark.usefixtures("bare")
def test_without_any_way_the_error_lists_what_to_do() -> None:
    """Nothing to install with: the message says what helps."""
    with pytest.raises(bootstrap.BootstrapError) as caught:
        bootstrap.ensure_programs(servers=True, node=False)
    for help_offered in ("MariaDB", "redis-server", "Docker", "MRC_TEST_MYSQL_URL", "MRC_TEST_REDIS_URL"):
        assert help_offered in str(caught.value)


def test_docker_stands_in_where_nothing_else_is_there(bare: Path) -> None:
    """With an engine that answers, the images are fetched and nothing is installed."""
    log = bare / "log"
    put(bare, "docker", f'echo "$@" >> {log}')
    bootstrap.ensure_programs(servers=True, node=False)
    assert log.read_text().splitlines()[-1] == f"compose --file {ROOT}/compose.yaml pull --quiet"


def test_docker_without_engine_is_no_docker(bare: Path) -> None:
    """A client alone starts nothing."""
    put(bare, "docker", '[ "$1" = compose ]')
    assert not programs.has_docker()


def test_apt_installs_everything_in_one_go(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers and node are asked for together, without recommended packages and without questions."""
    log = bare / "log"
    put(
        bare, "apt-get", f'echo "$DEBIAN_FRONTEND $@" >> {log}; : > {bare}/mariadbd; chmod +x {bare}/mariadbd'
    )
    for name in ("env", "chmod"):
        (bare / name).symlink_to(shutil.which(name, path="/usr/bin:/bin") or "")
    put(bare, "redis-server")
    monkeypatch.setattr(bootstrap, "root_command", list)
    bootstrap.ensure_programs(servers=True, node=True)
    update, install = log.read_text().splitlines()
    assert update.endswith("update")
    assert re.fullmatch(
        r"noninteractive .* install -y --no-install-recommends (python\S+-venv )?"
        r"mariadb-server-core mariadb-client-core nodejs npm",
        install,
    )


@pytest.mark.usefixtures("bare")
def test_missing_node_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Without node the interop tests are left out, and the run says so."""
    bootstrap.ensure_programs(servers=False, node=True)
    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize(("name", "value"), [("CI", "true"), ("MRC_REQUIRE_NODE", "1")])
def test_missing_node_fails_where_it_is_required(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """CI leaves nothing out."""
    monkeypatch.setenv(name, value)
    with pytest.raises(bootstrap.BootstrapError, match="node"):
        bootstrap.ensure_programs(servers=False, node=True)


@pytest.mark.parametrize("ci", ["", "true"])
def test_mysqlclient_is_built_or_left_out(
    ci: str, bare: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its tests are about one driver of two; where everything is tested it has to be there."""
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(bootstrap, "root_command", lambda: None)
    put(bare, "python", "exit 1")
    if ci:
        with pytest.raises(bootstrap.BootstrapError, match="mysqlclient"):
            bootstrap.ensure_mysqlclient(bare / "python")
    else:
        bootstrap.ensure_mysqlclient(bare / "python")
        assert capsys.readouterr().out.splitlines()[-1].endswith("its tests are left out")
    put(bare, "python")
    bootstrap.ensure_mysqlclient(bare / "python")


def test_environment_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second call installs nothing; another group or changed requirements install again."""
    commands: list[list[str]] = []

    def run(command: list[str], *, quiet: bool = False) -> None:
        commands.append(command)
        if "venv" in command:
            (tmp_path / "bin").mkdir()
            (tmp_path / "bin" / "python").symlink_to(sys.executable)

    monkeypatch.setattr(bootstrap, "run", run)
    bootstrap.ensure_environment(tmp_path, ["test"])
    assert ["venv", "pip"] == [command[2] for command in commands]
    bootstrap.ensure_environment(tmp_path, ["test"])
    bootstrap.ensure_environment(tmp_path, [])
    assert len(commands) == 2
    bootstrap.ensure_environment(tmp_path, ["lint"])
    bootstrap.ensure_environment(tmp_path, ["test", "lint"])
    assert len(commands) == 3
    monkeypatch.setattr(bootstrap, "requirements_digest", lambda: "changed")
    bootstrap.ensure_environment(tmp_path, ["test"])
    assert len(commands) == 4


def test_a_failed_command_shows_its_output() -> None:
    """Quiet commands are heard when they fail."""
    with pytest.raises(bootstrap.BootstrapError, match="no such package"):
        bootstrap.run([sys.executable, "-c", "print('no such package'); raise SystemExit(1)"], quiet=True)


def test_make_help_lists_the_targets() -> None:
    """Each target that is meant for people has its line."""
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {"test", "demo", "lint"} <= {line.split()[0] for line in shown.splitlines()}
