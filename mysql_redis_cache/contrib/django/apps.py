"""The app: what it connects when Django starts."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.core.checks import register
from django.core.signals import setting_changed
from django.db import connections
from django.db.backends.signals import connection_created

from .checks import check_settings, check_use
from .clients import clients
from .configuring import remember_databases
from .tables import watch

__all__ = ["MRCConfig", "forget_clients"]

SETTINGS = frozenset(["MRC", "DATABASES", "CACHES", "USE_TZ", "TIME_ZONE"])


class MRCConfig(AppConfig):
    """The app ``mysql_redis_cache.contrib.django``."""

    name = "mysql_redis_cache.contrib.django"
    label = "mysql_redis_cache"
    verbose_name = "MySQL Redis cache"

    def ready(self) -> None:
        """Connect signals and register checks; nothing is opened."""
        remember_databases()
        setting_changed.connect(forget_clients)
        connection_created.connect(watch)
        for connection in connections.all(initialized_only=True):
            watch(connection)
        register(check_settings)
        register(check_use)


def forget_clients(*, setting: str, **_: Any) -> None:
    """Have the clients made anew as the settings are now; a receiver of ``setting_changed``."""
    if setting in SETTINGS:
        clients.forget()
