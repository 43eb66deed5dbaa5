"""The example's settings with Django Debug Toolbar, for ``django_panel_cases.py``."""

from shop.settings import *  # noqa: F403 - as settings are extended
from shop.settings import INSTALLED_APPS, MRC

DEBUG = True
INTERNAL_IPS = ["127.0.0.1"]
INSTALLED_APPS = [*INSTALLED_APPS, "django.contrib.staticfiles", "debug_toolbar"]
MIDDLEWARE = ["debug_toolbar.middleware.DebugToolbarMiddleware"]
ROOT_URLCONF = "tests.contrib.django_panel_cases"
STATIC_URL = "static/"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
DEBUG_TOOLBAR_CONFIG = {"IS_RUNNING_TESTS": False}
DEBUG_TOOLBAR_PANELS = [
    "debug_toolbar.panels.history.HistoryPanel",
    "mysql_redis_cache.contrib.django.panels.MRCPanel",
]
MRC = {**MRC, "reports": {"CACHE": "default"}}
