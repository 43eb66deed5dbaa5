"""``mrc follow``, as processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import redis

from mysql_redis_cache import MRCClient
from mysql_redis_cache.cli.app import mrc
from tests.support.binlogs import LoggedServer
from tests.support.commands import runner
from tests.support.debezium import Sink, envelope
from tests.support.following import Cached
from tests.support.terminals import COMMAND, in_pipe, in_terminal
from tests.support.waiting import wait_until
from tools.private_servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = pytest.mark.real

Env = dict[str, str]


@pytest.fixture
def cached(logged_url: str, redis_url: str) -> Iterator[Cached]:
    """A table, and reads of it through the cache."""
    server = LoggedServer(logged_url)
    server.run(
        "CREATE TABLE t (id INT PRIMARY KEY, k INT, v INT)", "INSERT INTO t VALUES (1, 1, 0), (2, 2, 0)"
    )
    with MRCClient(logged_url, redis_url) as client:
        yield Cached(server, client)
    server.run("DROP TABLE t")
    server.close()


@pytest.fixture
def env(cached: Cached, redis_url: str, tmp_path: Path) -> Env:
    """Servers and rules that fit."""
    rules = tmp_path / "follow.toml"
    rules.write_text(f'[follow."{cached.server.schema}.t"]\nk = "k"\n')
    return {"MRC_MYSQL_URL": cached.server.url, "MRC_REDIS_URL": redis_url, "MRC_CONFIG": str(rules)}


@contextmanager
def running(*arguments: str, env: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Run it until the block ends."""
    command = [*COMMAND, "follow", *arguments]
    with subprocess.Popen(command, env=os.environ | env, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def asked(port: int) -> tuple[int, dict[str, Any]]:
    """What the endpoint answers; 0 while nobody does."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/", timeout=10) as response:
            return response.status, json.load(response)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)
    except OSError:
        return 0, {}


def test_it_drops_until_it_is_told_to_end(cached: Cached, env: Env) -> None:
    """SIGTERM ends it in order: 0, and another leads at once."""
    port = free_port()
    with running("--health", f"127.0.0.1:{port}", env=env) as process:
        assert wait_until(lambda: asked(port)[1].get("lag") == 0.0, 20)
        cached.read("t", k=1)
        cached.read("t", k=2)
        cached.server.run("UPDATE t SET v = 1 WHERE id = 1")
        cached.wait_gone("t", k=1)
        assert cached.is_cached("t", k=2)
        status, state = asked(port)
        assert (status, state["leader"], state["problem"]) == (200, True, "")
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
            assert 'mrc_follow_leader{follower="default"} 1.0' in response.read().decode()
        assert wait_until(lambda: "leads, 0.0 s and 0 " in in_pipe("stats", env=env).stdout, 20)
        (told,) = json.loads(in_pipe("top", env=env).stdout)["followers"]
        assert (told["name"], told["leader"], told["server"]) == ("default", True, state["server"])

        with running("--health", f"127.0.0.1:{free_port()}", env=env) as second:
            assert second.stderr is not None
            assert next(line for line in second.stderr if "stands by" in line)
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=20)
            assert process.returncode == 0
            assert "this follower leads" in said
            assert "Traceback" not in said
            assert next(line for line in second.stderr if "leads" in line)


def test_ctrl_c_ends_it_in_order(env: Env) -> None:
    """In a terminal, and it says what it does."""
    code, seen = in_terminal("follow", env=env, answers=[("this follower leads", "\x03")])

    assert code == 0
    assert "Traceback" not in seen


def test_health_tells_of_what_it_waits_for(env: Env) -> None:
    """MySQL away: well for a moment, then no more; what it waits for is in the state."""
    port = free_port()
    away = {**env, "MRC_MYSQL_URL": "mysql://root:s3cret@127.0.0.1:1/"}
    with running("--health", f"127.0.0.1:{port}", "--max-lag", "0.1", env=away) as process:
        assert wait_until(lambda: asked(port)[0] == 503 and asked(port)[1]["problem"], 20)
        assert "127.0.0.1:1" in asked(port)[1]["problem"]
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
        assert process.returncode == 0
        assert "s3cret" not in said


def test_check_tells_whether_it_would_start(cached: Cached, env: Env) -> None:
    """0 if so; else 7, with each problem and what to do; in a terminal with colours."""
    fine = in_pipe("follow", "--check", env=env)
    assert (fine.returncode, fine.stdout.splitlines()[-1], fine.stderr) == (
        0,
        "ok       rules: they fit the server",
        "",
    )
    assert json.loads(in_pipe("follow", "--check", "--json", env=env).stdout)["problems"] == []

    cached.server.run("ALTER TABLE t RENAME COLUMN k TO kk")
    problem = f"there is no column {cached.server.schema}.t.k; did you mean kk?"
    bad = in_pipe("follow", "--check", "--json", env=env)
    assert (bad.returncode, json.loads(bad.stdout)["problems"]) == (7, [problem])
    code, seen = in_terminal("follow", "--check", env=env, raw=True)
    assert (code, "\x1b[31merror" in seen, "did you mean kk?" in seen) == (7, True, True)
    refused = in_pipe("follow", env=env)
    assert (refused.returncode, refused.stdout) == (7, "")
    assert refused.stderr.endswith(f"Error: {problem}\n")


def test_a_server_that_is_away_has_another_take_its_place(cached: Cached, env: Env) -> None:
    """With the account of the first, from the command line or the file."""
    account, _, place = cached.server.url.removeprefix("mysql://").rpartition("@")
    away = {**env, "MRC_MYSQL_URL": f"mysql://{account}@127.0.0.1:1/"}
    assert in_pipe("follow", "--check", "--failover", f"mysql://{place}", env=away).returncode == 0
    file = Path(env["MRC_CONFIG"])
    file.write_text(f'failover = ["mysql://127.0.0.1:2/", "mysql://{place}"]\n{file.read_text()}')
    assert in_pipe("follow", "--check", env=away).returncode == 0


def test_check_needs_both_servers(env: Env) -> None:
    """One that is away is 4."""
    for name, url in (
        ("MRC_REDIS_URL", "redis://127.0.0.1:1/0"),
        ("MRC_MYSQL_URL", "mysql://u@127.0.0.1:1/"),
    ):
        away = in_pipe("follow", "--check", env={**env, name: url})
        assert (away.returncode, away.stdout) == (4, "")


def test_change_events_are_followed_from_streams(cached: Cached, env: Env, redis_url: str) -> None:
    """``--from`` names them; the check tells of those that are not there yet."""
    changes = redis_url.replace("redis://", "redis-stream://") + "/shopdb"
    checked = in_pipe("follow", "--check", "--json", "--from", changes, env=env)
    assert checked.returncode == 0
    assert "there is no stream shopdb" in json.loads(checked.stdout)["notes"][-1]

    table = (cached.server.schema, "t")
    with running("--from", changes, env=env) as process, redis.Redis.from_url(redis_url) as client:
        assert wait_until(lambda: b"streams" in (client.hget("{mrc:follow:default}", "state") or b""), 20)
        cached.read("t", k=1)
        gtid = cached.client.execute("DELETE FROM t WHERE id = 1").gtid
        Sink(client).add(table, envelope(table, "d", {"id": 1, "k": 1, "v": 0}, None, gtid))
        cached.wait_gone("t", k=1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.parametrize(
    ("arguments", "rules", "said"),
    [
        ([], "", "no rules"),
        ([], "follow = 1", "follow must be a table"),
        ([], "[follow.t]\nk = 1", "write it with its schema"),
        (["--json"], "[follow]\ntable_tags = true", "--json is for --check"),
        (["--from", "redis://:s3cret@h:1/0/p"], "[follow.a.b]\nK = 'k'", "changes must be redis-stream://"),
        (["--from", "redis-stream://:s3cret@h\u2100:1/0/p"], "[follow.a.b]\nK = 'k'", "changes must be"),
        (["--health", "9477"], "[follow]\ntable_tags = true", "no HOST:PORT"),
    ],
)
def test_bad_usage_is_said_before_anything_is_sent(
    tmp_path: Path, arguments: list[str], rules: str, said: str
) -> None:
    """It ends with 2, though no server is there."""
    (tmp_path / "rules.toml").write_text(rules)
    servers = ["--mysql", "mysql://u@127.0.0.1:1/", "--redis", "redis://127.0.0.1:1/0"]
    result = runner().invoke(mrc, ["follow", *servers, "--config", str(tmp_path / "rules.toml"), *arguments])

    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert "s3cret" not in result.stderr
