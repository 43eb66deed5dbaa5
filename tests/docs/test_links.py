"""Links between the pages lead somewhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import ROOT, pages

if TYPE_CHECKING:
    from pathlib import Path

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
PAGES = [*pages(), ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(prose(page))
    }


def is_broken(page: Path, link: str) -> bool:
    place, _, anchor = link.partition("#")
    target = (page.parent / place).resolve() if place else page
    if not target.exists():
        return True
    return bool(anchor) and anchor not in anchors(target)


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES])
def test_links_resolve(page: Path) -> None:
    """Every relative link names a file that exists, and a heading that is in it."""
    links = [link for link in LINK.findall(prose(page)) if "://" not in link]

    assert [link for link in links if is_broken(page, link)] == []


def test_every_page_is_in_the_index() -> None:
    """Whoever adds a page adds it to docs/README.md."""
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link).resolve() for link in LINK.findall(prose(index))}

    assert {page for page in pages() if (ROOT / "docs") in page.parents} - linked - {index} == set()


def test_the_site_has_the_index_s_order() -> None:
    """The navigation of mkdocs.yml is that of docs/README.md, and the page of docstrings."""
    _, _, index = prose(ROOT / "docs" / "README.md").partition("## Learn")
    named = [link.lower().removeprefix("../") for link in LINK.findall(index)]
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    pages_of_site = re.findall(r": (\S+\.md)$", navigation, re.MULTILINE)

    assert [page for page in pages_of_site if page not in {"README.md", "docstrings.md"}] == named
