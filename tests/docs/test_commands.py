"""What the page on the command line shows is what the commands write."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from mysql_redis_cache.cli.app import mrc
from tests.docs.pages import ROOT, _pattern, _plain

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from mysql_redis_cache import MRCClient

PAGE = ROOT / "docs" / "how-to" / "command-line.md"
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
TTL = re.compile(r'^()\d+(?=\t| s left)|("ttl": )\d+', re.MULTILINE)
NAMED_FILE = re.compile(r"^`(\S+)`:\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def commands(page: str) -> list[tuple[str, str]]:
    """Each command with what it writes: ``…`` stands for anything."""
    found = []
    for block in CONSOLE.findall(page):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, TTL.sub(lambda found: f"{found[1] or found[2] or ''}…", output)))
    return found


def test_commands_write_what_the_page_shows(
    given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each in turn, in one folder, with the files that the page names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MRC_MYSQL_URL", given["mysql_config"])
    monkeypatch.setenv("MRC_REDIS_URL", given["redis_config"])
    page = PAGE.read_text(encoding="utf-8")
    for name, content in NAMED_FILE.findall(page):
        (tmp_path / name).write_text(content, encoding="utf-8")
    _fill(given["client"])
    shown = commands(page)

    assert len(shown) > 5
    for command, output in shown:
        command, _, word = command.partition("  # ends with ")
        program, *arguments = shlex.split(command)
        result = CliRunner().invoke(mrc, arguments)
        assert (program, result.exit_code) == ("mrc", int(word or 0)), f"{command}\n{result.output}"
        assert _pattern(output).fullmatch(_plain(result.output)), f"{command}\n{result.output}"


def _fill(client: MRCClient) -> None:
    users, orders = "SELECT * FROM users WHERE id = ?", "SELECT * FROM orders WHERE user_id = ?"
    client.query_with_cache(users, [123], ["UserId"], tags={"Table": "users"})
    client.query_with_cache(orders, [123], ["UserId"], 600, tags={"Table": "orders"})
    client.query_with_cache(orders, [124], ["UserId"], 600, tags={"Table": "orders"})
