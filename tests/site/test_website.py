"""The site as a reader finds it: every page renders, at any width, in light and dark, and leads on."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote, urldefrag, urljoin

import pytest
from selenium.webdriver.common.action_chains import ActionChains

from tests.support.waiting import wait_until
from tools.website import DOCS, OUTSIDE, PAGES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.site.conftest import Browser

NAMES = [str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")]
ADDRESSES = sorted(
    "" if name == "README.md" else f"{name.removesuffix('.md')}/"
    for name in [*NAMES, *OUTSIDE.values(), "docstrings.md"]
)
HERE = "http://site/"
# Addresses that are asked of nobody.
INNER = ("data:", "blob:", "chrome:", "about:")
# The text of the search, which is a shadow of the page.
FOUND = (
    "return [...document.querySelectorAll('*')].find(each => each.shadowRoot)?.shadowRoot.textContent ?? null"
)
# What sticks out of the window, for a failed test to show.
WIDE = """
const width = document.documentElement.clientWidth;
return document.documentElement.scrollWidth <= width ? [] : [...document.querySelectorAll('article *')]
  .filter(each => each.getBoundingClientRect().right > width + 1)
  .map(each => each.tagName + ': ' + each.textContent.trim().slice(0, 60)).concat(['page']);
"""
# Relative luminance of the text and of what is behind it, as WCAG 2 computes contrast.
CONTRAST = """
const paint = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
const light = color => {
  paint.fillStyle = color; paint.fillRect(0, 0, 1, 1);
  const [r, g, b] = [...paint.getImageData(0, 0, 1, 1).data].slice(0, 3)
    .map(each => each / 255).map(each => each <= .03928 ? each / 12.92 : ((each + .055) / 1.055) ** 2.4);
  return .2126 * r + .7152 * g + .0722 * b;
};
const back = light(getComputedStyle(document.body).backgroundColor);
const text = light(getComputedStyle(document.querySelector('article p')).color);
return [back, (Math.max(back, text) + .05) / (Math.min(back, text) + .05)];
"""
BROKEN_PICTURES = "return [...document.images].filter(each => !each.naturalWidth).map(each => each.src)"


class _Links(HTMLParser):
    """What a page links to and shows, and the anchors it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given.get("id", ""), given.get("name", "")}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif address := given.get("src") or given.get("href"):
            self.fetched.append(address)


@pytest.fixture(scope="module")
def contents(site: Path) -> dict[str, _Links]:
    """What each page links to, by its address in the site."""
    files = [file for file in site.rglob("*.html") if file.name != "404.html"]
    return {
        str(file.relative_to(site).parent).strip(".") + "/" * (file.parent != site): _Links(
            file.read_text(encoding="utf-8")
        )
        for file in files
    }


def test_every_page_is_built(contents: dict[str, _Links]) -> None:
    """Each file of the documentation has its page, and there are no others."""
    assert sorted(contents) == ADDRESSES


def test_links_lead_somewhere(site: Path, contents: dict[str, _Links]) -> None:
    """Every link within the site names a page, and a place in it that exists; so does whatever is fetched."""

    def leads_nowhere(page: str, link: str) -> bool:
        target, anchor = urldefrag(urljoin(HERE + page, link))
        if not target.startswith(HERE):
            return False
        place = unquote(target.removeprefix(HERE))
        if anchor and place in contents:
            return unquote(anchor) not in contents[place].anchors
        return not (site / place).exists()

    links = {(page, link) for page, found in contents.items() for link in found.links + found.fetched}

    assert {each for each in links if leads_nowhere(*each)} == set()


def test_nothing_comes_from_elsewhere(contents: dict[str, _Links]) -> None:
    """No page has a script, a style or a picture of another host."""
    assert {each for found in contents.values() for each in found.fetched if "//" in each} == set()


def test_nobody_reads_what_only_tests_run(site: Path) -> None:
    """The hidden blocks of the pages are not in the site."""
    assert not [page for page in PAGES.rglob("*.md") if "<!-- python" in page.read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", [pytest.param(page, id=page or "landing page") for page in ADDRESSES])
def test_a_page_can_be_read(browser: Browser, page: str) -> None:
    """It renders without a complaint, from this host alone; no picture is broken, nothing sticks out."""
    browser.open(page)
    light, contrast = browser.run(CONTRAST)
    sticking_out = browser.run(WIDE)
    title = browser.run("return document.querySelector('article h1').textContent.trim()")
    broken = browser.run(BROKEN_PICTURES)
    browser.look(360, "dark")
    in_dark = wait_until(lambda: browser.run(CONTRAST)[0] < 0.1)

    assert title
    assert (sticking_out, browser.run(WIDE)) == ([], [])
    assert broken == []
    assert in_dark
    assert light > 0.8
    assert min(contrast, browser.run(CONTRAST)[1]) >= 4.5
    assert browser.complaints() == []
    assert [each for each in browser.asked() if not each.startswith((browser.address, *INNER))] == []


def test_a_search_finds_a_call(browser: Browser) -> None:
    """Who types ``drop_many`` is led to where it is explained."""
    browser.open("")
    ActionChains(browser.driver).send_keys("/").pause(0).perform()
    assert wait_until(lambda: browser.run(FOUND) is not None)
    ActionChains(browser.driver).send_keys("drop_many").perform()

    assert wait_until(lambda: "drop_many" in browser.run(FOUND), 20)
    assert browser.complaints() == []


def test_charts_are_seen(browser: Browser) -> None:
    """Both pictures of the benchmarks are, as wide as the page allows."""
    browser.open("benchmarks/")
    widths = browser.run(
        "return Object.fromEntries([...document.querySelectorAll('article img')]"
        ".map(each => [each.src.split('/').pop(), each.getBoundingClientRect().width]))"
    )

    assert {"benchmarks.svg", "benchmarks-async.svg"} <= {
        name for name, width in widths.items() if width > 300
    }


def test_diagrams_are_drawn(browser: Browser) -> None:
    """The picture of the wings is one, not its source."""
    browser.open("explanation/architecture/")
    drawn = "return document.querySelector('div.mermaid')?.getBoundingClientRect().height ?? 0"

    assert wait_until(lambda: browser.run(drawn) > 300, 20)


def test_the_landing_page_says_what_it_is(browser: Browser) -> None:
    """The first screen has the sentence, an example and a picture."""
    browser.open("")
    seen = browser.run(
        "return ['p', 'pre', 'img'].map(each => document.querySelector('article ' + each))"
        ".map(each => each && each.getBoundingClientRect().top)"
    )

    assert all(top is not None and top < 900 for top in seen)
    assert re.search(r"MySQL.*Redis", browser.run("return document.querySelector('article p').textContent"))
