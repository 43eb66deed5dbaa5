"""Between an event loop and threads."""

from __future__ import annotations

import subprocess
import sys


def test_nothing_is_imported_once_requests_are_served() -> None:
    """A facade that is entered has anyio's backend: to import it keeps a loop for twenty milliseconds."""
    code = """
import asyncio, sys
from mysql_redis_cache import AsyncMRCClient

async def main():
    async with AsyncMRCClient("mysql://localhost/", "redis://localhost"):
        print("anyio._backends._asyncio" in sys.modules)

asyncio.run(main())
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )

    assert (ran.returncode, ran.stdout.strip(), ran.stderr) == (0, "True", "")
