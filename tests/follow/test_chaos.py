"""Writers, readers, servers and followers that are killed: afterwards every entry is compared with MySQL.

The short form of ``python -m tools.chaos``, which does it for minutes, on either server, and spoiled in other
ways; those are left to chance there, and have tests of their own in ``test_life.py``.
"""

from __future__ import annotations

import pytest

from tools.chaos import chaos

SECONDS = 6.0
BUSY = 3.0  # seconds that a machine may take which runs other tests as well


@pytest.mark.timeout(240)
def test_chaos_leaves_nothing_outdated() -> None:
    """Whatever happened, a failover too; before all is quiet nothing is for much longer than the lag."""
    found = chaos(SECONDS)

    assert found.entries > 60
    assert found.outdated == []
    assert found.looks > 240
    assert [late for late, lag in found.delays.late if late.length > lag + BUSY] == []


@pytest.mark.timeout(240)
def test_without_a_follower_most_entries_are_outdated() -> None:
    """The control: the comparison sees it."""
    found = chaos(SECONDS / 3, spoil="follower")

    assert len(found.outdated) > found.entries / 2
