"""The command line in a terminal and in a pipe, as processes of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

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
