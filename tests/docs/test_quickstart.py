"""The quickstart, done as it says: files written, servers started, commands run, for each framework."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.request
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.docs.pages import ROOT, _pattern, _plain
from tests.support.waiting import wait_until
from tools.server import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PAGE = ROOT / "docs" / "quickstart.md"
BLOCKS = re.compile(r"^```(python|sh|console)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ELSEWHERE = ("pip ", "export ")  # what the tests' environment has already
CURL = re.compile(r"curl -s (?:-X (?P<method>\w+) )?(?P<address>\S+)")
PORT = "8000"
PATIENCE = 60


def blocks_of(section: str) -> list[tuple[str, str]]:
    """The blocks of a section, in order, each with its language."""
    _, _, text = PAGE.read_text(encoding="utf-8").partition(f"\n## {section}\n")
    assert text, section
    return BLOCKS.findall(text.partition("\n## ")[0])


def write_file(block: str, folder: Path) -> None:
    """Write a file that a block shows, or add to it; its first line says which."""
    name, _, rest = block.partition("\n")[0].removeprefix("# ").partition(", ")
    with (folder / name).open("a" if rest == "at its end" else "w", encoding="utf-8") as file:
        file.write(block)


@contextmanager
def served(command: str, port: int, folder: Path, env: Mapping[str, str]) -> Iterator[None]:
    """Run the server that a command starts."""
    with (folder / "server.log").open("w", encoding="utf-8") as log:
        words = command.replace(PORT, str(port)).split()
        server = subprocess.Popen(words, cwd=folder, env=env, stdout=log, stderr=log)
        try:
            assert wait_until(lambda: answers(port)), (folder / "server.log").read_text(encoding="utf-8")
            yield
        finally:
            server.kill()
            server.wait()


def answers(port: int) -> bool:
    """Whether the application answers there."""
    try:
        return bool(ask(f"127.0.0.1:{port}/cache"))
    except OSError:
        return False


def ask(address: str, method: str = "GET") -> str:
    """Do what curl does, which need not be there."""
    asked = urllib.request.Request(f"http://{address}", method=method)
    with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
        return str(answer.read(), "utf-8")


def run(command: str, folder: Path, env: Mapping[str, str]) -> str:
    """Run a command as a shell would, and return what it writes."""
    if curl := CURL.fullmatch(command):
        return ask(curl["address"].replace("localhost", "127.0.0.1"), curl["method"] or "GET")
    ran = subprocess.run(
        command, shell=True, cwd=folder, env=env, capture_output=True, text=True, timeout=PATIENCE
    )
    assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout + (ran.stderr if "test" in command else "")


@pytest.mark.parametrize("framework", ["Flask", "Django", "FastAPI"])
def test_the_quickstart_works(framework: str, given: dict[str, Any], tmp_path: Path) -> None:
    """From the first file to the test, with what the page shows and nothing else."""
    port, tools = free_port(), str(Path(sys.executable).parent)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO", "PYTEST"))} | {
        "MRC_MYSQL_URL": given["mysql_config"],
        "MRC_REDIS_URL": given["redis_config"],
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
    }
    blocks = blocks_of(framework)
    serving = next(
        line for kind, text in blocks if kind == "sh" for line in text.splitlines() if PORT in line
    )
    shown = 0

    for kind, text in blocks:
        if kind == "python":
            write_file(text, tmp_path)
        elif kind == "sh":
            for line in text.splitlines():
                if line != serving and not line.startswith(ELSEWHERE):
                    run(line, tmp_path, env)
        else:
            with served(serving, port, tmp_path, env) if PORT in text else nullcontext():
                for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                    command, _, output = part.partition("\n")
                    found = run(command.replace(PORT, str(port)), tmp_path, env)
                    expected = re.compile(_pattern(output.strip()).pattern, re.DOTALL)
                    assert expected.fullmatch(_plain(found.strip())), f"{command}\n{found}"
                    shown += 1
    assert shown == 7
