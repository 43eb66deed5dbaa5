"""Where the command line finds its servers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from mysql_redis_cache.cli.app import mrc
from mysql_redis_cache.cli.settings import Settings, servers, with_account, with_password, without_password

ROOT = Path(__file__).parents[3]


@click.command()
@servers
def probe(*, settings: Settings) -> None:
    """Print what was understood."""
    click.echo(repr(settings))


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("MYSQL_URL", "REDIS_URL", "NAMESPACE", "INDEX", "CONFIG", "REDIS_PASSWORD_FILE"):
        monkeypatch.delenv(f"MRC_{name}", raising=False)


def probed(*arguments: str) -> Result:
    return CliRunner().invoke(probe, arguments)


def test_options_go_before_the_environment_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each overrides the next, field by field; a folder below finds the file too."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.mysql-redis-cache]\nredis = "redis://file/0"\nmysql = "mysql://file/"\nindex = true\n'
        'namespace = "file"\n'
    )
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    monkeypatch.setenv("MRC_MYSQL_URL", "mysql://env/")
    monkeypatch.setenv("MRC_NAMESPACE", "env")

    expected = Settings("mysql://env/", "redis://file/0", "option", index=True)
    assert probed("--namespace", "option").output == f"{expected!r}\n"
    assert "index=False" in probed("--no-index").output


def test_a_named_file_may_be_of_any_name(tmp_path: Path) -> None:
    """With the fields at its top, or in the table that pyproject.toml has."""
    (tmp_path / "a.toml").write_text('redis = "redis://a/0"\n')
    (tmp_path / "b.toml").write_text('[tool.mysql-redis-cache]\nredis = "redis://b/0"\n')

    assert "redis://a/0" in probed("--config", "a.toml").output
    assert "redis://b/0" in probed("--config", "b.toml").output


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('reds = "redis://s3cret/"', "did you mean 'redis'"),
        ("redis = 1", "redis must be a str"),
        ("failover = 's3cret'", "failover must be a list"),
        ("redis = s3cret", "TOML"),
        ("tool = 's3cret'", "unknown field 'tool'"),
        ("[tool]\nmysql-redis-cache = 's3cret'", "must be a table"),
        ("[[tool.mysql-redis-cache]]\nredis = 's3cret'", "must be a table"),
    ],
)
def test_a_bad_file_is_a_usage_error(tmp_path: Path, content: str, said: str) -> None:
    """It names the field, and never shows what stands there."""
    (tmp_path / "c.toml").write_text(content)

    result = probed("--config", "c.toml")
    assert (result.exit_code, said in result.output, "s3cret" in result.output) == (2, True, False)


def test_a_pyproject_of_odd_tools_is_not_ours(tmp_path: Path) -> None:
    """It is passed over, as one without our table."""
    (tmp_path / "pyproject.toml").write_text("tool = 1\n")

    assert probed("--redis", "redis://a/0").exit_code == 0


def test_a_password_comes_from_a_file(tmp_path: Path) -> None:
    """In place of one that the URL may have; percent-encoded, since it may hold anything."""
    (tmp_path / "secret").write_text("p@ss/:word\n")

    found = probed("--redis", "redis://me:old@host:1/2", "--redis-password-file", "secret").output
    assert "redis://me:p%40ss%2F%3Aword@host:1/2" in found
    assert probed("--redis", "redis://h/", "--redis-password-file", "missing").exit_code == 2


@pytest.mark.parametrize("place", ["h\u2100", "[::1"])
def test_a_url_that_cannot_be_taken_apart_is_not_shown(tmp_path: Path, place: str) -> None:
    """What Python says of one may have its account."""
    (tmp_path / "secret").write_text("s3cret")
    url = f"redis://:s3cret@{place}:1/2"

    result = probed("--redis", url, "--redis-password-file", "secret")
    assert (result.exit_code, "s3cret" in result.output) == (2, False)
    with pytest.raises(click.UsageError, match="percent-encode"):
        with_account("mysql://b", url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://host", "redis://:x@host"),
        ("unix:///run/redis.sock?db=1", "unix://:x@/run/redis.sock?db=1"),
        ("mysql://me@[::1]:3306/shop", "mysql://me:x@[::1]:3306/shop"),
    ],
)
def test_passwords_fit_into_any_url(url: str, expected: str) -> None:
    """Whatever stands before them."""
    assert with_password(url, "x") == expected


def test_where_a_url_leads_is_shown_without_its_account() -> None:
    """Nor with its options, which may hold a password as well."""
    assert without_password("redis://me:s3cret@host:1/2?password=s3cret") == "redis://host:1/2"


GIVEN = {
    "get": ["k"],
    "explain": ["q"],
    "verify": ["--module", "json"],
    "drop": ["--all", "--yes"],
    "warm": ["-"],
}


@pytest.mark.parametrize("command", [name for name in mrc.commands if name != "key"])
def test_a_command_without_its_server_says_how_to_name_one(command: str) -> None:
    """Nothing is guessed: no command falls on localhost by itself."""
    given = GIVEN.get(command, [])
    result = CliRunner().invoke(mrc, [command, *given])

    assert (result.exit_code, "MRC_REDIS_URL" in result.output or "MRC_MYSQL_URL" in result.output) == (
        2,
        True,
    )


@pytest.mark.parametrize("command", list(mrc.commands))
def test_help_has_examples(command: str) -> None:
    """Each command shows how it is meant."""
    result = CliRunner().invoke(mrc, [command, "--help"])

    assert result.exit_code == 0
    assert f"mrc {command}" in result.output.partition("Examples:")[2]


@pytest.mark.parametrize("command", list(mrc.commands))
def test_every_command_has_json(command: str) -> None:
    """What a program reads is promised."""
    assert "--json" in CliRunner().invoke(mrc, [command, "--help"]).output


def test_without_the_extra_it_says_what_to_install() -> None:
    """A plain installation has the command, and no click."""
    code = (
        "import sys; from importlib.machinery import PathFinder as P; found = P.find_spec\n"
        "P.find_spec = lambda name, *a: None if name in ('click', 'rich') else found(name, *a)\n"
        "from mysql_redis_cache.cli import main; main('mrc')"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert (run.returncode, run.stdout) == (2, "")
    assert "pip install 'mysql-redis-cache[cli]'" in run.stderr


def test_the_library_needs_neither() -> None:
    """Importing the package imports no part of the command line."""
    code = (
        "import sys, mysql_redis_cache; print({'click', 'rich', 'mysql_redis_cache.cli'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert run.stdout == "set()\n"


@pytest.mark.parametrize(
    ("url", "like", "expected"),
    [
        ("mysql://b:2/shop?x=1", "mysql://me:p%40ss@a:1/", "mysql://me:p%40ss@b:2/shop?x=1"),
        ("mysql://you@b:2/", "mysql://me:p@a:1/", "mysql://you@b:2/"),
        ("mysql://b/", "mysql://a/", "mysql://b/"),
    ],
)
def test_a_server_may_have_the_account_of_another(url: str, like: str, expected: str) -> None:
    """Unless it has one of its own."""
    assert with_account(url, like) == expected
