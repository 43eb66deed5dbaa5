"""Log records of a program that has not set up logging."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import logging
{setup}
import mysql_redis_cache
log = logging.getLogger("mysql_redis_cache.drops")
log.info("not %s", "this")
log.warning("entries of %s", "users")
try:
    raise ValueError("why")
except ValueError:
    log.exception("it failed")
"""


def stderr_after(setup: str) -> str:
    run = [sys.executable, "-c", SCRIPT.format(setup=setup)]
    return subprocess.run(run, capture_output=True, text=True, check=True, timeout=60).stderr


def test_warnings_are_said_where_logging_is_not_set_up() -> None:
    """With the logger's name and the traceback; what is less than a warning is not."""
    lines = stderr_after("").splitlines()

    assert lines[:2] == [
        "mysql_redis_cache.drops: entries of users",
        "mysql_redis_cache.drops: it failed",
    ]
    assert lines[-1] == "ValueError: why"


@pytest.mark.parametrize(
    ("setup", "said"),
    [
        ("logging.getLogger('mysql_redis_cache').addHandler(logging.NullHandler())", ""),
        ("logging.getLogger('mysql_redis_cache.drops').addHandler(logging.NullHandler())", ""),
        ("logging.getLogger().addHandler(logging.NullHandler())", ""),
        ("logging.lastResort = None", ""),
        ("logging.basicConfig(format='own %(message)s', level='CRITICAL')", ""),
        ("logging.basicConfig(format='own %(levelname)s')", "own WARNING"),
        ("logging.getLogger('elsewhere').addHandler(logging.NullHandler())", "mysql_redis_cache.drops: "),
        (
            "logging.basicConfig(); logging.getLogger('mysql_redis_cache').propagate = False",
            "mysql_redis_cache.drops: ",
        ),
    ],
)
def test_a_program_that_has_set_it_up_decides(setup: str, said: str) -> None:
    """Each record is said once: by its handlers if it has any, a NullHandler too."""
    seen = stderr_after(setup)

    assert seen.startswith(said)
    assert len(seen) == 0 if not said else seen.count("entries of users") + seen.count("own WARNING") == 1


def test_the_package_has_a_null_handler() -> None:
    """As libraries have: one, however often it is imported."""
    code = (
        "import importlib, logging, mysql_redis_cache; importlib.reload(mysql_redis_cache)\n"
        "(one,) = logging.getLogger('mysql_redis_cache').handlers\n"
        "assert isinstance(one, logging.NullHandler)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
