"""Writers, readers, servers and followers that are killed: afterwards every entry is compared with MySQL.

The short form of ``python -m tools.chaos``, which does it for minutes, on either server, and spoiled in other
ways; those are left to chance there, and have tests of their own in ``test_life.py``.
"""

from __future__ import annotations

import pytest

from tools.chaos import chaos

SECONDS = 6.0


@pytest.mark.timeout(240)
def test_chaos_leaves_nothing_outdated() -> None:
    """Whatever happened, a failover too, when all is quiet every entry is what MySQL says."""
    found = chaos(SECONDS)

    assert found.entries > 60
    assert found.outdated == []


@pytest.mark.timeout(240)
def test_without_a_follower_most_entries_are_outdated() -> None:
    """The control: the comparison sees it."""
    found = chaos(SECONDS / 3, spoil="follower")

    assert len(found.outdated) > found.entries / 2
