"""Servers that the tests of outages share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.tormented import furnish
from tools.private_servers import PrivateMySQL

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def mysql_to_torment() -> Iterator[PrivateMySQL]:
    """A MySQL to torment; each test leaves it running, with no sessions but its own."""
    with PrivateMySQL(["--max-connections=12"]) as server:
        furnish(server, "first")
        yield server
