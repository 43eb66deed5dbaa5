"""The last act of ``make demo``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mysql_redis_cache.readthrough import verifying
from tools.demo_follower import ORDER, show_follower

if TYPE_CHECKING:
    from tests.support.binlogs import LoggedServer


@pytest.mark.real
def test_a_forgotten_drop_is_found_and_then_made_impossible(
    server: LoggedServer,
    redis_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the demo shows is so, each time."""
    monkeypatch.setattr(verifying, "LATER", 0.05)
    server.run(
        "CREATE TABLE orders (id INT PRIMARY KEY, status VARCHAR(12))",
        f"INSERT INTO orders VALUES ({ORDER}, '')",
    )

    show_follower(server.url, redis_url, None)

    said = capsys.readouterr().out
    for line in (
        "'new': outdated",
        "a drop by OrderId is missing",
        "read anew: 'paid'",
        "'shipped', ",
        "'returned': reads what it wrote",
    ):
        assert line in said
