"""The dashboard and the alerts: whatever they ask Prometheus for, a real client gives."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from mysql_redis_cache.cli.app import mrc
from mysql_redis_cache.contrib.prometheus import FOLLOWED, export, page
from mysql_redis_cache.observe.metrics import DURATIONS, METRICS
from tests.docs.pages import ROOT
from tests.support.binlogs import LoggedServer
from tests.support.following import following, rules_for, wait_followed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymysql.connections import Connection

pytestmark = pytest.mark.anyio

ALERTS = (ROOT / "dashboards" / "alerts.yml").read_text(encoding="utf-8")
DASHBOARD = (ROOT / "dashboards" / "mrc.json").read_text(encoding="utf-8")
RUNBOOK = (ROOT / "docs" / "how-to" / "runbook.md").read_text(encoding="utf-8")
ASKED = re.compile(r"\b(mrc_\w+)(?:\{([^}]*)\})?")
SELECTED = re.compile(r"(\w+)(?:=~|!=|=)\"([^\"]*)\"")


def expressions() -> list[str]:
    """What the dashboard asks for, and the rules of the alerts."""
    panels = json.loads(DASHBOARD)["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])] + [ALERTS]


async def exported(client: Any) -> dict[str, dict[str, set[str]]]:
    """The names that a client exports, each with its labels and their values."""
    registry, found = CollectorRegistry(), {}
    exporter = export(client.inner, registry=registry)
    await client.query_with_cache("SELECT name FROM users WHERE id = ?", [123], ["UserId"], label="user")
    await client.drop_outdated_cache(["UserId"], [123])
    add(found, generate_latest(registry))
    exporter.close()
    return found


def add(found: dict[str, dict[str, set[str]]], text: bytes) -> None:
    """Add what a page of Prometheus has."""
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)


@pytest.fixture
def followed(logged_url: str, redis_url: str) -> Iterator[bytes]:
    """What a follower exports that has dropped something."""
    server = LoggedServer(logged_url)
    server.run("CREATE TABLE watched (id INT PRIMARY KEY)")
    with following(server.url, redis_url, rules_for(server.schema, {"watched": {"Id": "id"}})) as follower:
        server.run("INSERT INTO watched VALUES (1)")
        wait_followed(follower, server)
        yield page(follower)()
    server.run("DROP TABLE watched")
    server.close()


async def test_every_metric_asked_for_is_exported(client: Any, users: Connection, followed: bytes) -> None:
    """With the labels and the values that are asked for."""
    found = await exported(client)
    add(found, followed)
    asked = [match for each in expressions() for match in ASKED.finditer(each)]

    assert len(asked) > 40
    assert {name for name, _ in (match.groups() for match in asked)} - set(found) == set()
    for match in asked:
        name, selectors = match.groups()
        for label, values in SELECTED.findall(selectors or ""):
            assert values.startswith("$") or set(values.split("|")) <= found[name][label], match.group()


async def test_every_metric_is_shown(client: Any, users: Connection) -> None:
    """What is worth exporting is worth a place on the dashboard."""
    shown = {match[1] for each in expressions() for match in ASKED.finditer(each)}
    names = {each.prometheus if each.is_gauge else f"{each.prometheus}_total" for each in METRICS}
    names |= {f"{each.prometheus}_bucket" for each in DURATIONS}
    names |= {each.name if each.is_gauge else f"{each.name}_total" for each in FOLLOWED}

    assert names - shown == set()


def test_every_alert_has_its_paragraph() -> None:
    """And its link leads there."""
    alerts = re.findall(r"^ +- alert: (\w+)$", ALERTS, re.MULTILINE)
    links = re.findall(r"runbook_url: \S+/docs/how-to/runbook\.md#(\w+)$", ALERTS, re.MULTILINE)

    assert alerts == re.findall(r"^## (MRC\w+)$", RUNBOOK, re.MULTILINE)
    assert links == [alert.lower() for alert in alerts]


def test_commands_of_the_runbook_exist() -> None:
    """With the options that it names: nobody looks for them at three in the morning."""
    said = [shlex.split(each)[1:] for each in re.findall(r"`(mrc [^`]+)`", RUNBOOK)]

    assert {name for name, *_ in said} <= set(mrc.commands)
    for name, *words in said:
        known = {option for each in mrc.commands[name].params for option in each.opts}
        assert {word for word in words if word.startswith("--")} <= known, name


def test_the_dashboard_can_be_read() -> None:
    """Panels have numbers and places of their own, and ask the data source that is chosen."""
    panels = json.loads(DASHBOARD)["panels"]
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}

    assert len({panel["id"] for panel in panels}) == len(places) == len(panels)
    assert {panel["datasource"]["uid"] for panel in panels if panel["type"] != "row"} == {"${datasource}"}
