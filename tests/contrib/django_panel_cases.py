"""The panel for Django Debug Toolbar in the example project, as tests that Django's own runner runs.

``test_django.py`` starts them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import redis
from debug_toolbar.store import get_store
from debug_toolbar.toolbar import StoredDebugToolbar
from django.conf import settings
from django.http import HttpResponse
from django.test import TransactionTestCase
from django.urls import include, path
from shop import queries
from shop.models import User

from mysql_redis_cache.contrib.django import client, clients

if TYPE_CHECKING:
    from django.http import HttpRequest

PAGE = "<html><body></body></html>"


def names(request: HttpRequest) -> HttpResponse:
    """Read in each way there is: with a label, of another client, past the cache."""
    client.query_with_cache(queries.USER, {"UserId": 7}, label="user & co")
    clients["reports"].query_with_cache("SELECT\n  1 AS one")
    client.query_with_cache(queries.USER, {"UserId": 7}, cache=False)
    return HttpResponse(PAGE)


def fails(request: HttpRequest) -> HttpResponse:
    """Read what cannot be read."""
    client.query_with_cache("SELECT nothing FROM nowhere")
    raise AssertionError


def plain(request: HttpRequest) -> HttpResponse:
    """Read nothing."""
    return HttpResponse(PAGE)


def past(request: HttpRequest) -> HttpResponse:
    """Read past the cache alone."""
    client.query_with_cache("SELECT 1", cache=False)
    return HttpResponse(PAGE)


urlpatterns = [
    path("__debug__/", include("debug_toolbar.urls")),
    path("names", names),
    path("fails", fails),
    path("plain", plain),
    path("past", past),
    path("", include("shop.urls")),
]


class PanelTest(TransactionTestCase):
    """A browser asks for a page, and then for what the panel shows of it."""

    def setUp(self) -> None:
        self.ada = User.objects.create(name="Ada", store_id=6)
        with redis.Redis.from_url(settings.CACHES["default"]["LOCATION"]) as server:
            server.flushdb()

    def told(self, response: Any) -> dict[str, Any]:
        """What is kept of a request."""
        found: dict[str, Any] = get_store().panel(response.headers["djdt-request-id"], "MRCPanel")
        return found

    def subtitle(self, response: Any) -> str:
        toolbar = StoredDebugToolbar.from_store(response.headers["djdt-request-id"], "MRCPanel")
        return str(toolbar.get_panel_by_id("MRCPanel").nav_subtitle)

    def content(self, response: Any) -> str:
        """What the panel shows of a request."""
        asked = {"request_id": response.headers["djdt-request-id"], "panel_id": "MRCPanel"}
        return str(self.client.get("/__debug__/render_panel/", asked).json()["content"])

    def outcomes(self, response: Any) -> list[str]:
        return [read["outcome"] for read in self.told(response)["reads"]]

    def test_a_page_tells_of_its_reads(self) -> None:
        """By label or query, with where the time went."""
        response = self.client.get("/names")

        told = self.told(response)
        assert told["hit_ratio"] == 0.0
        labelled, past, other = told["reads"]
        assert (labelled["client"], labelled["read"], labelled["outcome"]) == (
            "default",
            "user & co",
            "loaded",
        )
        assert (past["outcome"], past["reason"]) == ("bypassed", "cache=False")
        assert (other["client"], other["read"], other["bytes"]) == ("reports", "SELECT 1 AS one", 11)
        assert labelled["ms"] > labelled["mysql_ms"] > 0 < labelled["redis_ms"]
        assert "UserId=7" not in json.dumps(told)
        assert response.headers["Server-Timing"].endswith('desc="Cached reads: 3"')

        assert b"MRC" in response.content  # the toolbar is in the page
        assert self.subtitle(response) == "3 reads, 0% hits"
        for text in ["<code>user &amp; co</code>", "<code>SELECT 1 AS one</code>", "it was not cached"]:
            assert text in self.content(response)

        assert self.outcomes(self.client.get("/names")) == ["hit", "bypassed", "hit"]

    def test_each_request_has_its_own_reads(self) -> None:
        """And what is not part of one has no panel."""
        address = f"/users/{self.ada.pk}"
        first = self.client.get(address)
        queries.user(self.ada.pk)
        second = self.client.get(address)

        assert (self.outcomes(first), self.outcomes(second)) == (["loaded"] * 2, ["hit"] * 2)
        assert self.subtitle(second) == "2 reads, 100% hits"

    async def test_async_views_too(self) -> None:
        """Their loads go through threads."""
        address = f"/users/{self.ada.pk}/async"
        loaded, hit = await self.async_client.get(address), await self.async_client.get(address)

        assert (self.outcomes(loaded), self.outcomes(hit)) == (["loaded"], ["hit"])
        assert self.told(loaded)["reads"][0]["mysql_ms"] > 0

    def test_async_views_of_a_blocking_server(self) -> None:
        """And blocking views of an asynchronous one: the next test."""
        assert self.outcomes(self.client.get(f"/users/{self.ada.pk}/async")) == ["loaded"]

    async def test_blocking_views_of_an_asynchronous_server(self) -> None:
        """They run in a thread."""
        assert self.outcomes(await self.async_client.get(f"/users/{self.ada.pk}")) == ["loaded"] * 2

    def test_a_read_that_failed_is_told(self) -> None:
        """The page of the error has the toolbar as well."""
        self.client.raise_request_exception = False
        response = self.client.get("/fails")

        assert response.status_code == 500
        assert self.outcomes(response) == ["failed"]
        assert "it raised ProgrammingError" in self.content(response)

    def test_a_page_without_reads_says_so(self) -> None:
        """One that reads past the cache alone has no hit ratio either."""
        response = self.client.get("/plain")
        assert self.subtitle(response) == "no reads"
        assert "Nothing was read through the cache." in self.content(response)

        assert self.subtitle(self.client.get("/past")) == "1 read, all past the cache"
