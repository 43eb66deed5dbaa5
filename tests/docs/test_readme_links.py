"""The README as a package index shows it, away from the repository."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def test_the_package_index_has_a_way_to_the_docs() -> None:
    """Every link is whole, and leads to a file of this version; the project's addresses stand beside it."""
    about = metadata.metadata("mysql-redis-cache")
    version = about["Version"]
    here = LINK.findall((ROOT / "README.md").read_text())
    there = LINK.findall(about.get_payload())  # type: ignore[no-untyped-call]

    assert here
    assert all(link.startswith("https://") for link in there)
    assert any(f"/blob/v{version}/docs/tutorial.md" in link for link in there)
    assert all((ROOT / link.partition("#")[0]).exists() for link in here if not link.startswith("http"))
    assert {"Homepage", "Documentation", "Changelog", "Issues"} <= {
        entry.partition(",")[0] for entry in about.get_all("Project-URL") or []
    }
