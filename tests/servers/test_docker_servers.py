"""Servers from docker compose, with a stand-in for Docker that runs the program itself."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import redis

from tools.private_servers import PrivateRedis
from tools.programs import find_redis

if TYPE_CHECKING:
    from pathlib import Path

DOCKER = """#!{python}
import os, pathlib, signal, sys
here, args = pathlib.Path(__file__).parent, sys.argv[1:]
with (here / "log").open("a") as log:
    print(*args, file=log)

def serve(name):
    (here / f"{{name}}.pid").write_text(str(os.getpid()))
    os.execv("{redis}", ["redis-server", "--port", (here / f"{{name}}.port").read_text()])

def send(number):
    pid = here / f"{{args[-1]}}.pid"
    if pid.exists():
        os.kill(int(pid.read_text()), number)

match args:
    case ["compose", "--file", _, "run", *rest]:
        name, published = rest[rest.index("--name") + 1], rest[rest.index("--publish") + 1]
        (here / f"{{name}}.port").write_text(published.split(":")[1])
        serve(name)
    case ["start", "--attach", name]:
        serve(name)
    case ["pause", _]:
        send(signal.SIGSTOP)
    case ["unpause", _]:
        send(signal.SIGCONT)
    case ["kill", number, _]:
        send(signal.Signals[number.removeprefix("--signal=")])
"""


class ContainedRedis(PrivateRedis):
    """A Redis for which no program is found."""

    def find(self) -> None:
        return None


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-in on the PATH; its folder, with the log of its calls."""
    program = tmp_path / "docker"
    program.write_text(DOCKER.format(python=sys.executable, redis=find_redis()))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def test_a_container_lives_like_a_program(docker: Path) -> None:
    """Start, freeze, crash and restart at one address; the container is removed at the end."""
    with (
        ContainedRedis() as server,
        closing(redis.Redis.from_url(server.url, socket_timeout=0.5, retry=None)) as client,
    ):
        assert client.ping()
        server.suspend()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        server.resume()
        assert client.ping()
        server.kill()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        server.start()
        assert client.ping()
    calls = [line.split()[0] for line in (docker / "log").read_text().splitlines()]
    assert ["compose", "info", "compose", "pause", "unpause"] == calls[:5]
    assert {"kill", "start", "rm"} <= set(calls)
