"""The command line in a terminal and in a pipe, as processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mysql_redis_cache.cli.app import mrc
from tests.cli.conftest import QUERY
from tests.support.terminals import CODES, in_pipe, in_terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    import redis

pytestmark = pytest.mark.real


def test_a_terminal_gets_a_table(env: dict[str, str], filled: Callable[..., str]) -> None:
    """With heads, and with colours that NO_COLOR takes away."""
    key = filled(1, 6)

    code, seen = in_terminal("ls", "UserId=1", env=env | {"NO_COLOR": "1"}, raw=True)
    words = CODES.sub("", seen).split()
    assert (code, words[:3], "".join(words[5:])) == (0, ["ttl", "bytes", "key"], key)
    assert "\x1b[3" not in seen


def test_a_terminal_is_asked(
    env: dict[str, str], filled: Callable[..., str], redis_client: redis.Redis
) -> None:
    """The question has the number and the place; a no leaves everything, a yes does it."""
    key = filled(1, 6)

    code, seen = in_terminal("drop", "UserId=1", env=env, answers=[("[y/N]: ", "n\n")])
    assert (code, redis_client.exists(key)) == (1, 1)
    assert "1 entries of no namespace in redis://127.0.0.1" in seen
    code, seen = in_terminal("drop", "UserId=1", env=env, answers=[("[y/N]: ", "y\n")])
    assert (code, redis_client.exists(key)) == (0, 0)
    assert seen.rstrip().endswith("1")


def test_a_pipe_gets_data_alone(env: dict[str, str], filled: Callable[..., str]) -> None:
    """And a command that drops ends with 2 where nobody can be asked."""
    key = filled(1, 6)

    listed = in_pipe("ls", env=env)
    assert (listed.returncode, listed.stdout.split("\t")[2], listed.stderr) == (0, f"{key}\n", "")
    refused = in_pipe("drop", "UserId=1", env=env)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--yes" in refused.stderr


def test_a_password_is_asked_for_unseen(env: dict[str, str], redis_url: str) -> None:
    """It is typed at the terminal, not shown, and no message has it."""
    url = env | {"MRC_REDIS_URL": redis_url, "MRC_MYSQL_URL": ""}

    code, seen = in_terminal("ls", "--ask-passwords", env=url, answers=[("password of Redis: ", "s3cret\n")])
    assert code in {3, 4}  # by whether a Redis without one minds
    assert "s3cret" not in seen


CALL = (QUERY, "--param", "UserId=1", "--param", "StoreId=6")
NOBODY = 3
# Each command, the exit codes that it may end with, and whether it has data then.
COMMANDS = [
    (("ls", "UserId=1"), {0}, True),
    (("get", "KEY"), {0}, True),
    (("key", *CALL), {0}, True),
    (("explain", *CALL), {0}, True),
    (("drop", "UserId=1", "--dry-run"), {0}, True),
    (("warm", "queries.jsonl"), {0}, True),
    (("stats",), {NOBODY}, False),
    (("top",), {NOBODY}, False),
    (("verify", "--module", "cached"), {0}, True),
    (("follow", "--check"), {0, 6, 7}, True),  # as the binary log is
    (("doctor",), {0, 6, 7}, True),
]


@pytest.mark.parametrize(("arguments", "codes", "tells"), COMMANDS, ids=[each[0][0] for each in COMMANDS])
def test_every_command_in_both(
    arguments: tuple[str, ...],
    codes: set[int],
    tells: bool,
    env: dict[str, str],
    filled: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In a pipe it gives JSON and nothing else, in a terminal no colour that NO_COLOR forbids."""
    monkeypatch.chdir(tmp_path)
    arguments = tuple(filled(1, 6) if each == "KEY" else each for each in arguments)
    filled(1, 6)
    query = {"query": QUERY, "params": [1, 6], "param_names": ["UserId", "StoreId"]}
    Path("queries.jsonl").write_text(json.dumps(query), encoding="utf-8")
    Path("cached.py").write_text(
        f"from mysql_redis_cache import Query\nqueries = [Query({QUERY!r}, [1, 6], ['UserId', 'StoreId'])]\n",
        encoding="utf-8",
    )
    Path("pyproject.toml").write_text(
        "[tool.mysql-redis-cache.follow]\ntable_tags = true\n", encoding="utf-8"
    )

    piped = in_pipe(*arguments, "--json", env=env)
    code, seen = in_terminal(*arguments, env=env | {"NO_COLOR": "1"}, raw=True)

    assert {piped.returncode, code} <= codes, f"{piped.stderr}{seen}"
    assert [json.loads(line) is not None for line in piped.stdout.splitlines()] == [True] * tells
    assert bool(piped.stderr) >= (not tells)
    assert "\x1b[3" not in seen
    assert seen.strip()


def test_every_command_is_here() -> None:
    """A new one is added above; each has examples in its help."""
    assert {each[0][0] for each in COMMANDS} == set(mrc.commands)
    for command in mrc.commands.values():
        assert "Examples:" in (command.epilog or "")


@pytest.mark.parametrize(("words", "offered"), [("mrc dr", "plain,drop"), ("mrc top --so", "plain,--sort")])
def test_a_shell_completes(words: str, offered: str) -> None:
    """Commands and their options, as bash asks for it."""
    asked = {"_MRC_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    told = subprocess.run(
        [Path(sys.executable).with_name("mrc")], env=os.environ | asked, capture_output=True, text=True
    )

    assert told.stdout.splitlines() == [offered]
