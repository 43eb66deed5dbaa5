"""The soak, for a moment, and how it judges."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tools.soak import Sample, grown, verdict

ROOT = Path(__file__).resolve().parents[2]
MINUTES = os.environ.get("MRC_CHAOS_SOAK_MINUTES", "0.04")


@pytest.mark.parametrize("options", [[], ["--near"]], ids=["plain", "near"])
def test_a_short_soak_finds_nothing_wrong(options: list[str], mysql_url: str) -> None:
    """Every fault once, under load: no wrong answer, no error without a reason, nothing left open."""
    done = subprocess.run(
        [sys.executable, "-m", "tools.soak", "--minutes", MINUTES, "--json", *options],
        cwd=ROOT,
        env=os.environ | {"MRC_TEST_MYSQL_URL": mysql_url},
        capture_output=True,
        text=True,
        timeout=110 + 60 * float(MINUTES),
        check=False,
    )
    assert done.stdout, done.stderr
    result = json.loads(done.stdout)
    print(result)

    assert (result["wrong"], result["errors"]) == (0, []), done.stderr
    assert max(result["left"].values()) <= 0
    assert min(result["reads"], result["drops"]) > 0


def samples(*rss: float, sockets: int = 20) -> list[Sample]:
    return [Sample(place, each, sockets, 30, 15, 9) for place, each in enumerate(rss)]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ([60.0] * 40, {}),
        ([30.0] * 4 + [60.0] * 36, {}),
        ([60.0, 64.0] * 20, {}),
        ([60.0 + place for place in range(40)], {"rss": (69.5, 93.5)}),
    ],
    ids=["flat", "warming up", "up and down", "growing"],
)
def test_growth_is_told_from_noise(seen: list[float], expected: dict[str, Any]) -> None:
    """The last third is compared with the first after the warm-up."""
    assert grown(samples(*seen)) == expected


def counted(*threads: int) -> list[Sample]:
    return [Sample(place, 60.0, 20, 30, each, 9) for place, each in enumerate(threads)]


def test_fuller_pools_are_no_leak() -> None:
    """They were as empty once as before, which they could not be if threads had been left."""
    assert grown(counted(*[20, 26, 26, 26] * 10, *[20, 30, 31, 37] * 10)) == {}


def test_a_leak_is_seen_however_much_pools_go_up_and_down() -> None:
    """One thread in eight samples, beside up to seventeen that come and go."""
    busy = [0, 6, 17, 3, 11, 9, 14, 5]
    assert grown(counted(*[20 + place // 8 + busy[place % 8] for place in range(80)])) == {
        "threads": (21, 27)
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"wrong": 1}, "wrong 1"),
        ({"errors": ["…"]}, "unexpected errors 1"),
        ({"left": {"sockets": 2, "threads": 0}}, "left open after closing: 2 sockets"),
        ({"grown": {"sockets": (20.0, 31.0)}}, "sockets grew from 20 to 31"),
    ],
    ids=["wrong", "errors", "left", "grown"],
)
def test_the_verdict_says_what_is_wrong(change: dict[str, Any], said: str) -> None:
    """And in its absence that all is well."""
    good = {"wrong": 0, "errors": [], "left": {"sockets": -1, "threads": 0}, "grown": {}}

    assert verdict(good) == (
        True,
        "RSS flat, sockets flat, threads flat, tasks flat, wrong 0, unexpected errors 0, "
        "left open after closing: nothing",
    )
    assert verdict(good | {"grown": None}) == (
        True,
        "growth not judged, that takes 4 minutes, wrong 0, unexpected errors 0, "
        "left open after closing: nothing",
    )
    is_good, line = verdict(good | change)
    assert not is_good
    assert said in line
